"""Keras's layers, each as steps of a chain of ours: its configuration understood, its weights in our order.

==================  ==================================================================================================
kernel              (I, blocks·H): its transpose is our weight_ih, a block of H rows for each gate
recurrent_kernel    (H, blocks·H): that of weight_hh
bias                (blocks·H), our bias_ih; (2, blocks·H) of a GRU with reset_after: bias_ih, and bias_hh
==================  ==================================================================================================

Keras's LSTM has its blocks in our order, i, f, g, o, and its GRU in the order z, r, n. Nothing is computed, so that
weights keep their bits. `unit_forget_bias` is about first values; what was trained is in the bias.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..foreign import shown
from ..formats.chain import FUNCTIONS
from ..formats.passing import FeatureMask, Merged, Reversed, TokenMask, Zeroed
from ..formats.steps import Affine, Cells, Function, Looked, Pooled
from ..layers.defined import shipped
from ..layers.recurrent import GRU, LSTM, RNN
from ..layers.stack import Recurrent
from .architecture import Part, as_part
from .file import Stored
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
            _must_be(part.config, key, False)
        if shape is not None:
            self._comes_in(shape)

    def _comes_in(self, shape: Any) -> None:
        if not isinstance(shape, list) or not 2 <= len(shape) <= 3:
            raise CantRead(f"what comes in must be tokens (batch, time) or features (batch, time, I), got {shown(shape)}")
        self.axes = len(shape)
        self.width = _size("the last axis of what comes in", shape[-1]) if shape[-1] and len(shape) == 3 else None

    def _weights(self, part: Part, place: Place, shapes: Mapping[str, Shape], k: int = 0, of: int = 1) -> Any:
        return read_weights(self.stored, place, shapes, _dtype(part.config), k, of)

    def _embedding(self, part: Part, place: Place) -> None:
        sizes = tuple(_size(key, part.config.get(key)) for key in ("input_dim", "output_dim"))
        if self.steps or self.axes not in (None, 2):
            raise CantRead("it must be the first layer, and read tokens (batch, time)")
        if _flag(part.config, "mask_zero", False):
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
        units, bias = _size("units", part.config.get("units")), _flag(part.config, "use_bias", True)
        if self.axes == 2 and not self.steps:
            self.width = None  # it was taken for time
        shapes: dict[str, Shape] = {"kernel": (self.width, units)} | ({"bias": (units,)} if bias else {})
        function = _function(part.config, "activation", "linear", ("linear", *FUNCTIONS))
        found = self._weights(part, place, shapes)
        self.steps.append(Affine(found["kernel"].T, found.get("bias")))
        self.width = units
        self._apply(function)

    def _activation(self, part: Part, _: Place) -> None:
        self._apply(_function(part.config, "activation", None, ("linear", *FUNCTIONS)))

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
        _must_be(part.config, "keepdims", False)
        if part.config.get("data_format", "channels_last") not in ("channels_last", None):
            raise CantRead(f"data_format must be channels_last, got {shown(part.config['data_format'])}")
        self.steps.append(Pooled(POOLINGS[part.kind]))
        self.axes = 2

    def _alone(self, part: Part, place: Place) -> None:
        self._must_have_steps()
        backwards, sequences = _flag(part.config, "go_backwards", False), _sequences(part.config)
        if backwards and sequences and self.masked:
            raise CantRead(
                "go_backwards must be false with return_sequences behind a mask: Keras hands on steps in the one order "
                "and their mask in the other"
            )
        cells = self._cells(part, place, ((("cell",), 0),))
        if backwards:
            self.steps.append(Reversed())
        self._add(cells, sequences, zeroed=_flag(part.config, "zero_output_for_mask", False))

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
        if _flag(inner.config, "go_backwards", False) or not (
            other is None or _flag(backward.config, "go_backwards", False)
        ):
            raise CantRead("the layer must go forwards, and its backward_layer backwards")
        unlike = [key for key in ALIKE if inner.config.get(key) != backward.config.get(key)]
        if backward.kind != inner.kind or unlike:
            raise CantRead(f"both directions must be alike, got {', '.join(unlike) or 'two classes'} that differ")
        _checked(backward)
        sequences = _sequences(inner.config)
        directions = ((("forward_layer", "cell"), 0), (("backward_layer", "cell"), 1))
        self._add(self._cells(inner, place, directions), sequences, zeroed=sequences)
        if mode != "concat":
            self.steps.append(Merged(mode))
            self.width = self.width // 2 if self.width else None

    def _cells(self, part: Part, place: Place, directions: tuple[tuple[tuple[str, ...], int], ...]) -> Cells:
        """Return a recurrent layer, in one direction or two."""
        kind, nonlinearity = _checked(part)
        H, blocks, of = _size("units", part.config.get("units")), BLOCKS[part.kind], len(directions)
        shapes: dict[str, Shape] = {"kernel": (self.width, blocks * H), "recurrent_kernel": (H, blocks * H)}
        if _flag(part.config, "use_bias", True):
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
        _must_be(config, key, False)
    if part.kind == "SimpleRNN":
        return RNN, _function(config, "activation", "tanh", ("tanh", "relu", "sigmoid"))
    _function(config, "activation", "tanh", ("tanh",))
    _function(config, "recurrent_activation", "hard_sigmoid", ("sigmoid",))  # what Keras had before it wrote it down
    if part.kind == "LSTM":
        return LSTM, ""
    return (GRU if _flag(config, "reset_after", False) else shipped("ResetBeforeGRU")), ""


def _lstm(found: Mapping[str, np.ndarray], kind: type[Recurrent]) -> dict[str, np.ndarray]:
    """Return the parameters of an LSTM, or of a vanilla RNN: the blocks are in our order."""
    fields = {"weight_ih": found["kernel"].T, "weight_hh": found["recurrent_kernel"].T}
    if "bias" in found:
        fields |= {"bias_ih": found["bias"], "bias_hh": np.zeros_like(found["bias"])}
    return fields


def _gru(found: Mapping[str, np.ndarray], kind: type[Recurrent]) -> dict[str, np.ndarray]:
    """Return the parameters of either GRU: its blocks z, r, n as r, z, n."""
    fields = {"weight_ih": _turned(found["kernel"].T), "weight_hh": _turned(found["recurrent_kernel"].T)}
    bias = found.get("bias")
    if kind is GRU:
        return fields | ({} if bias is None else {"bias_ih": _turned(bias[0]), "bias_hh": _turned(bias[1])})
    H = fields["weight_hh"].shape[1]
    fields |= {"weight_hh": fields["weight_hh"][: 2 * H], "weight_hn": fields["weight_hh"][2 * H :]}
    return fields | ({} if bias is None else {"bias_ih": _turned(bias), "bias_hh": np.zeros_like(bias[: 2 * H])})


def _turned(stacked: np.ndarray) -> np.ndarray:
    """Return blocks z, r, n as r, z, n."""
    z, r, n = np.split(stacked, 3)
    return np.concatenate([r, z, n])


ORDER = {"SimpleRNN": _lstm, "LSTM": _lstm, "GRU": _gru}


def _size(key: str, value: Any) -> int:
    """Return a size of a configuration."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 40:
        raise CantRead(f"{key} must be a size, at least 1, got {shown(value)}")
    return value


def _flag(config: Mapping[str, Any], key: str, default: bool) -> bool:
    value = config.get(key, default)
    if not isinstance(value, bool):
        raise CantRead(f"{key} must be true or false, got {shown(value)}")
    return value


def _must_be(config: Mapping[str, Any], key: str, only: bool) -> None:
    if _flag(config, key, only) != only:
        raise CantRead(f"{key} must be {str(only).lower()}, got {str(not only).lower()}{INSTEAD.get(key, '')}")


INSTEAD = {
    "stateful": "; a chain hands states out, and takes them as state0",
    "return_state": "; a chain hands states out by itself",
}
"""What takes the place of a setting that isn't read."""


def _sequences(config: Mapping[str, Any]) -> bool:
    return _flag(config, "return_sequences", False)


def _function(config: Mapping[str, Any], key: str, default: str | None, known: tuple[str, ...]) -> str:
    """Return the name of a function, if it is one that layers of ours have."""
    value = config.get(key, default)
    value = "linear" if value is None else value
    if isinstance(value, str) and value in known:
        return value
    got = shown(value)
    if isinstance(value, dict):  # a function of the user's, or a lambda with its code, which stays where it is
        got = f"one of a class of its own, {shown(value.get('registered_name') or value.get('class_name'))}"
    raise CantRead(f"{key} must be {' or '.join(known)}, as layers of ours have it, got {got}")


def _dtype(config: Mapping[str, Any]) -> str | None:
    """Return the dtype that a layer computes in."""
    value = config.get("dtype")
    if isinstance(value, dict):
        inner = value.get("config")
        value = inner.get("name") if isinstance(inner, dict) else value
    if value is not None and value not in ("float32", "float64"):
        raise CantRead(f"its dtype policy must be float32 or float64, got {shown(value)}; set it anew in Keras, and save")
    return value
