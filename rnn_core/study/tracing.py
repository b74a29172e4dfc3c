"""`trace`: one step of a layer, or a few, forwards and backwards, every number of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..foreign import shown
from ..layers.layout import describe
from ..layers.stack import Recurrent
from .cells import BuiltIn, Defined, Walked
from .derivative import add_derivatives, parameter_derivatives
from .passing import Passed, pass_through
from .recording import Line, Recorder, link
from .result import Step, Trace

BACKENDS = ("numpy", "cpu")
"""Those whose tapes can be read."""


def trace(
    layer: Recurrent,
    x: Any,
    state0: Any = None,
    lengths: Any = None,
    *,
    t: int | Iterable[int] | None = None,
    dy: Any = None,
    depth: int = 0,
    reverse: bool = False,
    watch: Iterable[str] = (),
    derivatives: bool = True,
) -> Trace:
    """Return every number of a step of a layer, forwards and backwards, line by line as the equations have them.

    The lines are those of the cell's own `step` and `step_backward`, read from their file and run one by one.

    Parameters
    ----------
    layer : Recurrent
        RNN, LSTM, GRU, or a cell of your own; of a model it is ``model.rnn``. Dropout is off.
    x, state0, lengths
        As `forward` takes them.
    t : int or iterable of int, optional
        The step, or some, counted from 0; the one in the middle without it. A second direction walks from the end of
        each sequence, and its steps are counted so.
    dy : ndarray, shaped as y, optional
        ∂L/∂y. Ones without it: then the loss L is the sum of all outputs.
    depth : int
        Which layer of the stack, 0 for the lowest.
    reverse : bool
        The second direction of a bidirectional layer.
    watch : iterable of str
        Lines that are followed through all steps, by their keys: "c", "f", "dh′".
    derivatives : bool
        False leaves the complex step out.

    Returns
    -------
    Trace
        Print it, or `rnn_core.study.write_page` makes a page of it.

    Raises
    ------
    ValueError
        A step, a layer or a line is not there, or an argument is not as `forward` wants it.
    TypeError
        The layer is no recurrent one, or a step no int.
    RuntimeError
        The layer's numbers can't be followed: it is on the GPU, in bfloat16 or with zoneout, or the source of its cell
        can't be read.

    Notes
    -----
    Numbers that the layer's tape keeps (gates and states) are taken from it, bit for bit, whichever backend has made
    it. All others are what the lines give for them: of backend "numpy", too, the bits that its loops have had.
    """
    where = "trace"
    cell = _cell(where, layer)
    depth, reverse = _checked_place(where, layer, depth, reverse)
    passed = pass_through(layer, where, x, state0, lengths, dy, depth, int(reverse))
    past = passed.passage
    T, B, I = past.x.shape
    steps = _checked_steps(where, t, T)
    watch = _checked_watch(where, watch)
    found = _recorded(where, cell, passed, range(T) if watch else steps)
    for s in steps if derivatives else ():
        add_derivatives(cell, past, s, found[s])
    for recorder in found.values():
        link(recorder.lines)
    watched = {}
    for key in watch:
        if not any(line.key == key for line in found[0].lines):
            known = ", ".join(line.key for line in found[0].lines if line.value.ndim == 2)
            raise ValueError(f"{where}: watch must hold lines of the step, {known}, got {shown(key, 40)}")
        watched[key] = np.stack([found[s].at(key).value for s in range(T)])
    every = [Step(s, tuple(found[s].lines), found[s].running[:, 0]) for s in steps]
    name = f"l{depth}{'_reverse' if reverse else ''}"
    return Trace(
        layer.cell, name, layer.backend, layer.dtype.name, T, B, I, layer.hidden_size, tuple(every), watched,
        tuple(_gradients(cell, passed, derivatives=derivatives)),
    )  # fmt: skip


def _recorded(where: str, cell: Walked, passed: Passed, steps: Sequence[int]) -> dict[int, Recorder]:
    """Return what is written down of some steps, of which the first may be reached by going back unseen."""
    past, found = passed.passage, {}
    T, B, _ = past.x.shape
    rows = np.ones((B, 1), bool)
    ds = [np.zeros_like(s[0]) for s in past.states]
    for t in range(T - 1, min(steps) - 1, -1):
        if t not in steps:
            ds = cell.back(past, t, ds)
            continue
        running = rows if past.lengths is None else (t < past.lengths)[:, None]
        try:
            found[t] = _step(cell, passed, t, ds, running)
        except OSError as error:
            raise RuntimeError(
                f"{where}: the cell's functions must be in a file that can be read, got {error}; write them into one"
            ) from error
        ds = cell.back(past, t, ds)
    return found


def _step(cell: Walked, passed: Passed, t: int, ds: list[np.ndarray], running: np.ndarray) -> Recorder:
    """Write down one step, after a walk that tells by which names it has what the tape keeps."""
    past = passed.passage
    kept = {f"kept.{name}": value[t] for name, value in past.kept.items()}
    kept |= {name: value[t + 1] for name, value in zip(cell.states, past.states, strict=True)}
    prev = [s[t] for s in past.states]
    first = Recorder({}, {}, running)
    cell.forward(first, past.params, past.x[t], prev)
    by_name = {name.removeprefix("kept."): value for name, value in kept.items() if f"kept.{name}" not in first.known}
    for label, value in kept.items():
        if label in first.outputs:
            by_name[first.at(first.outputs[label]).slot.name] = value  # type: ignore[union-attr]
    recorder = Recorder(by_name, cell.said, running)
    _, _, step = cell.forward(recorder, past.params, past.x[t], prev)
    recorder.turn()
    cell.backward(recorder, step, past, t, ds)
    recorder.met(cell.dx, "dx", passed.dx[t])
    for s in cell.states:
        own = f"prev.{s}" in recorder.forward  # by the words of a user's cell
        before, back = (f"prev.{s}", f"dprev.{s}") if own else (f"{s}_prev", f"d{s}_prev")
        if t < len(past.x) - 1 and s in recorder.outputs:
            recorder.at(recorder.outputs[s]).onward = before
        if t > 0 and back in recorder.known:
            recorder.at(recorder.known[back]).onward = f"d{s}"
    for line in recorder.lines:
        if line.part == "given" and t == 0 and line.code.endswith("of the step before"):
            line.code = f"the initial {line.code.partition(' ')[0]}"
        if line.part == "given" and t == len(past.x) - 1 and line.code.endswith("of the step after"):
            line.code = "0, as no step comes after"
    return recorder


def _gradients(cell: Walked, passed: Passed, *, derivatives: bool) -> Iterator[Line]:
    """Yield the parameters' gradients over all steps, the backend's own, each with its line."""
    past, statement = passed.passage, cell.gradients
    texts = {part.name: part for part in statement.parts[0]}
    names = [name for name in passed.names if name not in texts]
    for field, name in passed.names.items():
        part = texts.get(field) or texts["extra"]
        gradient = getattr(passed.gradients, field) if field in texts else passed.gradients.extra[names.index(field)]
        line = Line(
            f"d{name}", "over all steps", statement.numbers, "", part.text, statement.file, statement.line, gradient,
            of=name,
        )  # fmt: skip
        if derivatives:
            at = None if field in texts else cell.extra.index(field)
            line.derivative, line.error = parameter_derivatives(cell, past, field, at, gradient)
        yield line


def _cell(where: str, layer: Any) -> Walked:
    """Return the cell of a layer that can be followed."""
    if not isinstance(layer, Recurrent):
        way_out = "; of a model take model.rnn" if hasattr(layer, "rnn") else ""
        raise TypeError(f"{where}: layer must be a recurrent layer, such as LSTM, got {describe(layer)}{way_out}")
    if layer.backend not in BACKENDS:
        raise RuntimeError(f"{where}: layer must be on the host, got backend={layer.backend!r}; take 'numpy' or 'cpu'")
    if layer.precision != "float32":
        raise RuntimeError(f"{where}: layer must multiply exactly, got precision={layer.precision!r}; leave that out")
    if layer.dtype.kind != "f":
        raise TypeError(f"{where}: layer must be float32 or float64, got {layer.dtype}; the complex step is its own")
    if layer.regularisers.zoned:
        raise RuntimeError(f"{where}: layer must have no zoneout, which changes its equations; make it without")
    definition = getattr(layer, "definition", None)
    return BuiltIn(layer.cell) if definition is None else Defined(definition)


def _checked_place(where: str, layer: Recurrent, depth: Any, reverse: Any) -> tuple[int, bool]:
    if isinstance(depth, bool) or not isinstance(depth, int | np.integer):
        raise TypeError(f"{where}: depth must be an int, got {shown(depth)}")
    if not 0 <= depth < layer.num_layers:
        raise ValueError(f"{where}: depth must be from 0 to {layer.num_layers - 1}, as the layers are, got {depth}")
    if not isinstance(reverse, bool):
        raise TypeError(f"{where}: reverse must be True or False, got {shown(reverse)}")
    if reverse and layer.directions == 1:
        raise ValueError(f"{where}: reverse must be False, as the layer is not bidirectional, got True")
    return int(depth), reverse


def _checked_steps(where: str, t: Any, T: int) -> list[int]:
    if t is None:
        return [T // 2]
    single = isinstance(t, int | np.integer)
    steps = [t] if single else list(t) if isinstance(t, Iterable) and not isinstance(t, str) else [t]
    for s in steps:
        if isinstance(s, bool) or not isinstance(s, int | np.integer):
            raise TypeError(f"{where}: t must be an int or some, got {shown(s)}")
        if not 0 <= s < T:
            raise ValueError(f"{where}: t must be from 0 to {T - 1}, as x has {T} steps, got {s}")
    if not steps:
        raise ValueError(f"{where}: t must name a step at least, got none")
    return sorted({int(s) for s in steps})


def _checked_watch(where: str, watch: Any) -> list[str]:
    names: list[Any] = list(watch) if isinstance(watch, Iterable) and not isinstance(watch, str) else [None]
    if not all(isinstance(one, str) for one in names):
        raise TypeError(f"{where}: watch must be names of lines, as ('c', 'f'), got {shown(watch)}")
    return list(dict.fromkeys(names))
