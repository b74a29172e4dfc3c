"""Bugs in convolutions, in pools, and in the models that they are part of."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests import convolution_checks as checks

from .mutation import Mutation

CONV, POOLS = "layers.convolution.conv:Convolution", "layers.convolution.pools"
GEOMETRY = "layers.convolution.geometry"


def bug(
    name: str, target: str, old: str, new: str, check: Callable[..., None], *arguments: str, times: int = 1
) -> Mutation:
    """Return a bug in rnn_core."""
    return Mutation(f"convolution: {name}", f"rnn_core.{target}", old, new, check, arguments, times)


def _windows() -> Iterator[Mutation]:
    axis = f"{GEOMETRY}:Axis"
    yield bug("the kernel is mirrored", f"{axis}.places", "self.dilation * k",
              "self.dilation * (self.kernel - 1 - k)", checks.by_hand, "conv1d")  # fmt: skip
    yield bug("the last window is dropped", f"{axis}.count", "// self.stride + 1", "// self.stride",
              checks.by_hand, "conv2d")  # fmt: skip
    yield bug("stride and dilation change places", f"{axis}.places",
              "first + self.stride * (windows - 1) + 1, self.stride)",
              "first + self.dilation * (windows - 1) + 1, self.dilation)", checks.by_hand, "conv1d")  # fmt: skip
    yield bug("a window's places lie side by side whatever the dilation", f"{axis}.places", "self.dilation * k", "k",
              checks.by_hand, "conv1d dilated")  # fmt: skip
    yield bug("padding that is odd lies before, not behind", f"{GEOMETRY}:geometry", "(n // 2, n - n // 2)",
              "(n - n // 2, n // 2)", checks.by_hand, "conv2d same")  # fmt: skip
    yield bug("causal padding lies on both sides", f"{GEOMETRY}:geometry", "else (n, 0)", "else (n - n // 2, n // 2)",
              checks.causal_sees_nothing_ahead)  # fmt: skip
    yield bug("a place in several windows keeps the last one's gradient", "layers.convolution.windows:from_columns",
              "] += parts", "] = parts", checks.gradients, "conv2d")  # fmt: skip


def _layers() -> Iterator[Mutation]:
    yield bug("the kernel's two last axes change places", f"{CONV}._apply", "W = xp.reshape(weight, ",
              "W = xp.reshape(xp.moveaxis(weight, -1, 1), ", checks.by_hand, "conv2d")  # fmt: skip
    yield bug("the bias is added to no window", f"{CONV}._apply", 'if "bias" in self.parameters:', "if False:",
              checks.by_hand, "conv1d")  # fmt: skip
    yield bug("the gradient of the bias is one row's", f"{CONV}.backward", "xp.sum(dy, axis=(0, ",
              "xp.sum(dy[:1], axis=(0, ", checks.gradients, "conv1d")  # fmt: skip
    yield bug("the gradient of the kernel is the last part's", f"{CONV}.backward", "dW += part", "dW[...] = part",
              checks.parts_of_a_batch_add_up)  # fmt: skip
    yield bug("the slope of a ReLU is that of its gradient", "layers.convolution.pointwise:ReLU.backward",
              "xp.where(tape.positive,", "xp.where(dy > 0,", checks.relu_gradients)  # fmt: skip


def _pools() -> Iterator[Mutation]:
    yield bug("a maximum's gradient goes to the last of equal ones", f"{POOLS}:MaxPool._pool",
              "_real(xp, one) > _real(xp, y)", "_real(xp, one) >= _real(xp, y)",
              checks.ties_go_to_the_first)  # fmt: skip
    yield bug("a maximum's gradient goes to its whole window", f"{POOLS}:MaxPool._share",
              "xp.where(tape.taken == k, dy, xp.zeros_like(dy))", "dy", checks.ties_go_to_the_first)  # fmt: skip
    yield bug("padding is a zero that may be the largest", f"{POOLS}:MaxPool._pool", "found, -np.inf", "found",
              checks.by_hand, "max")  # fmt: skip
    yield bug("padding counts in a mean that leaves it out", f"{POOLS}:AvgPool._shares", "if self.count_include_pad:",
              "if True:", checks.by_hand, "mean of what is there")  # fmt: skip
    yield bug("a mean's gradient is not shared out", f"{POOLS}:AvgPool._share", "dy * tape.shares", "dy",
              checks.gradients, "mean")  # fmt: skip
    yield bug("a mean over all places is a sum in the backward", f"{POOLS}:GlobalAvgPool.backward",
              "dy * (1 / prod(places))", "dy", checks.model_gradients, "means")  # fmt: skip


def _models() -> Iterator[Mutation]:
    fronts = "models.fronts.convolutions"
    yield bug("the padding past a row's length leaks into its last steps", f"{fronts}:_held", "if valid is None",
              "if True", checks.padding_reaches_nothing, "causal")  # fmt: skip
    yield bug("only the first convolution is kept from the padding", f"{fronts}:OverTime.__call__",
              "layer(_held(y, valid))", "layer(_held(y, valid) if layer is self.convolutions[0] else y)",
              checks.padding_reaches_nothing, "over time")  # fmt: skip
    yield bug("frames past a row's length take part", f"{fronts}:Frames._frames", "if lengths is None:", "if True:",
              checks.padding_reaches_no_gradient, "frames")  # fmt: skip
    yield bug("what comes back from the padding is not cut off", f"{fronts}:OverTime.backward",
              "dy if dx is None else _held(dx, valid)", "dy if dx is None else dx",
              checks.front_gradients, "over time")  # fmt: skip
    yield bug("a hidden layer's ReLU is forgotten on the way back",
              "models.convolutional:ConvClassifier._backward_below",
              "self.relu.backward(tape.relu, dq)", "dq", checks.model_gradients, "hidden")  # fmt: skip


MUTATIONS = (*_windows(), *_layers(), *_pools(), *_models())
