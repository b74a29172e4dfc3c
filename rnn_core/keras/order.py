"""How Keras lays out the weights of its recurrent layers, and we ours; nothing is computed, and they keep their bits.

==================  ==================================================================================================
kernel              (I, blocks·H): its transpose is our weight_ih, a block of H rows for each gate
recurrent_kernel    (H, blocks·H): that of weight_hh
bias                (blocks·H), our bias_ih; (2, blocks·H) of a GRU with reset_after: bias_ih, and bias_hh
==================  ==================================================================================================

Keras's LSTM has its blocks in our order, i, f, g, o, and its GRU in the order z, r, n. `unit_forget_bias` is about
first values; what was trained is in the bias.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..layers.recurrent import GRU
from ..layers.stack import Recurrent


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
"""By class: from Keras's names to the parameters of ours."""
