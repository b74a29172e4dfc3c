"""The world that all wrong calls are tried on."""

from __future__ import annotations

import pytest

from tests.transfer.errors.world import World


@pytest.fixture(scope="package")
def world(tmp_path_factory):
    """One world for all: nothing in it may change."""
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def tidy(request):
    """Remove what a wrong call was given to read."""
    yield
    if "world" in request.fixturenames:
        request.getfixturevalue("world").forget()
