"""The nonlinearities, on one number. float32 stays float32: a plain 1 would turn it into float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import device
from .device import device_function

one = np.float32(1)
zero = np.float32(0)


@device_function
def sigmoid(a: Any) -> Any:
    """σ(a) = 1/(1 + e^{−a}), and 0 where that is no normal number.  (A1)"""
    return device.normal(one / (one + device.exp(-a)))


@device_function
def tanh(a: Any) -> Any:
    """tanh(a).  (A2)"""
    return device.tanh(a)


@device_function
def relu(a: Any) -> Any:
    """max(a, 0); a NaN stays one.  (A3)"""
    return zero if a < zero else a  # one type for both: a float64 stays one. −∞ times zero would be no number


@device_function
def step_function(h: Any) -> Any:
    """1 where a ReLU's output is positive, otherwise 0.  (A3′)"""
    return one if h > zero else zero


@device_function
def maximum(a: Any, b: Any) -> Any:
    """The larger, the first where they are equal; a NaN where either is one."""
    return b if b > a or b != b else a


@device_function
def minimum(a: Any, b: Any) -> Any:
    """The smaller, the first where they are equal; a NaN where either is one."""
    return b if b < a or b != b else a


@device_function
def where_less(a: Any, b: Any, x: Any, y: Any) -> Any:
    """x where a < b, otherwise y."""
    return x if a < b else y


FUNCTIONS = {
    "sigmoid": sigmoid,
    "tanh": tanh,
    "relu": relu,
    "exp": device.exp,
    "log": device.log,
    "sqrt": device.sqrt,
    "maximum": maximum,
    "minimum": minimum,
    "where_less": where_less,
}
"""What a defined cell's operations call (kernels/definition.py)."""
