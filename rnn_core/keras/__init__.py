"""Keras: its files, as Keras 2 and 3 write them, as layers of ours. h5py reads them; Keras itself is never imported."""

try:
    import h5py as _h5py  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"rnn_core.keras: h5py must be installed, and can't be imported ({error}); pip install 'rnn_core[keras]'"
    ) from None

from .loading import load_keras

__all__ = ["load_keras"]
