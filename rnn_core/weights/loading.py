"""`load`: from what a file says to a layer or model, and not a byte of memory before both are known to fit.

What a file says is data. Its class is looked up among those that are imported, its config is held against the
constructor's annotations, and the shapes that follow from it against those of the arrays. Where the network runs, and
what draws its numbers, is never the file's to choose.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from math import prod
from typing import Any

import numpy as np

from ..foreign import one_line, parse_json, shown
from ..layers.base import Layer
from ..layers.checks import check_finite
from ..layers.defined import DEFINED
from ..layers.first_values import outlined, undrawn
from ..layers.quantized import quantized_shell
from ..layers.stack import Recurrent
from ..schema import check_arguments
from .beside import from_header, put_beside
from .cells import check_cells, check_options
from .file import Contents, Path, opened

FORMAT, VERSION = "rnn_core", "1"
QUANTIZED = "quantized"
"""The key under which a model's file says that its weights are "int8"; of a layer its class says so."""

NOT_THE_FILES = ("backend", "seed")
"""Arguments of a constructor that no file holds: what was trained on one machine loads on any."""


def load(path: Path, *, backend: str | None = None, dtype: Any = None, precision: str | None = None) -> Any:
    """Return the layer or model that `save` wrote: with the same parameters, it computes the same bits.

    What stood beside a model is its attributes `tokenizer`, `target_tokenizer`, `classes`, `scaling`, `target_scaling`,
    `task`, `reading` and `record`; None where nothing did.

    Parameters
    ----------
    path : path
        The file, or a folder with ``model.safetensors`` in it, which is read and nothing else there.
    backend : {"numpy", "cpu", "cuda"}, optional
        Where its core runs, and so where its arrays live; the best one present on the host by default.
    dtype : dtype, optional
        float32 or float64; that of the file by default.
    precision : {"float32", "bfloat16"}, optional
        In what its core and heads multiply; as the file says by default, or in `dtype` if that is float64.

    Raises
    ------
    ValueError
        The file is cut short or damaged (the message says which array), comes from another program or a newer version,
        holds plain arrays, or its arrays don't fit its own description or aren't finite, in `dtype` if one is given;
        or a cell of a user's own has other gates, states, parameters or defaults by now.
    OSError
        The file is missing or can't be read.
    RuntimeError
        The backend is not available, or a cell of a user's own is not defined here; the message says why, or which file
        to import.

    Warns
    -----
    UserWarning
        The step of a cell of a user's own is another than it was.

    Notes
    -----
    Only a class that is imported can be named by a file: rnn_core's own, or a subclass of theirs.
    """
    with opened("load", path) as contents:
        _check_kind(contents)
        cells = check_cells(contents)
        try:
            build = _description(contents.metadata)
            _check_shapes(build, contents.shapes)
            parts = from_header(contents.metadata)
        except Exception as error:  # a class of a user's own may raise anything for a config that it did not write
            raise _liar(contents, error) from error
        arrays = contents.arrays()
    try:
        with undrawn():
            target = build()
        put_beside(target, parts)
        target.load_state_dict(arrays)
    except Exception as error:
        raise _liar(contents, error) from error
    check_options(contents, cells, target)
    if dtype is None and backend is None and precision is None:
        return target
    with undrawn(), np.errstate(over="ignore"):
        twin = target.astype(target.dtype if dtype is None else dtype, backend, precision)
    for name, array in twin.parameters.items():
        if twin.dtype.itemsize < target.dtype.itemsize:
            check_finite(f"load: {contents.path!r} as {twin.dtype}", name, array)
    return twin


def class_named(name: str) -> type[Layer]:
    """Return the kind of layer of that name: rnn_core's own or, where it has none, the first that was imported.

    Raises
    ------
    ValueError
        There is none.
    """
    classes: list[type[Layer]] = [Layer]
    for known in classes:
        classes.extend(known.__subclasses__())
    found = [known for known in classes if known.__name__ == name]
    if not found:
        raise ValueError(f"there is no layer or model called {shown(name)}; import the module that defines it first")
    own = [known for known in found if known.__module__.startswith(f"{FORMAT}.")]
    return own[0] if own else DEFINED.get(name, found[0])  # a cell may have been defined more than once


def _check_kind(contents: Contents) -> None:
    """Raise ValueError if a file holds something else than a layer or model of this version."""
    header, path = contents.metadata, contents.path
    if header.get("format") != FORMAT:
        raise ValueError(
            f"load: path must be a file that rnn_core.save wrote, got {path!r}, which comes from another program; "
            "read_arrays returns its arrays, for load_state_dict"
        )
    if header.get("format_version") != VERSION:
        version = one_line(header.get("format_version"), 20)
        raise ValueError(
            f"load: format_version must be {VERSION}, got {version} in {path!r}; it takes a newer rnn_core to read it"
        )
    if "checkpoint" in header:
        raise ValueError(
            f"load: path must hold a layer or model, got {path!r}, which is a checkpoint of fit: "
            "fit(..., resume=True) goes on from it, and best.safetensors beside it is for load"
        )
    if "class" not in header:
        raise ValueError(f"load: path must hold a layer or model, got {path!r} with plain arrays; use read_arrays")
    if "config" not in header:
        raise ValueError(
            f"load: path must say how its {one_line(header['class'], 40)} is built, got {path!r}, whose header lacks "
            "the key 'config'; read_arrays returns its arrays, for load_state_dict"
        )


def _description(header: Mapping[str, str]) -> Callable[[], Layer]:
    """Return what builds the layer or model that a header describes, if its class takes such arguments."""
    kind = class_named(header["class"])
    if kind in (Layer, Recurrent) or inspect.isabstract(kind):
        raise ValueError(f"{kind.__name__} is a base class, of which there are no files")
    config = parse_json("its header", "config", header["config"], unique=True)
    check_arguments("config", kind, config, without=NOT_THE_FILES)
    if "dtype" in config and config["dtype"] not in ("float32", "float64"):
        raise ValueError(f"config: dtype must be float32 or float64, got {shown(config['dtype'])}")
    if QUANTIZED not in header:
        return lambda: kind(**config)
    if header[QUANTIZED] != "int8":
        raise ValueError(f"{QUANTIZED} must be int8, got {shown(header[QUANTIZED])}; a newer rnn_core may read it")
    return lambda: quantized_shell(kind(**config))


def _check_shapes(build: Callable[[], Layer], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ValueError, before anything is built, where a description can't be that of the arrays."""
    largest = max((prod(shape) for shape in shapes.values()), default=0)
    with outlined(SPARE_ARRAYS + 4 * len(shapes), SPARE_NUMBERS + 4 * largest):
        expected = {name: tuple(array.shape) for name, array in build().parameters.items()}
    missing = [name for name in expected if name not in shapes]
    unknown = [name for name in shapes if name not in expected]
    if missing or unknown:
        raise ValueError(f"names must be those of the parameters; missing: {_few(missing)}; unknown: {_few(unknown)}")
    for name, shape in expected.items():
        if shapes[name] != shape:
            raise ValueError(
                f"config and arrays must fit: {name} must have shape {shown(shape)}, got {shown(shapes[name])}"
            )


SPARE_ARRAYS, SPARE_NUMBERS = 64, 1 << 20
"""What a constructor may make that is no parameter, besides as much as a file holds, four times over."""


def _few(names: Collection[str]) -> str:
    """Return names, three of them at most."""
    few = [shown(name, 40).strip("'") for name in list(names)[:3]]
    return ", ".join(few or ["none"]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _liar(contents: Contents, error: Exception) -> ValueError:
    """Return the error of a file whose description is no description, or not that of its arrays."""
    return ValueError(f"load: {contents.path!r} does not hold what it says it holds: {one_line(error, 220)}")
