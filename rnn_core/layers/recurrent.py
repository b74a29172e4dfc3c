"""`RNN`, `LSTM` and `GRU`, with torch's names, shapes and order of gates."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.contract import CELLS

from .regularised import Zoneout
from .stack import Recurrent


class RNN(Recurrent):
    """Vanilla recurrent network, h_t = f(W_x x_t + b_x + W_h h_{t−1} + b_h): equations (R1)–(R3).

    Parameters
    ----------
    input_size, hidden_size : int
        I and H.
    num_layers : int
        Layers of the stack; each reads the one below.
    bias : bool
        False leaves b_x and b_h out.
    batch_first : bool
        Input and output are (B, T, ·) instead of (T, B, ·); states are not affected.
    dropout : float
        Probability, at least 0 and below 1, that a unit between two layers is dropped in `forward`. A single layer has
        nothing between, and warns.
    bidirectional : bool
        Adds a direction from each row's last valid step to its first; the outputs stand side by side.
    nonlinearity : {"tanh", "relu", "sigmoid"}
        f.
    backend : {"numpy", "cpu", "cuda"}, optional
        Where the time loop runs, and so where the arrays live: with "cuda" on the GPU, as CuPy's. The best one present
        on the host by default.
    dtype : dtype
        float32 or float64 (complex128 for the complex step).
    precision : {"float32", "bfloat16"}
        What the products read: weights, inputs and states as they are, or rounded to bfloat16 as in (BF1) and (BF2).
        Parameters, outputs and gradients are float32 in either. "bfloat16" wants dtype float32, and backend "cpu" or
        "numpy".
    seed : int, optional
        Draws the parameters, from U(−1/√H, 1/√H), and the masks of dropout and what is like it.
    zoneout : float, or a list of one for each state
        Probability, from 0 to 1, that a unit keeps its old state at a step of `forward`. Otherwise the layer mixes the
        old state with the new one by this share: (RG1).
    recurrent_dropout : float
        Probability that W_h does not read a unit of h in `forward`, at no step of a sequence: (RG2).
    candidate_dropout : float
        Probability that a unit's candidate is left out of a step of `forward`: (RG3).
    weight_drop : float
        Probability that an element of W_h is 0 for a call of `forward`: (RG4).

    Raises
    ------
    ValueError
        A size is below 1, a probability is not one, or an option has no such value.
    TypeError
        A size is not an int, or the dtype is none of the above.
    RuntimeError
        The backend is not available; the message says why.

    Notes
    -----
    `state_dict` and `load_state_dict` use the names and shapes of ``torch.nn.RNN``.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        nonlinearity: str = "tanh",
        backend: str | None = None,
        dtype: Any = np.float32,
        precision: str = "float32",
        seed: int | None = None,
        zoneout: Zoneout = 0.0,
        recurrent_dropout: float = 0.0,
        candidate_dropout: float = 0.0,
        weight_drop: float = 0.0,
    ) -> None:
        self.cell = f"rnn_{nonlinearity}"
        if self.cell not in CELLS:
            raise ValueError(f"RNN: nonlinearity must be 'tanh', 'relu' or 'sigmoid', got {nonlinearity!r}")
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            backend=backend, dtype=dtype, precision=precision, seed=seed, zoneout=zoneout,
            recurrent_dropout=recurrent_dropout, candidate_dropout=candidate_dropout, weight_drop=weight_drop,
        )  # fmt: skip
        self.config["nonlinearity"] = nonlinearity


class LSTM(Recurrent):
    """Long short-term memory: equations (L1)–(L8). The state is the pair (h, c).

    Parameters and errors are those of `RNN`, without the nonlinearity.

    Notes
    -----
    `state_dict` and `load_state_dict` use the names, shapes and gate order of ``torch.nn.LSTM``. What that is with
    `proj_size` is ``rnn_core.variants.ProjectedLSTM``.
    """

    cell = "lstm"


class GRU(Recurrent):
    """Gated recurrent unit, the reset gate after the product: equations (G1)–(G6).

    Parameters and errors are those of `RNN`, without the nonlinearity.

    Notes
    -----
    `state_dict` and `load_state_dict` use the names, shapes and gate order of ``torch.nn.GRU``.
    """

    cell = "gru"
