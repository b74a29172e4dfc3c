"""When our kernels serve a call, and why they leave one to torch's own.

Whatever is not known to be right here goes to torch: other dtypes and devices, transforms, and every mistake, which
torch then reports in its own words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.utils.rnn import PackedSequence

from .. import backends
from ..layers.checks import check_finite
from .borrowed import BACKEND, view

DTYPES = (torch.float32, torch.float64)


def why_not_module(module: Any) -> str:
    """Return why a module's calls are all left to torch as it is now; "" where they are not."""
    if why := backends.status()[BACKEND]:
        return f"the CPU kernels can't be used here: {why}"
    weights = module._flat_weights
    if any(not _plain(weight) for weight in weights):
        return "a weight is no plain tensor"
    first = weights[0]
    if any(weight.device.type != "cpu" for weight in weights):
        return f"the weights are on {first.device}; the kernels are the CPU's"
    if first.dtype not in DTYPES or any(weight.dtype != first.dtype for weight in weights):
        return f"the weights are {first.dtype}; the kernels take float32 or float64, all the same"
    return ""


def why_not_now(module: Any) -> str:
    """Return what surrounds a call that torch alone can follow: compilation, transforms; "" for nothing."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return "it is being traced or compiled"
    if torch._C._are_functorch_transforms_active():
        return "it is inside a transform of torch.func"
    if forward_ad._current_level >= 0:
        return "forward-mode derivatives are on"
    if torch._C._len_torch_dispatch_stack() > 0:
        return "a dispatch mode is on"
    if torch.is_autocast_enabled("cpu"):
        kind = torch.get_autocast_dtype("cpu")
        if kind != torch.bfloat16 or module._flat_weights[0].dtype != torch.float32:
            return f"autocast is on; the kernels take bfloat16 in it beside weights in float32, got {kind}"
    return ""


def why_not_call(module: Any, input: Any, hx: Any) -> str:
    """Return why these arguments are left to torch: it takes them, or raises its error; "" where they are ours."""
    packed = isinstance(input, PackedSequence)
    x = input.data if packed else input
    states = _states(module, hx)
    if states is None or not _plain(x) or not all(map(_plain, states)):
        return "an argument is no plain tensor"
    dtype = module._flat_weights[0].dtype
    dtypes = (dtype, torch.bfloat16) if torch.is_autocast_enabled("cpu") else (dtype,)
    if any(tensor.dtype not in dtypes or tensor.device.type != "cpu" for tensor in (x, *states)):
        return f"an argument is not {dtype} on the CPU, as the weights are"
    if x.dim() != 2 and (packed or x.dim() != 3):
        return "input has another number of axes"
    if x.shape[-1] != module.input_size or not x.numel():
        return "input has another size, or none"
    if not _weights_fit(module):
        return "a weight has another shape"
    rows = int(input.batch_sizes[0]) if packed else x.shape[0 if module.batch_first else 1] if x.dim() == 3 else None
    stacked = module.num_layers * (2 if module.bidirectional else 1)
    first = (stacked,) if rows is None else (stacked, rows)
    sizes = (module.proj_size or module.hidden_size, module.hidden_size)
    if any(state.shape != (*first, size) for state, size in zip(states, sizes, strict=False)):
        return "hx has another shape"
    if packed and int(input.batch_sizes.sum()) != len(x):
        return "batch_sizes don't add up to the rows"
    return "" if all(map(_finite, (x, *states))) else "an argument holds a NaN or an infinity"


def rounded(module: Any, x: Tensor, states: Sequence[Tensor], packed: bool) -> tuple[torch.dtype, ...]:
    """Return the dtypes that torch gives the final states under autocast, y that of the first.

    Its products are bfloat16; where they are added to a state that is not, as c is and a GRU's h, so is not the sum.
    """
    last = states[-1].dtype if states else x.dtype
    if module.mode == "GRU":
        return (last,)
    if module.mode != "LSTM":
        return (torch.bfloat16,)
    if module.proj_size:
        return torch.bfloat16, last
    return (last, last) if packed else (torch.bfloat16, torch.bfloat16)


def _states(module: Any, hx: Any) -> tuple[Any, ...] | None:
    """Return the states of an `hx` that is one or none; otherwise None."""
    if hx is None:
        return ()
    if module.mode != "LSTM":
        return (hx,)
    return tuple(hx) if isinstance(hx, tuple | list) and len(hx) == 2 else None


def _plain(tensor: Any) -> bool:
    """Return whether it is a tensor that is what its memory holds."""
    return (
        type(tensor) in (Tensor, torch.nn.Parameter)
        and tensor.layout == torch.strided
        and not tensor.is_neg()
        and not tensor.is_quantized
    )


def _finite(tensor: Tensor) -> bool:
    """Return whether there is neither a NaN nor an infinity: of these torch's gradients are other than the kernels'."""
    try:
        check_finite("", "", view(tensor if tensor.dtype in DTYPES else tensor.float()))
    except ValueError:
        return False
    return True


def _weights_fit(module: Any) -> bool:
    """Return whether all weights have the shapes that they were made with."""
    H, D = module.hidden_size, 2 if module.bidirectional else 1
    G, P = {"LSTM": 4, "GRU": 3}.get(module.mode, 1) * H, module.proj_size or H
    each = (4 if module.bias else 2) + (module.proj_size > 0)
    for k, weight in enumerate(module._flat_weights):
        layer, kind = k // (each * D), k % each
        I = D * P if layer else module.input_size
        shapes = ((G, I), (G, P), *(((G,), (G,)) if module.bias else ()), (P, H))
        if weight.shape != shapes[kind]:
            return False
    return len(module._flat_weights) == each * D * module.num_layers
