"""What a state has left of an earlier one: singular values of ∂s_T/∂s_t in an RNN, a GRU and an LSTM.

Networks as they are drawn, an RNN with larger weights, and an LSTM whose forget gate is opened by a bias.
``python examples/vanishing_gradients.py`` takes some seconds; ``--picture FILE`` draws them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from rnn_core import GRU, LSTM, RNN, state_jacobian_singular_values
from rnn_core.layers.stack import Recurrent
from rnn_core.showing.jacobians import singular_values_picture

LAGS = (1, 2, 5, 10, 20, 50, 100)


def networks(hidden_size: int, seed: int) -> dict[str, Recurrent]:
    """Return networks by name."""
    steep = RNN(4, hidden_size, dtype=np.float64, seed=seed)
    steep.parameters["weight_hh_l0"] = 3 * steep.parameters["weight_hh_l0"]
    opened = LSTM(4, hidden_size, dtype=np.float64, seed=seed)
    opened.parameters["bias_ih_l0"][opened.spec.blocks(hidden_size).f] += 3
    return {
        "RNN": RNN(4, hidden_size, dtype=np.float64, seed=seed),
        "RNN, 3·W_h": steep,
        "GRU": GRU(4, hidden_size, dtype=np.float64, seed=seed),
        "LSTM": LSTM(4, hidden_size, dtype=np.float64, seed=seed),
        "LSTM, b_f + 3": opened,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hidden-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw them into a PNG")
    args = parser.parse_args()
    x = 0.1 * np.random.default_rng(args.seed).standard_normal((args.steps, 4))
    lags = [lag for lag in LAGS if lag <= args.steps]
    print(f"{'largest σ over a lag of':24s}" + "".join(f"{lag:>10d}" for lag in lags))
    found = {}
    for name, network in networks(args.hidden_size, args.seed).items():
        found[name] = state_jacobian_singular_values(network, x)
        print(f"{name:24s}" + "".join(f"{found[name].values[lag - 1, 0]:10.2g}" for lag in lags))
    if args.picture:
        args.picture.write_bytes(singular_values_picture(found))


if __name__ == "__main__":
    main()
