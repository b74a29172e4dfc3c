"""Keras's layers, each as steps of a chain of ours: its settings understood, its weights in our order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..foreign import shown
from ..formats.chain import FUNCTIONS
from ..formats.passing import FeatureMask, Merged, Reversed, TokenMask, Zeroed
from ..formats.steps import Affine, Cells, Function, Looked, Pooled
from ..layers.defined import shipped
from ..layers.recurrent import GRU, LSTM, RNN
from ..layers.stack import Recurrent
from .architecture import Part, as_part
from .file import Stored
from .order import ORDER
from .settings import dtype_of, flag, function_of, must_be, sequences_of, size
from .weights import CantRead, Place, Shape, read_weights

BLOCKS = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}
"""Gates of each recurrent layer."""

GROUPS = {
    "Embedding": "embedding", "SimpleRNN": "simple_rnn", "GRU": "gru", "LSTM": "lstm", "Dense": "dense",
    "Bidirectional": "bidirectional", "TimeDistributed": "time_distributed",
}  # fmt: skip
"""What a .keras file calls a class."""

WITHOUT_USE = ("Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise", "AlphaDropout",
               "ActivityRegularization")  # fmt: skip
"""Layers that do nothing but in training."""

POOLINGS = {"GlobalAveragePooling1D": "mean", "GlobalMaxPooling1D": "max"}

ALIKE = ("units", "activation", "recurrent_activation", "use_bias", "reset_after", "return_sequences")
"""In which the directions of Bidirectional must agree."""


class Reader:
    """Reads one layer after another; knows what flows between them."""

    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self.steps: list[Any] = []
        self.axes: int | None = None  # of what flows, batch included
        self.width: int | None = None  # its last axis
        self.masked = False

    def read(self, part: Part) -> None:
        """Add what a layer does.

        Raises
        ------
        CantRead
            It is no layer of ours; the reason names the setting or the weight.
        """
        if "batch_input_shape" in part.config and not self.steps and self.axes is None:
            self._comes_in(part.config["batch_input_shape"])  # Keras 2, of the first layer
        if part.kind not in READ:
            code = "; code that a file holds is never run" if part.kind == "Lambda" else ""
            raise CantRead(f"its class must be one that docs/keras.md lists, got {shown(part.kind, 60)}{code}")
        READ[part.kind](self, part, Place(part.name, _group(part)))

    def _input(self, part: Part, _: Place) -> None:
        shape = part.config.get("batch_shape", part.config.get("batch_input_shape"))
        for key in ("sparse", "ragged"):
            must_be(part.config, key, False)
        if shape is not None:
            self._comes_in(shape)

    def _comes_in(self, shape: Any) -> None:
        if not isinstance(shape, list) or not 2 <= len(shape) <= 3:
            raise CantRead(f"what comes in must be tokens (batch, time) or (batch, time, features), got {shown(shape)}")
        self.axes = len(shape)
        self.width = size("the last axis of what comes in", shape[-1]) if shape[-1] and len(shape) == 3 else None

    def _weights(self, part: Part, place: Place, shapes: Mapping[str, Shape], k: int = 0, of: int = 1) -> Any:
        return read_weights(self.stored, place, shapes, dtype_of(part.config), k, of)

    def _embedding(self, part: Part, place: Place) -> None:
        sizes = tuple(size(key, part.config.get(key)) for key in ("input_dim", "output_dim"))
        if self.steps or self.axes not in (None, 2):
            raise CantRead("it must be the first layer, and read tokens (batch, time)")
        if flag(part.config, "mask_zero", False):
            self.steps.append(TokenMask())
            self.masked = True
        self.steps.append(Looked(self._weights(part, place, {"embeddings": sizes})["embeddings"]))
        self.axes, self.width = 3, sizes[1]

    def _masking(self, part: Part, _: Place) -> None:
        self._must_have_steps()
        value = part.config.get("mask_value", 0.0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CantRead(f"mask_value must be a number, got {shown(value)}")
        self.steps.append(FeatureMask(float(value)))
        self.masked = True

    def _dense(self, part: Part, place: Place) -> None:
        units, bias = size("units", part.config.get("units")), flag(part.config, "use_bias", True)
        if self.axes == 2 and not self.steps:
            self.width = None  # it was taken for time
        shapes: dict[str, Shape] = {"kernel": (self.width, units)} | ({"bias": (units,)} if bias else {})
        function = function_of(part.config, "activation", "linear", ("linear", *FUNCTIONS))
        found = self._weights(part, place, shapes)
        self.steps.append(Affine(found["kernel"].T, found.get("bias")))
        self.width = units
        self._apply(function)

    def _activation(self, part: Part, _: Place) -> None:
        self._apply(function_of(part.config, "activation", None, ("linear", *FUNCTIONS)))

    def _apply(self, function: str) -> None:
        if function != "linear":
            self.steps.append(Function(function))

    def _at_each_step(self, part: Part, place: Place) -> None:
        self._must_have_steps()
        inner = as_part(part.config.get("layer"))
        if inner.kind not in ("Dense", "Activation", *WITHOUT_USE):
            raise CantRead(f"the layer within it must be Dense, Activation or a dropout, got {shown(inner.kind)}")
        READ[inner.kind](self, inner, place._replace(inner=("layer",)))

    def _nothing(self, part: Part, _: Place) -> None:
        pass

    def _pooling(self, part: Part, _: Place) -> None:
        self._must_have_steps()
        if self.masked:
            raise CantRead("it must not stand behind a mask; call a layer of ours with lengths, and Pooling")
        must_be(part.config, "keepdims", False)
        if part.config.get("data_format", "channels_last") not in ("channels_last", None):
            raise CantRead(f"data_format must be channels_last, got {shown(part.config['data_format'])}")
        self.steps.append(Pooled(POOLINGS[part.kind]))
        self.axes = 2

    def _alone(self, part: Part, place: Place) -> None:
        self._must_have_steps()
        backwards, sequences = flag(part.config, "go_backwards", False), sequences_of(part.config)
        if backwards and sequences and self.masked:
            raise CantRead(
                "go_backwards must be false with return_sequences behind a mask: Keras hands on steps in the one order "
                "and their mask in the other"
            )
        cells = self._cells(part, place, ((("cell",), 0),))
        if backwards:
            self.steps.append(Reversed())
        self._add(cells, sequences, zeroed=flag(part.config, "zero_output_for_mask", False))

    def _both_ways(self, part: Part, place: Place) -> None:
        self._must_have_steps()
        mode = part.config.get("merge_mode", "concat")
        if mode not in ("concat", "sum", "mul", "ave"):
            raise CantRead(f"merge_mode must be concat, sum, mul or ave, got {shown(mode)}")
        inner = as_part(part.config.get("layer"))
        if inner.kind not in BLOCKS:
            raise CantRead(f"the layer within it must be one of {', '.join(BLOCKS)}, got {shown(inner.kind)}")
        other = part.config.get("backward_layer")
        backward = inner if other is None else as_part(other)
        if flag(inner.config, "go_backwards", False) or not (
            other is None or flag(backward.config, "go_backwards", False)
        ):
            raise CantRead("the layer must go forwards, and its backward_layer backwards")
        unlike = [key for key in ALIKE if inner.config.get(key) != backward.config.get(key)]
        if backward.kind != inner.kind or unlike:
            raise CantRead(f"both directions must be alike, got {', '.join(unlike) or 'two classes'} that differ")
        _checked(backward)
        sequences = sequences_of(inner.config)
        directions = ((("forward_layer", "cell"), 0), (("backward_layer", "cell"), 1))
        self._add(self._cells(inner, place, directions), sequences, zeroed=sequences)
        if mode != "concat":
            self.steps.append(Merged(mode))
            self.width = self.width // 2 if self.width else None

    def _cells(self, part: Part, place: Place, directions: tuple[tuple[tuple[str, ...], int], ...]) -> Cells:
        """Return a recurrent layer, in one direction or two."""
        kind, nonlinearity = _checked(part)
        H, blocks, of = size("units", part.config.get("units")), BLOCKS[part.kind], len(directions)
        shapes: dict[str, Shape] = {"kernel": (self.width, blocks * H), "recurrent_kernel": (H, blocks * H)}
        if flag(part.config, "use_bias", True):
            shapes["bias"] = (2, blocks * H) if kind is GRU else (blocks * H,)
        each = []
        for inner, k in directions:
            found = self._weights(part, place._replace(inner=inner), shapes, k, of)
            shapes["kernel"] = found["kernel"].shape
            each.append(ORDER[part.kind](found, kind))
        return Cells(kind, tuple(each), nonlinearity)

    def _add(self, cells: Cells, sequences: bool, *, zeroed: bool) -> None:
        """Add a recurrent layer, and which of its steps it hands on."""
        if self.steps and isinstance(self.steps[-1], Zeroed):
            self.steps.pop()  # no recurrent layer reads what stands there
        self.steps.append(cells)
        self.width = cells.width
        if self.masked and zeroed:
            self.steps.append(Zeroed())
        if not sequences:
            self.steps.append(Pooled("last"))
            self.axes, self.masked = 2, False

    def _must_have_steps(self) -> None:
        if self.axes == 2:
            raise CantRead("it must read steps (batch, time, features), got (batch, features)")
        self.axes = 3


READ: dict[str, Callable[[Reader, Part, Place], None]] = {
    "InputLayer": Reader._input,
    "Embedding": Reader._embedding,
    "Masking": Reader._masking,
    **dict.fromkeys(BLOCKS, Reader._alone),
    "Bidirectional": Reader._both_ways,
    "TimeDistributed": Reader._at_each_step,
    "Dense": Reader._dense,
    "Activation": Reader._activation,
    **dict.fromkeys(POOLINGS, Reader._pooling),
    **dict.fromkeys(WITHOUT_USE, Reader._nothing),
}
"""By class."""


def _group(part: Part) -> str:
    """Return what a .keras file calls a layer."""
    group = GROUPS.get(part.kind, "")
    return f"{group}_{part.number}" if part.number else group


def _checked(part: Part) -> tuple[type[Recurrent], str]:
    """Return the class of ours, and the nonlinearity of a vanilla RNN, if it has what this layer computes with."""
    config = part.config
    for key in ("stateful", "return_state", "time_major"):
        must_be(config, key, False)
    if part.kind == "SimpleRNN":
        return RNN, function_of(config, "activation", "tanh", ("tanh", "relu", "sigmoid"))
    function_of(config, "activation", "tanh", ("tanh",))
    function_of(config, "recurrent_activation", "hard_sigmoid", ("sigmoid",))  # what Keras had before it wrote it down
    if part.kind == "LSTM":
        return LSTM, ""
    return (GRU if flag(config, "reset_after", False) else shipped("ResetBeforeGRU")), ""
