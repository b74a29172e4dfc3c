"""Settings for every test: threads, pictures, hypothesis, and whether what tests compare with may be missing.

Environment variables
---------------------
RNN_CORE_REQUIRE_PEERS
    If set to anything but "0", one of `PEERS` missing ends the run before the first test. Without it the tests that
    compare with them skip themselves, because no user needs them. `.ci/run` sets it.
"""

from __future__ import annotations

import importlib.util
import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# Before NumPy is first imported: the arrays of the tests are small, and two workers with two BLAS threads each only
# wait for one another. No window opens, and Keras computes with what is there.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("KERAS_BACKEND", "torch")

# In the background, as ``make test &`` starts it, a shell has this signal ignored, and every process that is begun
# inherits that; but tests interrupt what they run.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Kernels for the GPU are either compiled or simulated in a process: `make test-sim` sets the variable.
collect_ignore = [] if os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0") else ["kernels/simulator"]

# Helpers whose asserts should show the values that they compare.
pytest.register_assert_rewrite(
    "tests.conformance", "tests.tolerance", "tests.convolution_checks", "tests.seq2seq_checks"
)

# A deadline or a slow draw says something about the machine and nothing about the code.
settings.register_profile(
    "house", deadline=None, max_examples=40, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", settings.get_profile("house"), max_examples=1000)
settings.load_profile("house")


PEERS = ("torch", "onnx", "onnxruntime", "onnxscript", "h5py", "keras", "sklearn", "mpi4py", "pyarrow", "distributed")
"""What the extra `peers` brings."""


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run without the peers where RNN_CORE_REQUIRE_PEERS says so."""
    if os.environ.get("RNN_CORE_REQUIRE_PEERS", "0") == "0" or hasattr(config, "workerinput"):
        return
    missing = [name for name in PEERS if importlib.util.find_spec(name) is None]
    if missing:
        raise pytest.UsageError(
            f"RNN_CORE_REQUIRE_PEERS is set, so that no comparison may be left out, but {', '.join(missing)} can't be "
            "found; install them (pip install --editable '.[peers]'), or unset the variable and let the tests skip"
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse names that hold an object's address: the processes of `pytest -n` must all find the same tests."""
    other = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if other:
        raise pytest.UsageError(f"{other[0]}: its name is another in each process; give its parameters ids")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many planted bugs were caught and, with -v, by which check each."""
    caught = [
        value
        for report in terminalreporter.stats.get("passed", [])
        for name, value in getattr(report, "user_properties", [])
        if name == "caught"
    ]
    if not caught:
        return
    terminalreporter.section("planted bugs")
    if terminalreporter.config.get_verbosity() > 0:
        for line in caught:
            terminalreporter.line(line)
    terminalreporter.line(f"{len(caught)} planted bugs, each caught by the check named for it (-v lists them)")
