"""Layers whose weights are int8, for inference, and `quantize`, which makes them of layers and models."""

from .linear import QuantizedLinear
from .quantizing import quantize, quantized_shell
from .recurrent import QuantizedGRU, QuantizedLSTM, QuantizedRNN
from .rows import Quantized, is_quantized, sizes
from .table import QuantizedEmbedding

__all__ = [
    "Quantized",
    "QuantizedEmbedding",
    "QuantizedGRU",
    "QuantizedLSTM",
    "QuantizedLinear",
    "QuantizedRNN",
    "is_quantized",
    "quantize",
    "quantized_shell",
    "sizes",
]
