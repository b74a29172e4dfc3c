"""`define`: from the names and the two functions of a cell to its layer."""

from __future__ import annotations

import inspect
import keyword
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any

from kernels.contract import CELLS, DefinedParameters
from kernels.definition import Definition, Program

from ..foreign import shown
from ..layers.defined import SHIPPED, Cell, Defining, Initial, register, signature, spec_of, taken_names
from .derived import derived, dropped_of
from .mistakes import Place, caller, mistake
from .names import Group, Ones, check_names, checked_flag, group, heard, options_of, reached
from .projection import check_projection, projected
from .writing import Written


def define(
    name: str,
    step: Callable[..., Any],
    step_backward: Callable[..., Any],
    *,
    gates: Any,
    states: Any,
    kept: Any = None,
    parameters: Any = None,
    options: Any = None,
    streams: Any = None,
    masks: Any = None,
    from_x: Iterable[str] | None = None,
    from_h: Iterable[str] | None = None,
    initial: Mapping[str, Initial] | None = None,
    matrices: Any = None,
    projection: str | None = None,
    recurrent: Iterable[str] | None = None,
    heads: bool = False,
    bias: bool = True,
) -> type[Cell]:
    """Define a cell: return the class of its layers.

    Both functions are of one unit's numbers, element by element. They are called as they are on arrays, and once, now,
    on symbols, which gives what the kernels carry out. docs/cells.md is the whole of it, with examples.

    Parameters
    ----------
    name : str
        The cell's, by which models (``cell=``) and saved files call it.
    step : function
        ``step(a, prev, p)`` returns ``(state, kept)``: from the sums and the states before to the states after, and
        what `step_backward` wants besides.
    step_backward : function
        ``step_backward(kept, prev, state, dstate, p)`` returns ``(dprev, da, dp)``: from the gradients of the states
        after to those of the states before, of the sums and of the parameters. What h gets through W_h is not its
        matter, nor are sums over time and batch.
        `p` is there, and `dp`, if there are parameters; with options alone `p` is there without `dp`. With streams both
        functions take them as `m`, before `p`.
    gates : NamedTuple class or tuple of str
        The sums W_x x + b_x + W_h h + b_h, in the order of their rows in the weights.
    states : NamedTuple class or tuple of str
        The first is "h": the output, and what W_h multiplies.
    kept : NamedTuple class or tuple of str, optional
    parameters : NamedTuple class or tuple of str, optional
        Parameters of one number a unit, (H,), in each layer and direction.
    options : NamedTuple class of floats with defaults, optional
        Hyperparameters: a layer takes them by keyword, and a file keeps them.
    streams : NamedTuple class or tuple of str, optional
        Numbers that come with each step, and have no gradient. For the time loops of a backend; a layer has none.
    masks : NamedTuple class or tuple of str, optional
        Factors of the cell's candidates: both functions take them as `d`, after `m` and before `p`. They are 1, and
        cost nothing, but where a layer trains with `candidate_dropout`.
    from_x, from_h : tuple of str, optional
        The gates that W_x x + b_x adds to, and those that W_h h + b_h adds to; all of them without it. With
        ``from_h=()`` there is no weight_hh.
    initial : mapping, optional
        How parameters begin, by name ("weight_hh", "bias_ih", or one of `parameters`): a number, or a function of a
        generator and a shape. From U(−1/√H, 1/√H) without it.
    matrices : NamedTuple class or tuple of str, optional
        Parameters (H, H) in each layer and direction, for `product`. `p` holds parameters, then matrices, then options;
        `dp` holds parameters, then matrices, each as an `outer(d, v)`.
    projection : str, optional
        One of the matrices: h is ``product(p.name, v)`` and has P numbers, the layer's `proj_size`. The matrix is
        (P, H), weight_hh is (rows, P), and all else has H. Then `step` doesn't read prev.h, dprev.h is 0, and dstate.h
        stands in ``product_transposed(p.name, dstate.h)`` and ``outer(dstate.h, v)`` alone.
    recurrent : tuple of str, optional
        Those of the matrices through which a step hears the step before, as it does through W_h: `weight_drop` and
        `recurrent_dropout` are of them, too. None without it.
    heads : bool
        A layer takes `num_heads`: W_h is block-diagonal, and weight_hh is (rows, H/num_heads).
    bias : bool
        False leaves bias_ih and bias_hh out of every layer.

    Returns
    -------
    type
        A subclass of `Cell`, and so of `Recurrent`: ``PeepholeLSTM(8, 32, num_layers=2, backend="cpu")``.

    Raises
    ------
    CellError
        A ValueError that names the file and the line: names that come twice or clash, a function that does what can't
        be written down, or doesn't return what it must.
    """
    place = caller()
    _check_name(place, name, getattr(step, "__module__", None))
    a = group(place, "a", "gate", "gates", gates)
    s = group(place, "prev", "state", "states", states)
    k = group(place, "kept", "number", "kept", kept)
    v = group(place, "dp", "parameter", "parameters", parameters)
    w = group(place, "dp", "matrix", "matrices", matrices)
    m = group(place, "m", "stream", "streams", streams)
    d = group(place, "d", "mask", "masks", masks)
    defaults = options_of(place, options)
    check_names(place, s, v, w, defaults)
    x, h = reached(place, a, from_x, from_h)
    flags = {"heads": checked_flag(place, "heads", heads), "biased": checked_flag(place, "bias", bias)}
    if heads and not h:
        raise mistake(place, "define", "heads must be False with from_h=(), as there is no W_h", quoted=False)
    p, dp = _p(v, w, options, defaults), _p(v, w, None, {})
    more = [*([m] if m.names else []), *([Ones(*d)] if d.names else []), *([p] if p.names else [])]
    forward, backward = _written(place, (step, step_backward), (a, s, k), more, dp)
    own = [Group("p", "option", options)] if defaults else []
    programs = _programs(forward, backward, (a, v.called("p"), w.called("p")), (m, *own))
    definition = Definition(
        name, a.names, x, h, s.names, k.names, m.names, v.names, tuple(defaults), *programs, (forward, backward),
        forward.function.__module__, w.names, projected(place, projection, w.names), heard(place, recurrent, w.names),
    )  # fmt: skip
    check_projection(definition, forward, backward)
    body = {
        "cell": name, "definition": definition, "its_spec": spec_of(definition), "defaults": defaults,
        "file": forward.function.__code__.co_filename, "initial": _initial(place, definition, initial, bias=bias),
        "dropped": _dropped(definition, d), **flags,
        "__module__": definition.module, "__qualname__": name,
        "__signature__": signature(defaults, projected=bool(definition.projection), heads=heads),
        "__doc__": inspect.getdoc(step) or f"A stack of the cell {name!r}.",
    }  # fmt: skip
    layer: Any = Defining(name, (Cell,), body)
    try:
        register(layer)
    except ValueError as error:
        raise mistake(place, "define", str(error), quoted=False) from None
    return layer


def _written(
    place: Place, functions: tuple[Any, Any], groups: tuple[Group, Group, Group], more: Iterable[Group], dp: Group
) -> tuple[Any, Any]:
    """Return `step` and `step_backward` with what they take and return, if they take that."""
    a, s, k = groups
    forward = Written(_function(place, "step", functions[0]), (a, s, *more), (s.called("state"), k))
    backward = Written(
        _function(place, "step_backward", functions[1]),
        (k, s, s.called("state"), s.called("dstate"), *more),
        (s.called("dprev"), a.called("da"), *([dp.called("dp")] if dp.names else [])),
    )
    for written in (forward, backward):
        written.check_signature()
    return forward, backward


def _programs(
    forward: Written, backward: Written, by_step: Iterable[Group], by_either: Iterable[Group]
) -> tuple[Program, Program]:
    """Return both functions written down, if all that they are given is read; some may be for gradients alone."""
    programs = forward.program(), backward.program()
    for each in by_step:
        forward.check_read(each, programs[0])
    for each in by_either:
        forward.check_read(each, *programs)
    return programs


def _dropped(its: Definition, masks: Group) -> Definition | None:
    """Return a cell with its masks as streams, behind its own; None for one that has none."""
    if not masks.names:
        return None
    functions: Any = tuple(each.masked() for each in its.functions)  # type: ignore[attr-defined]
    step, step_backward = (each.program() for each in functions)
    functions[0].check_read(masks, step)
    how: dict[str, Any] = {"streams": its.streams + masks.names, "functions": functions}
    return derived(its, dropped_of, (its.name, its.module, its.digest), step=step, step_backward=step_backward, **how)


def _check_name(place: Place, name: Any, module: Any) -> None:
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise mistake(place, "define", f"name must be a name as Python's classes have, got {shown(name)}", quoted=False)
    built_in = {*CELLS, "rnn", *(taken.lower() for taken in taken_names())}
    others = {shipped.lower() for shipped, where in SHIPPED.items() if where != module}
    if name.lower() in built_in | others:
        raise mistake(place, "define", f"name must be the cell's own, got {name!r}, which rnn_core has", quoted=False)


def _function(place: Place, argument: str, given: Any) -> FunctionType:
    if not isinstance(given, FunctionType):
        raise mistake(place, "define", f"{argument} must be a function made by def, got {shown(given)}", quoted=False)
    return given


def _p(vectors: Group, matrices: Group, options: Any, defaults: Mapping[str, float]) -> Group:
    """Return what the functions get as `p`: parameters, then matrices, then options."""
    kinds = [kind for kind in (vectors, matrices) if kind.names]
    if len(kinds) + bool(defaults) == 1:
        make: Any = options if defaults else kinds[0].make
    else:
        own = namedtuple("Parameters", (*vectors.names, *matrices.names, *defaults))  # type: ignore[misc]
        make = own
    return Group("p", "parameter or option" if defaults else "parameter", make, matrices.names)


def _initial(
    place: Place, definition: Definition, given: Mapping[str, Initial] | None, *, bias: bool
) -> dict[str, Initial]:
    """Return how parameters begin, if they are named right."""
    its = DefinedParameters._fields[:-1] if definition.from_h else ("weight_ih", "bias_ih")
    weights = [field for field in its if bias or not field.startswith("bias")]
    names = (*weights, *definition.vectors, *definition.matrices)
    found = dict(given or {})
    for name, begin in found.items():
        if name not in names:
            raise mistake(
                place, "define", f"initial must be of parameters, {', '.join(names)}, got {shown(name)}", quoted=False
            )
        if not callable(begin) and (isinstance(begin, bool) or not isinstance(begin, int | float)):
            raise mistake(
                place, "define", f"initial must hold a number or a function (rng, shape) for {name!r}, got "
                f"{shown(begin)}", quoted=False,
            )  # fmt: skip
    return found
