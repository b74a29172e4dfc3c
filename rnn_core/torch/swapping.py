"""`accelerate` gives every recurrent module of a model our kernels, in place; `restore` gives it torch's own again.

A module stays the same object with the same parameters: what changes is its class.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from .modules import GRU, LSTM, RNN
from .serving import why_not_module

OURS: dict[type, type] = {torch.nn.RNN: RNN, torch.nn.LSTM: LSTM, torch.nn.GRU: GRU}
"""Our class for each of torch's."""

THEIRS = {ours: theirs for theirs, ours in OURS.items()}

HOOKS = (
    "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks",
    "_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks",
)  # fmt: skip
"""Where torch keeps what is called around a module."""


class Swapped(NamedTuple):
    """What `accelerate` has done with a model's recurrent modules, by name; "" is the model itself."""

    swapped: dict[str, str]
    """The class of each module that our kernels compute now."""
    left: dict[str, str]
    """Why each other one was left as it was."""

    def __str__(self) -> str:
        lines = [f"{name or '(model)'}: {kind}, swapped" for name, kind in self.swapped.items()]
        lines += [f"{name or '(model)'}: left, {why}" for name, why in self.left.items()]
        return "\n".join(lines) or "no recurrent modules"


def accelerate(model: torch.nn.Module) -> Swapped:
    """Have our kernels compute every `torch.nn.RNN`, `LSTM` and `GRU` of a model, in place.

    Parameters
    ----------
    model : torch.nn.Module
        Modules stay the same objects, with the same parameters: optimizers and references to them remain valid.

    Returns
    -------
    Swapped
        What was swapped, and what was left and why; printed, it is a line for each.

    Raises
    ------
    TypeError
        `model` is no module.
    """
    found = Swapped({}, {})
    for name, module in _modules("accelerate", model):
        why = _why_left(module)
        if why:
            found.left[name] = why
        elif type(module) in OURS:
            module.__class__ = OURS[type(module)]
            found.swapped[name] = type(module).__name__
    return found


def restore(model: torch.nn.Module) -> list[str]:
    """Undo `accelerate`, in place: every one of our modules is torch's own again, also one that was made as ours.

    Parameters
    ----------
    model : torch.nn.Module
        Its modules stay the same objects, with the same parameters.

    Returns
    -------
    list of str
        The names of the modules that were ours.

    Raises
    ------
    TypeError
        `model` is no module.
    """
    found = []
    for name, module in _modules("restore", model):
        if type(module) in THEIRS:
            module.__class__ = THEIRS[type(module)]
            found.append(name)
    return found


def _modules(where: str, model: Any) -> list[tuple[str, Any]]:
    """Return all modules of a model by name."""
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"{where}: model must be a torch.nn.Module, got {type(model).__name__}")
    return list(model.named_modules())


def _why_left(module: Any) -> str:
    """Return why a module stays as it is; "" of one that is swapped, and of one that is not recurrent."""
    kind = type(module)
    if isinstance(module, torch.jit.ScriptModule):
        name = getattr(module, "original_name", "")
        return "it is TorchScript, which is compiled already" if name in ("RNN", "LSTM", "GRU") else ""
    if isinstance(module, torch.nn.RNNCellBase):
        return f"{kind.__name__} takes one step at a time; {kind.__name__.removesuffix('Cell')} takes a sequence"
    if kind.__module__.startswith("torch.ao.nn.quantized") and kind.__name__ in ("RNN", "LSTM", "GRU"):
        return "its weights are quantized"
    if not isinstance(module, torch.nn.RNNBase):
        return ""
    if kind in THEIRS:
        return "it is ours already"
    if torch.nn.utils.parametrize.is_parametrized(module):
        return "it has parametrizations"
    if kind not in OURS:
        return f"{kind.__qualname__} is a class of its own, and may compute something else"
    hooks = [name.lstrip("_") for name in HOOKS if getattr(module, name, None)]
    if hooks:
        return f"it has {' and '.join(hooks).replace('_', ' ')}"
    if "forward" in vars(module):
        return "its forward has been replaced"
    return why_not_module(module)
