"""Whether a value fits a parameter, and what the parameter will be: as it is, by token, or where they overlap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

from kernels.contract import Array
from rnn_core.layers.base import Layer

from .shapes import Blocks, axis_blocks, overlap
from .values import checked_value
from .vocabulary import TokenMap, padding_row


class Fitting(NamedTuple):
    """What is to happen to one parameter, worked out before anything is written."""

    status: str
    value: Array | None = None  # the whole parameter as it will be; None leaves it as it is
    taken: int = 0  # how many of its numbers are the source's own
    note: str = ""


class Misfit(ValueError):
    """A value that has no place in its parameter. `words`: a vocabulary would help; `gates`: it is another cell's."""

    def __init__(self, message: str, words: bool = False, gates: bool = False) -> None:
        super().__init__(message)
        self.words, self.gates = words, gates


@dataclass
class Fitter:
    """Fits the values of one source to the parameters of one target."""

    where: str
    source: Any
    target: Layer
    tokens: TokenMap | None
    on_mismatch: str

    def __post_init__(self) -> None:
        self.blocks = axis_blocks(self.target)
        self.source_blocks = axis_blocks(self.source) if isinstance(self.source, Layer) else {}
        self.source_gates = {} if isinstance(self.source, Layer) else _gates(self.source)
        self.vocabulary = set(getattr(self.target, "vocabulary_parameters", ()))
        self.padding = padding_row(self.target)

    def fit(self, name: str, old: str, value: Any) -> Fitting:
        """Return what becomes of a parameter. `old` is the source's name for its value.

        Raises
        ------
        Misfit
            The shapes differ in a way that `on_mismatch` does not allow for.
        ValueError, TypeError
            The value can't go into any parameter, or has not a row for each of the source's tokens.
        """
        parameter = self.target.parameters[name]
        value = checked_value(self.where, old, value, parameter)
        words = name in self.vocabulary
        if words and self.tokens is not None:
            return self._by_token(name, old, value, self.tokens)
        if words and value.shape[:1] != parameter.shape[:1] and self.on_mismatch != "skip":
            raise Misfit(_shapes(name, value, parameter), words=True)
        placed = self._placed(name, old, value, value, parameter)
        if placed is None:
            return Fitting("skipped", note=f"shape {_size(value.shape)}, here {_size(parameter.shape)}")
        new, part = placed
        notes = [] if part == parameter.shape else [f"{_size(part)} of {_size(parameter.shape)}"]
        taken = prod(part)
        if words:
            notes.append("rows as they stand")
            if self.padding is not None:
                new = new.copy()
                new[self.padding] = parameter[self.padding]
                taken -= prod(part[1:])
                notes.append("1 padding")
        return Fitting("copied" if part == parameter.shape else "overlap", new, taken, ", ".join(notes))

    def _by_token(self, name: str, old: str, value: Array, tokens: TokenMap) -> Fitting:
        parameter = self.target.parameters[name]
        for whose, array, size in (("source", value, tokens.source_size), ("target", parameter, len(tokens.origin))):
            if array.shape[:1] != (size,):
                raise ValueError(
                    f"{self.where}: vocabulary must have a token for each row of {name}, got {size} tokens for the "
                    f"{whose}'s shape {tuple(array.shape)}"
                )
        placed = self._placed(name, old, value, tokens.rows(value), parameter[tokens.written])
        if placed is None:
            return Fitting("skipped", note=f"shape {_size(value.shape)}, here {_size(parameter.shape)}")
        rows, part = placed
        new = parameter.copy()
        new[tokens.written] = rows
        note = tokens.note if part[1:] == parameter.shape[1:] else f"{tokens.note}, {_size(part[1:])} columns of each"
        return Fitting("mapped", new, tokens.mapped * prod(part[1:]), note)

    def _placed(
        self, name: str, old: str, whole: Array, value: Array, parameter: Array
    ) -> tuple[Array, tuple[int, ...]] | None:
        """Return the parameter with `value` in it and the shape of the part it takes, or None to skip it.

        `whole` is what the source has; `value` and `parameter` are the same or some of their rows.
        """
        blocks = self.blocks[name]
        value_blocks = self.source_blocks.get(old, (self.source_gates.get(old, blocks[0]), *blocks[1:]))
        if value.shape == parameter.shape and value_blocks == blocks:
            return value, tuple(value.shape)
        if self.on_mismatch == "skip":
            return None
        shapes = _shapes(name, whole, self.target.parameters[name])
        if value.ndim == parameter.ndim and value_blocks[:1] != blocks[:1]:
            raise Misfit(f"{shapes} (gates: {value_blocks[0]} for {blocks[0]})", gates=True)
        if self.on_mismatch == "error" or value.ndim != parameter.ndim or not _parted(value.shape, value_blocks):
            raise Misfit(shapes)
        return overlap(value, parameter, value_blocks, blocks)


def _gates(arrays: Mapping[str, Any]) -> dict[str, int]:
    """Return into how many gates the rows of recurrent parameters fall: W_hh is G·H × H, whatever it is called."""
    found: dict[str, int] = {}
    for name, value in arrays.items():
        head, hh, layer = str(name).rpartition("weight_hh")
        shape = tuple(getattr(value, "shape", ()))
        if hh and len(shape) == 2 and shape[1] and shape[0] % shape[1] == 0:
            kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            found |= {f"{head}{kind}{layer}": shape[0] // shape[1] for kind in kinds}
    return found


def _parted(shape: tuple[int, ...], blocks: Blocks) -> bool:
    """Return whether blocks divide the axes of an array."""
    return all(size % count == 0 for size, count in zip(shape, blocks, strict=True))


def _shapes(name: str, value: Array, parameter: Array) -> str:
    return f"{name} {_size(value.shape)} for {_size(parameter.shape)}"


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "one number"
