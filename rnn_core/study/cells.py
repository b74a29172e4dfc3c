"""A step of each cell, there and back, as its own loop goes through it: the loop's lines, then the statements."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any, NamedTuple, Protocol

import numpy as np

from kernels.contract import CELLS
from kernels.definition import Definition

from .. import equations
from ..equations import ragged
from ..equations.activations import ACTIVATIONS
from ..equations.defined import DefinedLoops
from ..equations.rounding import exact
from .running import Visitor, call, execute, run, scope_of
from .statements import RETURNED, Statement, find, statements
from .statements import equations as listed

States = list[np.ndarray]

LOOPS: Any = DefinedLoops
"""The time loops of a user's cell, whose functions are read."""


class Passage(NamedTuple):
    """What has gone through one cell of a stack, in one direction."""

    params: Any
    x: np.ndarray  # (T, B, I), zero past a row's length
    lengths: np.ndarray | None
    states: tuple[np.ndarray, ...]  # (T+1, B, ·) each, the initial ones at index 0
    kept: dict[str, np.ndarray]  # (T, B, H) each, what the tape keeps of a step besides
    dy: np.ndarray  # (T, B, ·), zero past a row's length


class Walked(Protocol):
    """A cell, as a trace goes through it."""

    states: tuple[str, ...]
    said: dict[str, str]
    """Its equations by number."""
    blocks: dict[str, tuple[str, int]]
    """What names stand for a block of something, and which block it is: {"a_f": ("a", 1)}."""
    extra: tuple[str, ...]
    """Its own parameters and options, in the order of `DefinedParameters.extra`."""

    def forward(self, visitor: Visitor, params: Any, x: np.ndarray, prev: States) -> tuple[States, np.ndarray, Any]:
        """Go through a step, from x_t (B, I); return the states after it, y_t, and what `backward` wants of it."""

    def backward(self, visitor: Visitor, step: Any, past: Passage, t: int, ds: States) -> States:
        """Go back through a step, from what the states get of later ones; return what those before get."""

    def back(self, past: Passage, t: int, ds: States) -> States:
        """Do the same, unseen."""

    def loops(self) -> Any:
        """Return the time loops of the equations."""

    @property
    def dx(self) -> Statement:
        """The line of dx."""

    @property
    def gradients(self) -> Statement:
        """The lines of the parameters' gradients, in one statement."""


class BuiltIn:
    """RNN, LSTM or GRU."""

    def __init__(self, name: str) -> None:
        self.name, self.states = name, CELLS[name].states
        self.extra: tuple[str, ...] = ()
        self.gates: tuple[str, ...] = CELLS[name].gates._fields  # type: ignore[attr-defined]
        self.file = importlib.import_module(f"{equations.__name__}.{name.partition('_')[0]}")
        self.f = ACTIVATIONS.get(name.partition("_")[2])
        self.said = listed(self.file)
        whole = "a_x" if name == "gru" else "a"
        self.blocks = {f"a_{gate}": (whole, k) for k, gate in enumerate(self.gates)}

    def loops(self) -> Any:
        """Return the time loops of the equations."""
        return equations.cell(self.name)

    def forward(self, visitor: Visitor, params: Any, x: np.ndarray, prev: States) -> tuple[States, np.ndarray, Any]:
        """Go through a step."""
        known: dict[str, Any] = {"x": visitor.given("x", x, "the input")}
        names = ("W_x", "W_h", "b_x", "b_h")
        arrays = [
            W if W is None else visitor.given(name, W, field)
            for name, field, W in zip(names, params._fields, params, strict=True)
        ]
        params = type(params)(*arrays)
        for s, value in zip(self.states, prev, strict=True):
            known[f"{s}_prev"] = visitor.given(f"{s}_prev", value, f"{s} of the step before")
        first = find(self.file.forward, "a_x")
        scope = scope_of(self.file.forward) | dict(zip(names, arrays, strict=True))
        scope |= {"x": known["x"][None], "q": exact}
        execute(first, scope)
        known["a_x"] = visitor.met(first, "a_x", scope["a_x"][0].copy())
        known |= {"params": params, "f": self.f, "q": exact}
        results = call(self.file.step, self._arguments(self.file.step, known), visitor, [(s,) for s in self.states])
        after = list(results if isinstance(results, tuple) else (results,))[: len(self.states)]
        y = visitor.met(find(self.file.forward, "y"), "y", after[0].copy())
        return after, y, known

    def backward(self, visitor: Visitor, step: Any, past: Passage, t: int, ds: States) -> States:
        """Go back through a step."""
        after = {"dy": visitor.given("dy", past.dy[t], "∂L/∂y, of the loss or the layer above")}
        for s, d in zip(self.states, ds, strict=True):
            after[f"d{s}"] = visitor.given(f"d{s}", d, f"d{s}_prev of the step after")
        added = find(self.file.backward, "dh", "dy")
        scope = scope_of(self.file.backward) | after | {"dy": after["dy"][None], "t": 0}
        execute(added, scope)
        after["dh"] = visitor.met(added, "dh", scope["dh"])
        known = step | self._kept(past, t) | after
        back = self.file.step_backward
        returned = [("da_x",), ("da_h",)] if self.name == "gru" else [("da",)]
        returned += [(f"d{s}_prev",) for s in self.states]
        results = call(back, self._arguments(back, known), visitor, returned)
        return list(results[-len(self.states) :])

    def back(self, past: Passage, t: int, ds: States) -> States:
        """Do the same, unseen."""
        dh = ds[0] + past.dy[t]
        known = {"params": past.params, "f": self.f, "q": exact, **self._kept(past, t)}
        known |= dict(zip((f"d{s}" for s in self.states), [dh, *ds[1:]], strict=True))
        results = self.file.step_backward(**self._arguments(self.file.step_backward, known))[-len(self.states) :]
        held = zip(results, [dh, *ds[1:]], strict=True)
        return [ragged.hold(past.lengths, t, new, old) for new, old in held]

    @property
    def gradients(self) -> Statement:
        """The lines of the parameters' gradients."""
        return find(self.file.backward, "gradients")

    @property
    def dx(self) -> Statement:
        """The line of dx."""
        return find(self.file.backward, "dx")

    def _kept(self, past: Passage, t: int) -> dict[str, Any]:
        """Return what a tape has of a step, by the names of `step_backward`."""
        known: dict[str, Any] = {f"{s}_prev": value[t] for s, value in zip(self.states, past.states, strict=True)}
        known |= {s: value[t + 1] for s, value in zip(self.states, past.states, strict=True)}
        if past.kept:
            known["gates"] = np.concatenate([past.kept[g][t] for g in self.gates], axis=-1)
            known |= {name: value[t] for name, value in past.kept.items() if name not in self.gates}
        return known

    @staticmethod
    def _arguments(function: FunctionType, known: Mapping[str, Any]) -> dict[str, Any]:
        code = function.__code__
        return {name: known[name] for name in code.co_varnames[: code.co_argcount]}


class Defined:
    """A cell that a user has defined."""

    def __init__(self, definition: Definition) -> None:
        self.its, self.states = definition, definition.states
        self.step, self.step_backward = (each.function for each in definition.functions)  # type: ignore[attr-defined]
        self.said = listed(sys.modules.get(self.step.__module__))
        self.inner = DefinedLoops(definition, exact)
        self.extra = (*definition.vectors, *definition.constants, *definition.matrices)
        self.blocks = {f"a.{gate}": ("a_h", k) for k, gate in enumerate(definition.from_h)}
        self.blocks |= {f"a.{gate}": ("a_x", k) for k, gate in enumerate(definition.from_x)}

    def loops(self) -> Any:
        """Return the time loops of the equations."""
        return self.inner

    def forward(self, visitor: Visitor, params: Any, x: np.ndarray, prev: States) -> tuple[States, np.ndarray, Any]:
        """Go through a step."""
        its = self.its
        x = visitor.given("x", x, "the input")
        fields = [field for field in params._fields if field != "extra" and getattr(params, field) is not None]
        params = params._replace(**{name: visitor.given(name, getattr(params, name), "parameter") for name in fields})
        kinds = {**dict.fromkeys(self.extra, "parameter"), **dict.fromkeys(its.constants, "option")}
        extra = [visitor.given(f"p.{n}", W, kinds[n]) for n, W in zip(self.extra, params.extra, strict=True)]
        prev = [
            visitor.given(f"prev.{s}", value, f"{s} of the step before")
            for s, value in zip(its.states, prev, strict=True)
        ]
        params = params._replace(extra=tuple(extra))
        visitor.called({f"params.{name}": name for name in fields} | {"states": "prev.h"})
        first, scope = find(LOOPS.forward, "a_x"), scope_of(LOOPS.step)
        scope |= {"self": self.inner, "params": params, "x": x[None], "states": prev, "m": []}
        execute(first, scope)
        scope["a_x"] = visitor.met(first, "a_x", scope["a_x"][0].copy())
        run(statements(LOOPS.step), scope, visitor, until="results")
        written: Any = its.functions[0]
        numbers = [*(scope["a"][name] for name in its.sums), *prev, *extra]
        named = [its.states, tuple(f"kept.{k}" for k in its.kept)]
        flat = written._flat(self._called(visitor, written, numbers, named))
        count = len(its.states)
        after = [_array(new, old) for new, old in zip(flat, prev, strict=False)]
        like = scope["a"][its.sums[0]]
        kept = [_array(k, like) for k in flat[count:]]
        visitor.called({f"state.{s}": s for s in its.states})
        end = find(LOOPS.forward, "y")._replace(reads=("h",))
        return after, visitor.met(end, "y", after[0].copy()), (params, kept, prev, after)

    def backward(self, visitor: Visitor, step: Any, past: Passage, t: int, ds: States) -> States:
        """Go back through a step."""
        its, (params, kept, prev, after) = self.its, step
        dy = visitor.given("dy", past.dy[t], "∂L/∂y, of the loss or the layer above")
        ds = [
            visitor.given(f"d{s}", d, f"dprev.{s} of the step after") for s, d in zip(its.states, ds, strict=True)
        ]
        added = find(LOOPS.backward, "ds", "upstream")
        scope = scope_of(LOOPS.step_backward) | {"ds": ds, "upstream": [dy[None], *[None] * (len(ds) - 1)], "t": 0}
        execute(added, scope)
        ds = scope["ds"]
        ds[0] = visitor.met(added._replace(reads=("dh", "dy")), "dh", ds[0])
        visitor.called({f"dstate.{s}": f"d{s}" for s in its.states})
        written: Any = its.functions[1]
        numbers = [*kept, *prev, *after, *ds, *params.extra]
        names = [(f"dprev.{s}" for s in its.states), (f"da.{g}" for g in its.sums)]
        names += [(f"dp.{v}" for v in (*its.vectors, *its.matrices))]
        results = self._called(visitor, written, numbers, [tuple(each) for each in names])
        found = statements(LOOPS.step_backward)
        labels: dict[str, Sequence[str]] = {"dprev": its.states, "dp": (), "like": ()}
        scope |= {"self": self.inner, "params": params, "kept": kept, "states": prev, "after": after, "dstates": ds}
        scope["m"] = []
        run(found, scope, visitor, until="results", labels=labels)
        scope["results"] = written._flat(results)
        run(found, scope, visitor, after="results", labels=labels)
        return [_array(d, old) for d, old in zip(scope["dprev"], ds, strict=True)]

    def back(self, past: Passage, t: int, ds: States) -> States:
        """Do the same, unseen."""
        ds = [ds[0] + past.dy[t], *ds[1:]]
        before, after = ([s[t + k] for s in past.states] for k in (0, 1))
        kept = [past.kept[name][t] for name in self.its.kept]
        _, _, dprev, _ = self.inner.step_backward(past.params, kept, before, after, ds, [])
        held = zip(dprev, ds, strict=True)
        return [ragged.hold(past.lengths, t, _array(new, old), old) for new, old in held]

    @property
    def gradients(self) -> Statement:
        """The lines of the parameters' gradients."""
        return find(LOOPS._gradients, RETURNED)

    @property
    def dx(self) -> Statement:
        """The line of dx."""
        return find(LOOPS.backward, "dx")

    def _called(self, visitor: Visitor, written: Any, numbers: list[Any], names: list[tuple[str, ...]]) -> Any:
        """Call one of the user's functions, whose arguments have names of the user's own."""
        code = written.function.__code__
        own = code.co_varnames[: code.co_argcount]
        visitor.called({name: each.word for name, each in zip(own, written.takes, strict=False)})
        arguments = dict(zip(own, written._grouped(numbers), strict=False))
        return call(written.function, arguments, visitor, names)


def _array(value: Any, like: np.ndarray) -> np.ndarray:
    """Return an array, made of a plain number if need be."""
    if isinstance(value, np.ndarray) and value.shape == like.shape:
        return value
    return np.array(np.broadcast_to(value, like.shape), like.dtype)
