"""ONNX: our layers and models as files of its operators, and such files of others as layers of ours."""

try:
    import onnx as _onnx  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"rnn_core.onnx: onnx must be installed, and can't be imported ({error}); pip install 'rnn_core[onnx]'"
    ) from None

from .reading.loading import load_onnx
from .writing.exporting import export_onnx

__all__ = ["export_onnx", "load_onnx"]
