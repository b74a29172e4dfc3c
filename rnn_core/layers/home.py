"""Where an array lives: on the host, as NumPy's, or on a GPU, as CuPy's; and the ways from one to the other.

A layer's arrays all live in one place, and a call's results stay there. What may cross over, and does so only here:

- tokens, targets, lengths and weights, which a batch brings from the host: a small transfer a batch, and lengths
  end on the host, because they steer loops;
- dropout masks, which are drawn on the host so that one seed gives the same on every backend;
- parameters, when a user asks for it: `Layer.astype`, `load_state_dict`, `save` and `load`, checkpoints;
- numbers that a training step has to act on: the loss, and the length of the gradients.

Reading anything back makes the host wait until the GPU has done all that was asked of it. So what passes through
layers (inputs, states, upstream gradients) is looked through for NaN and infinity on the host alone. On a GPU they
are found where numbers come to the host anyway: in the loss and the gradients by `fit`, in parameters by `save`,
`load_state_dict` and `fit`, in data by `Examples`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj, is_numpy_namespace

from kernels.contract import Array

from .. import backends

HOST = array_namespace(np.empty(0))
"""The array module of NumPy's own arrays."""


def zeros(xp: Any, shape: tuple[int, ...], dtype: np.dtype) -> Array:
    """Return zeros of the namespace `xp`; NumPy's own function is the quicker one on the host."""
    return np.zeros(shape, dtype) if xp is HOST else xp.zeros(shape, dtype=dtype)


def namespace_of(where: str, backend: str | None) -> Any:
    """Return the array module in which a backend's arrays live, NumPy for None; errors name the caller."""
    try:
        return backends.namespace("numpy" if backend is None else backend)
    except (ValueError, RuntimeError) as error:
        raise type(error)(f"{where}: {error}") from None


def on_gpu(value: Any) -> bool:
    """Return whether `value` is an array on a GPU: CuPy's, or a CUDA tensor of torch."""
    if type(value) is np.ndarray:
        return False
    try:
        return hasattr(value, "__cuda_array_interface__")
    except RuntimeError:  # torch's, of a CUDA tensor that requires grad
        return True


def lives_in(value: Any, xp: Any) -> bool:
    """Return whether `value` lives apart from NumPy's arrays, in the home of the namespace `xp` or on the GPU."""
    if on_gpu(value):
        return True
    return not is_numpy_namespace(xp) and is_array_api_obj(value) and array_namespace(value) is xp


def to_host(value: Any) -> Any:
    """Return a copy on the host of what lives on a GPU; anything else as it is."""
    if not on_gpu(value):
        return value
    return value.get() if hasattr(value, "get") else value.detach().cpu()  # CuPy's, torch's


def move(value: Any, xp: Any) -> Array:
    """Return `value` as an array of `xp`, wherever it was."""
    return xp.asarray(to_host(value) if is_numpy_namespace(xp) else value)


def numbers(scalars: list[Array]) -> list[float]:
    """Return arrays of one number, all of one home and dtype, as floats; from a GPU in a single transfer."""
    if len(scalars) > 1 and on_gpu(scalars[0]):
        scalars = to_host(array_namespace(scalars[0]).stack(scalars))
    return [float(scalar) for scalar in scalars]
