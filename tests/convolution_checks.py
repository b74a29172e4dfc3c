"""What convolutions and pools have to be: checks that hold for the code as it is, and fail for each planted bug."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from itertools import product
from typing import Any

import numpy as np
import pytest

from rnn_core import ConvClassifier, SequenceClassifier, SequenceTagger, gradcheck
from rnn_core.data import Batch
from rnn_core.layers import AvgPool, Conv1d, Conv2d, MaxPool, ReLU
from rnn_core.layers.convolution import conv, fast

TWO_TO_THREE, TWO_TO_TWO = ({"in_channels": 2, "out_channels": out} for out in (3, 2))
LAYERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "conv1d": (Conv1d, {**TWO_TO_THREE, "kernel_size": 3, "stride": 2, "padding": 1}),
    "conv1d dilated": (Conv1d, {**TWO_TO_THREE, "kernel_size": 2, "dilation": 3}),
    "conv1d causal": (Conv1d, {**TWO_TO_TWO, "kernel_size": 3, "padding": "causal"}),
    "conv2d": (Conv2d, {**TWO_TO_THREE, "kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)}),
    "conv2d same": (Conv2d, {**TWO_TO_TWO, "kernel_size": 2, "padding": "same", "dilation": (1, 2)}),
    "conv2d without bias": (Conv2d, {"in_channels": 3, "out_channels": 2, "kernel_size": 1, "bias": False}),
    "max": (MaxPool, {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)}),
    "max dilated": (MaxPool, {"kernel_size": 2, "stride": 1, "dilation": 2}),
    "mean": (AvgPool, {"kernel_size": 3, "stride": 2, "padding": 1}),
    "mean of what is there": (AvgPool, {"kernel_size": (3, 2), "padding": 1, "count_include_pad": False}),
}  # fmt: skip
"""A layer of each kind with each option, by a name."""


def layer(name: str, **more: Any) -> Any:
    """Return one of these layers."""
    kind, options = LAYERS[name]
    if issubclass(kind, Conv1d | Conv2d):
        more = {"dtype": np.float64, "seed": 3, "backend": "cpu", **more}
    return kind(**options, **more)


def drawn(name: str) -> np.ndarray:
    """Return an input for a layer."""
    kind, options = LAYERS[name]
    sizes = (9,) if kind is Conv1d else (6, 7)
    return np.random.default_rng(4).standard_normal((2, options.get("in_channels", 2), *sizes))


@contextmanager
def loops_of(where: str) -> Iterator[None]:
    """Have windows, ReLU and maxima computed by the kernels, or by NumPy as where there is no numba."""
    with pytest.MonkeyPatch.context() as patch:
        if where == "numpy":
            patch.setattr(fast, "_module", lambda name: None)
        yield


def everywhere(check: Callable[..., None]) -> Callable[..., None]:
    """Return a check that is made with the kernels and without them."""

    @wraps(check)
    def checked(*arguments: Any) -> None:
        for where in ("numpy", "kernels"):
            with loops_of(where):
                check(*arguments)

    return checked


@everywhere
def gradients(name: str) -> None:
    """The complex step, every element."""
    report = gradcheck(layer(name), drawn(name))
    assert report.passed, str(report)


@everywhere
def relu_gradients() -> None:
    """The complex step, every element."""
    report = gradcheck(ReLU(), np.random.default_rng(2).standard_normal((2, 3, 4, 5)))
    assert report.passed, str(report)


def options_by_axis(kind: Any, options: dict[str, Any]) -> tuple[int, list[tuple[int, int, int, int, int]]]:
    """Return over how many axes a window slides, and kernel, stride, dilation and both paddings of each."""
    rank = 1 if kind is Conv1d else 2

    def each(value: Any) -> list[int]:
        return list(value) if isinstance(value, tuple) else [value] * rank

    kernels, dilations = each(options["kernel_size"]), each(options.get("dilation", 1))
    strides = each(options.get("stride", 1 if kind in (Conv1d, Conv2d) else options["kernel_size"]))
    padding = options.get("padding", 0)
    rows = []
    for k, s, d, p in zip(kernels, strides, dilations, each(padding), strict=True):
        total = d * (k - 1)
        before, after = {"same": (total // 2, total - total // 2), "causal": (total, 0)}.get(p, (p, p))
        rows.append((k, s, d, before, after))
    return rank, rows


@everywhere
def by_hand(name: str) -> None:
    """Every number from a loop over windows and places, as the equations are written."""
    kind, options = LAYERS[name]
    _, axes = options_by_axis(kind, options)
    x, made = drawn(name), layer(name)
    counts = [(n + a + b - d * (k - 1) - 1) // s + 1 for n, (k, s, d, a, b) in zip(x.shape[2:], axes, strict=True)]
    found = made(x)
    outs = options.get("out_channels", x.shape[1])
    assert found.shape == (x.shape[0], outs, *counts)
    for b, o in product(range(x.shape[0]), range(outs)):
        for window in product(*map(range, counts)):
            seen = {}
            for place in product(*(range(axis[0]) for axis in axes)):
                at = [s * p + d * k - a for p, k, (_, s, d, a, _) in zip(window, place, axes, strict=True)]
                inside = all(0 <= q < n for q, n in zip(at, x.shape[2:], strict=True))
                seen[place] = x[(b, slice(None), *at)] if inside else None
            there = [value[o % x.shape[1]] for value in seen.values() if value is not None]
            if kind is MaxPool:
                expected = max(there)
            elif kind is AvgPool:
                expected = sum(there) / (len(seen) if options.get("count_include_pad", True) else len(there))
            else:
                W = made.parameters["weight"]
                expected = made.parameters["bias"][o] if "bias" in made.parameters else 0.0
                expected += sum(W[(o, slice(None), *at)] @ v for at, v in seen.items() if v is not None)
            np.testing.assert_allclose(found[(b, o, *window)], expected, rtol=1e-13, atol=1e-14)


def parts_of_a_batch_add_up() -> None:
    """Row by row, or a batch at once: the same to rounding."""
    made, x = layer("conv2d", backend="numpy"), np.random.default_rng(1).standard_normal((7, 2, 6, 7))
    results = []
    for size in (conv.BYTES, 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(conv, "BYTES", size)
            y, tape = made.forward(x)
            dx, grads = made.backward(tape, y)
        results.append((y, dx, *grads.values()))
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-13)


@everywhere
def ties_go_to_the_first() -> None:
    """Of equal numbers the first has the gradient, whole."""
    pool = MaxPool(2)
    _, tape = pool.forward(np.ones((1, 1, 4)))
    np.testing.assert_array_equal(pool.backward(tape, np.array([[[2.0, 3.0]]])), [[[2.0, 0.0, 3.0, 0.0]]])


FRONTS = {
    "frames": {"kind": "frames", "shape": [2, 4, 3], "channels": [3], "pool": 2},
    "frames of one channel": {"kind": "frames", "shape": [1, 6], "channels": [2, 3], "pooling": "mean"},
    "over time": {"kind": "over time", "input_size": 3, "channels": [4, 2]},
    "causal": {"kind": "over time", "input_size": 3, "channels": [2, 2], "padding": "causal", "dilation": 2},
}
"""Every front of convolutions, by a name."""

B, T, LENGTHS = 3, 5, np.array([5, 2, 4])


def fronted(name: str, kind: Any = SequenceClassifier, **more: Any) -> Any:
    """Return a model with a front."""
    options: dict[str, Any] = {"dtype": np.float64, "seed": 1, "backend": "numpy", **more}
    return kind(3, 4, front=FRONTS[name], **options)


def steps(name: str) -> np.ndarray:
    """Return an input for a front."""
    shape = {"frames": (2, 4, 3), "frames of one channel": (6,)}.get(name, (3,))
    return np.random.default_rng(5).standard_normal((B, T, *shape))


def front_gradients(name: str) -> None:
    """The complex step of a model with a front, with lengths, both with respect to x and in a training step."""
    model = fronted(name, bidirectional=True, pooling="mean")
    report = gradcheck(model, steps(name), lengths=LENGTHS)
    assert report.passed, str(report)
    report = gradcheck(model, Batch(steps(name), np.array([0, 2, 1]), LENGTHS))
    assert report.passed, str(report)


def filled(x: np.ndarray) -> np.ndarray:
    """Return rows with NaN past their lengths."""
    x = x.copy()
    for row, length in enumerate(LENGTHS):
        x[row, length:] = np.nan
    return x


@contextmanager
def nothing_is_looked_at() -> Iterator[None]:
    """Fail where a NaN is met and refused."""
    try:
        yield
    except ValueError as error:
        raise AssertionError("the padding is looked at") from error


def padding_reaches_nothing(name: str) -> None:
    """What stands past a row's length changes no bit, and a row alone gives what it gives among longer ones."""
    model, x = fronted(name, bidirectional=True, pooling="max"), steps(name)
    expected = model(x, LENGTHS)
    with nothing_is_looked_at():
        found = model(filled(x), LENGTHS)
    np.testing.assert_array_equal(found, expected)
    for row, length in enumerate(LENGTHS):
        np.testing.assert_allclose(model(x[row : row + 1, :length]), expected[row : row + 1], rtol=1e-12)


def padding_reaches_no_gradient(name: str) -> None:
    """Nor does it change a bit of a gradient; and the gradient of what stands there is zero."""
    model, x, targets = fronted(name), steps(name), np.array([0, 2, 1])
    with nothing_is_looked_at():
        one, two = (model.loss_and_gradients(Batch(inputs, targets, LENGTHS)) for inputs in (x, filled(x)))
    for parameter, gradient in one.gradients.items():
        np.testing.assert_array_equal(two.gradients[parameter], gradient)
    z, tape = model.forward(x, LENGTHS)
    dx, _ = model.backward(tape, z)
    assert dx is not None
    for row, length in enumerate(LENGTHS):
        assert not dx[row, length:].any()
        assert dx[row, :length].any()


def causal_sees_nothing_ahead() -> None:
    """With causal padding what comes later changes no bit of what a step has said; with "same" it does."""
    x = steps("causal")
    other = x.copy()
    other[:, 3:] += 1
    for padding, seen in (("causal", False), ("same", True)):
        front = {**FRONTS["causal"], "padding": padding}
        model = SequenceTagger(3, 4, front=front, bidirectional=False, dtype=np.float64, seed=1, backend="numpy")
        assert (model(x)[:, :3] != model(other)[:, :3]).any() == seen


def classifier(**options: Any) -> ConvClassifier:
    """Return a small model in float64."""
    options = {"num_classes": 3, "input_shape": (2, 6, 5), "channels": (3, 4), **options}
    return ConvClassifier(dtype=np.float64, seed=2, backend="numpy", **options)


MODELS: dict[str, dict[str, Any]] = {
    "flatten": {},
    "means": {"summary": "mean", "pooling": "mean", "channels": (3,)},
    "hidden": {"hidden_size": 4, "dropout": 0.3},
    "sigmoid": {"num_classes": 1},
    "strides": {"pool": None, "stride": 2, "padding": 1},
    "one axis": {"input_shape": (2, 9)},
}
"""Models with each option, by a name."""


def images(model: ConvClassifier, rows: int = 3) -> np.ndarray:
    """Return an input for a model."""
    return np.random.default_rng(6).standard_normal((rows, *model.blocks.input_shape))


def model_gradients(name: str) -> None:
    """The complex step of a model: of its logits, and of a training step with weights."""
    model = classifier(**MODELS[name])
    x = images(model)
    report = gradcheck(model, x)
    assert report.passed, str(report)
    targets = np.array([0, 1, 1.0]) if model.num_classes == 1 else np.array([0, 2, 1])
    report = gradcheck(model, Batch(x, targets, None, np.array([1.0, 0.0, 2.5])))
    assert report.passed, str(report)
