"""Gates, states and parameters by name: read from a NamedTuple class or a tuple, and held against each other."""

from __future__ import annotations

import keyword
from collections import namedtuple
from collections.abc import Iterable
from itertools import combinations
from math import isfinite
from typing import Any, NamedTuple

from kernels.contract import DefinedParameters

from ..foreign import shown
from .matrix import One
from .mistakes import Place, mistake, named_twice

ARGUMENTS = (
    "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional", "backend", "dtype",
    "precision", "seed", "nonlinearity", "cell", "proj_size", "num_heads", "zoneout", "recurrent_dropout",
    "candidate_dropout", "weight_drop",
)  # fmt: skip
"""What a layer or model takes by keyword besides a cell's options."""


class Group(NamedTuple):
    """Numbers that go in or out together.

    Attributes
    ----------
    word : str
        What the functions call them: "a", "prev".
    what : str
        What each of them is: "gate".
    make : type
        The NamedTuple that holds them.
    matrices : tuple of str
        Those of them that are no numbers of one unit.
    """

    word: str
    what: str
    make: Any
    matrices: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(self.make._fields)

    @property
    def row(self) -> tuple[str, ...]:
        """Their names in the order in which they stand in a row: the matrices last."""
        return (*(name for name in self.names if name not in self.matrices), *self.matrices)

    @property
    def known(self) -> tuple[str, ...]:
        """What a function may ask it for, whether they are among the numbers that are handed over or not."""
        return self.names

    def made(self, numbers: Iterable[Any]) -> Any:
        """Return what the function gets, of its numbers in a row."""
        return self.make(**dict(zip(self.row, numbers, strict=True)))

    def called(self, word: str) -> Group:
        """Return the same under another word."""
        return self._replace(word=word)


class Ones(Group):
    """Masks where nothing is dropped: they are no numbers, and a function finds a `One` by each of their names."""

    @property
    def names(self) -> tuple[str, ...]:
        """None is handed over."""
        return ()

    @property
    def known(self) -> tuple[str, ...]:
        """The masks' names."""
        return tuple(self.make._fields)

    def made(self, numbers: Iterable[Any]) -> Any:
        """Return what the function gets."""
        return self.make(*(One() for _ in self.known))


def group(place: Place, word: str, what: str, argument: str, given: Any) -> Group:
    """Return the names that `define` was given for one of its arguments.

    Raises
    ------
    CellError
        They are no names, or one comes twice.
    """
    if isinstance(given, type) and issubclass(given, tuple) and hasattr(given, "_fields"):
        if twice := named_twice(given):
            raise mistake(twice[1], given.__name__, f"{what} {twice[0]!r} is named twice; each needs a name of its own")
        return Group(word, what, given)
    names = () if given is None else given
    if isinstance(names, str) or not isinstance(names, tuple | list) or not all(isinstance(one, str) for one in names):
        raise mistake(place, "define", f"{argument} must be a NamedTuple class or a tuple of names, got {shown(given)}")
    for one in names:
        if not one.isidentifier() or keyword.iskeyword(one) or one.startswith("_"):
            message = f"{argument} must hold names as Python's variables have, got {shown(one)}"
            raise mistake(place, "define", message, quoted=False)
        if names.count(one) > 1:
            raise mistake(place, "define", f"{what} {one!r} is named twice in {argument}", quoted=False)
    return Group(word, what, namedtuple(argument.title(), names))


def options_of(place: Place, given: Any) -> dict[str, float]:
    """Return the options of a cell, and what they are by default."""
    if given is None:
        return {}
    its = group(place, "p", "option", "options", given)
    defaults = getattr(its.make, "_field_defaults", {})
    for name in its.names:
        value = defaults.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            got = "none" if name not in defaults else shown(value)
            raise mistake(
                place, "define",
                f"options must have a number by default, as `{name}: float = 1.0` in a NamedTuple class, got {got} for "
                f"{name!r}", quoted=False,
            )  # fmt: skip
        if name in ARGUMENTS:
            raise mistake(place, "define", f"an option can't be called {name!r}, which every layer takes", quoted=False)
    return {name: float(defaults[name]) for name in its.names}


def checked_flag(place: Place, argument: str, given: Any) -> bool:
    """Return True or False, if that is what `define` was given."""
    if not isinstance(given, bool):
        raise mistake(place, "define", f"{argument} must be True or False, got {shown(given)}", quoted=False)
    return given


def check_names(place: Place, states: Group, vectors: Group, matrices: Group, options: Iterable[str]) -> None:
    """Raise an error where the names of parameters are those of something else."""
    if not states.names or states.names[0] != "h":
        first = repr(states.names[0]) if states.names else "none"
        message = f"the first state must be 'h', the output and what W_h multiplies, got {first}"
        raise mistake(place, "define", message, quoted=False)
    taken = {**dict.fromkeys(DefinedParameters._fields, "a weight or bias"), "x": "the input", "y": "the output"}
    taken |= {f"{state}0": f"the initial state of {state!r}" for state in states.names}
    taken |= {f"{state}_T": f"the final state of {state!r}" for state in states.names}
    for what, names in (("a parameter", vectors.names), ("a matrix", matrices.names), ("an option", options)):
        for name in names:
            if name in taken:
                raise mistake(
                    place, "define", f"{what} can't be called {name!r}, as {taken[name]} is; give it another name",
                    quoted=False,
                )  # fmt: skip
    kinds = (("a parameter", vectors.names), ("a matrix", matrices.names), ("an option", tuple(options)))
    for (one, names), (other, others) in combinations(kinds, 2):
        if both := [name for name in others if name in names]:
            raise mistake(place, "define", f"{both[0]!r} is {one} and {other}, and `p` has both", quoted=False)


def reached(
    place: Place, gates: Group, from_x: Iterable[str] | None, from_h: Iterable[str] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the gates that W_x adds to, and those that W_h adds to: all of them without a word."""
    if not gates.names:
        raise mistake(place, "define", "gates must name at least one sum, got none", quoted=False)
    found = []
    for argument, given in (("from_x", from_x), ("from_h", from_h)):
        names = gates.names if given is None else group(place, "a", "gate", argument, given).names
        if unknown := [name for name in names if name not in gates.names]:
            message = f"{argument} must hold gates, {', '.join(gates.names)}, got {unknown[0]!r}"
            raise mistake(place, "define", message, quoted=False)
        found.append(names)
    x, h = found
    if not x:
        raise mistake(place, "define", "from_x must hold a gate, or the cell would not read its input", quoted=False)
    if neither := [name for name in gates.names if name not in x and name not in h]:
        message = f"gate {neither[0]!r} must be in from_x or from_h, or nothing would add to it"
        raise mistake(place, "define", message, quoted=False)
    return x, h


def heard(place: Place, given: Iterable[str] | None, matrices: tuple[str, ...]) -> tuple[str, ...]:
    """Return the matrices that are a part of W_h to what regularises a layer's recurrence: none without a word."""
    names = group(place, "p", "matrix", "recurrent", given).names
    if unknown := [name for name in names if name not in matrices]:
        there = ", ".join(matrices) or "of which there are none"
        raise mistake(place, "define", f"recurrent must hold matrices, {there}, got {unknown[0]!r}", quoted=False)
    return names
