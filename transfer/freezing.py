"""Freezing: which parameters stay as they are. A model keeps the answer in `frozen`, and training obeys it."""

from __future__ import annotations

from rnn_core.models import Model

from .groups import Patterns, checked_model, chosen, listed


def freeze(model: Model, *patterns: Patterns) -> tuple[str, ...]:
    """Let the chosen parameters train no more. Other parameters stay as they are, frozen or not.

    Parameters
    ----------
    model : Model
    *patterns : str, or one iterable of str
        Names of groups, or globs over whole names (see `transfer.groups`).

    Returns
    -------
    frozen : tuple of str
        All that are frozen now, in the model's order.

    Raises
    ------
    ValueError
        There is no pattern, or one matches nothing; the message lists the names there are.
    TypeError
        This is not a model, or a pattern is not a string.

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
        This is not a model, or the group is neither an int nor a string.

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
    model.frozen = frozenset(name for names in list(groups.values())[:lowest] for name in names)  # (X5)
    return _frozen(model)


def _chosen(where: str, model: Model, patterns: tuple[Patterns, ...]) -> frozenset[str]:
    checked_model(where, model)
    names = listed(where, "patterns", patterns[0] if len(patterns) == 1 else patterns)  # type: ignore[arg-type]
    if not names:
        raise ValueError(f"{where}: patterns must be at least one, got none; {where}(model, '*') takes every parameter")
    return frozenset(chosen(where, "patterns", model, names))


def _frozen(model: Model) -> tuple[str, ...]:
    return tuple(name for name in model.parameters if name in model.frozen)
