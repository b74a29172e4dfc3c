"""To and from other programs' files: each function by name, imported once it is asked for, as each wants an extra.

==================================  ============================  =======
`export_onnx`, `load_onnx`          `rnn_core.onnx`               [onnx]
`load_keras`                        `rnn_core.keras`              [keras]
==================================  ============================  =======
"""

from __future__ import annotations

import importlib
from typing import Any

ROOMS = {"export_onnx": "rnn_core.onnx", "load_onnx": "rnn_core.onnx", "load_keras": "rnn_core.keras"}
"""Where each function is; what they return is a `Chain`, of chain.py."""

__all__ = ["export_onnx", "load_keras", "load_onnx"]  # by the function below


def __getattr__(name: str) -> Any:
    if name not in ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(ROOMS)}")
    return getattr(importlib.import_module(ROOMS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *ROOMS})
