"""Inside torch: its own `RNN`, `LSTM` and `GRU`, computed by our kernels, and models that are given them in place."""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"rnn_core.torch: torch must be installed, and can't be imported ({error}); pip install 'rnn_core[torch]'"
    ) from None

from .modules import GRU, LSTM, RNN
from .swapping import Swapped, accelerate, restore

__all__ = ["GRU", "LSTM", "RNN", "Swapped", "accelerate", "restore"]
