"""What a test defines is forgotten when it ends."""

from __future__ import annotations

import linecache
import sys

import pytest

from kernels.definition import DEFINITIONS
from rnn_core.layers.defined import DEFINED


@pytest.fixture(autouse=True)
def forgotten():
    """Put the registers back, and let files of the same name be read again."""
    before, modules = (dict(DEFINED), dict(DEFINITIONS)), set(sys.modules)
    linecache.clearcache()
    yield
    for register, kept in zip((DEFINED, DEFINITIONS), before, strict=True):
        register.clear()
        register.update(kept)
    for name in set(sys.modules) - modules:
        if "pytest-of" in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]
