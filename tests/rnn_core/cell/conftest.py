"""What a test defines is forgotten when it ends."""

from __future__ import annotations

import linecache
import sys

import pytest

from kernels.definition import DEFINITIONS
from rnn_core.layers.defined import DEFINED, SHIPPED


@pytest.fixture(autouse=True)
def forgotten():
    """Put the registers back, and let files of the same name be read again.

    Cells that come with rnn_core stay: their modules do, and would not define them a second time.
    """
    before, modules = (dict(DEFINED), dict(DEFINITIONS)), set(sys.modules)
    linecache.clearcache()
    yield
    for register, kept in zip((DEFINED, DEFINITIONS), before, strict=True):
        shipped = {name: register[name] for name in SHIPPED if name in register}
        register.clear()
        register.update(kept | shipped)
    for name in set(sys.modules) - modules:
        if "pytest-of" in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]
