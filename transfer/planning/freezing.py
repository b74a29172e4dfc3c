"""Freezing: which parameters stay as they are. A model keeps the answer in `frozen`, and training obeys it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rnn_core.layers.checks import positive_int
from rnn_core.models import Model

from ..parameters.groups import Patterns, checked_model, chosen, listed


def freeze(model: Model, *patterns: Patterns) -> tuple[str, ...]:
    """Let the chosen parameters train no more. Other parameters stay as they are, frozen or not.

    Parameters
    ----------
    model : Model
    *patterns : str, or one iterable of str
        Names of groups, or globs over whole names (see `transfer.parameters.groups`).

    Returns
    -------
    frozen : tuple of str
        All that are frozen now, in the model's order.

    Raises
    ------
    ValueError
        There is no pattern, or one matches nothing; the message lists the names there are.
    TypeError
        This is not a model, the model is quantized, or a pattern is not a string.

    Notes
    -----
    With tied weights the output layer has no weight of its own: what freezes the embedding freezes it too.
    """
    names = _chosen("freeze", model, patterns)
    model.frozen |= names  # (X4)
    return _frozen(model)


def unfreeze(model: Model, *patterns: Patterns) -> tuple[str, ...]:
    """Let the chosen parameters train again; parameters, result and errors are those of `freeze`."""
    names = _chosen("unfreeze", model, patterns)
    model.frozen -= names
    return _frozen(model)


def freeze_to(model: Model, group: int | str) -> tuple[str, ...]:
    """Freeze every group below this one; this one and those above it train.

    Parameters
    ----------
    model : Model
    group : int or str
        The lowest group that trains: its name, or its place in `parameter_groups`, counted from 0 at the bottom or
        from −1 at the top. ``freeze_to(model, -1)`` leaves the last group alone, ``freeze_to(model, 0)`` everything.

    Returns
    -------
    frozen : tuple of str
        All that are frozen now, in the model's order.

    Raises
    ------
    ValueError
        There is no such group; the message lists those there are.
    TypeError
        This is not a model, the model is quantized, or the group is neither an int nor a string.

    References
    ----------
    J. Howard, S. Ruder, "Universal language model fine-tuning for text classification", ACL 2018, section 3.3:
    gradual unfreezing.
    """
    groups = checked_model("freeze_to", model).groups
    n = len(groups)
    if isinstance(group, str):
        if group not in groups:
            raise ValueError(f"freeze_to: group must be a group's name, got {group!r}; there are {', '.join(groups)}")
        lowest = list(groups).index(group)
    elif isinstance(group, bool) or not isinstance(group, int):
        raise TypeError(f"freeze_to: group must be a group's name or place, got {group!r}")
    elif not -n <= group < n:
        raise ValueError(
            f"freeze_to: group must be in {-n}…{n - 1}, got {group}; the groups are {', '.join(groups)}, "
            "and freeze(model, '*') leaves none to train"
        )
    else:
        lowest = group % n
    model.frozen = frozenset(_below(model, lowest))
    return _frozen(model)


@dataclass(frozen=True)
class Unfreezing:
    """Gradual unfreezing: the top group trains alone, and from stage to stage one more. Part of a `Plan`.

    Parameters
    ----------
    epochs : int, optional
        How many epochs a stage lasts.
    steps : int, optional
        How many updates a stage lasts. One of the two is given. The last stage, in which everything trains, takes
        what is left of the run.

    Raises
    ------
    ValueError
        Both are given, or none, or a number is below 1.
    TypeError
        A number is not an integer.

    References
    ----------
    J. Howard, S. Ruder, "Universal language model fine-tuning for text classification", ACL 2018, section 3.3.
    """

    epochs: int | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in (("epochs", self.epochs), ("steps", self.steps)) if value is not None}
        if len(given) != 1:
            raise ValueError(
                f"Unfreezing: either epochs or steps must be given, got epochs={self.epochs}, steps={self.steps}; "
                "Unfreezing(epochs=1) is the usual choice"
            )
        for name, value in given.items():
            positive_int("Unfreezing", name, value)

    def __str__(self) -> str:
        count, unit = (self.epochs, "epoch") if self.epochs else (self.steps, "step")
        return f"a group more after {'each' if count == 1 else f'every {count}'} {unit}{'' if count == 1 else 's'}"


def gradually(model: Model, trainable: Iterable[str]) -> list[tuple[str, ...]]:
    """Return what trains in each stage: of the groups that hold something trainable the top one, the top two, …"""
    names, groups = set(trainable), list(model.groups.values())
    lowest = [k for k, group in enumerate(groups) if names.intersection(group)]
    return [tuple(name for name in model.parameters if name in names - _below(model, k)) for k in reversed(lowest)]


def _below(model: Model, lowest: int) -> set[str]:
    """Return the parameters in the groups below the one at this place."""
    return {name for names in list(model.groups.values())[:lowest] for name in names}  # (X5)


def _chosen(where: str, model: Model, patterns: tuple[Patterns, ...]) -> frozenset[str]:
    checked_model(where, model)
    names = listed(where, "patterns", patterns[0] if len(patterns) == 1 else patterns)  # type: ignore[arg-type]
    if not names:
        raise ValueError(f"{where}: patterns must be at least one, got none; {where}(model, '*') takes every parameter")
    return frozenset(chosen(where, "patterns", model, names))


def _frozen(model: Model) -> tuple[str, ...]:
    return tuple(name for name in model.parameters if name in model.frozen)
