"""Data: from text and ragged rows to the batches of a training loop."""

from .augmented import Augmented
from .batches import Batch, Examples, TextStream
from .files.pairs import context_of, reply_pairs
from .forecasting import TimeSeries, Windows, WindowSpec, fourier
from .large import Ahead, ArrayBlocks, BlockExamples, ParquetBlocks, TextFiles, encode_files
from .letters import spelled
from .pairs import Pairs
from .ragged import Ragged
from .repeated import Repeated
from .rows import bounded, windows
from .sequences import pad_sequences, sequence_lengths
from .stored import FileArray, RaggedFile
from .text import Tokenizer

__all__ = [
    "Tokenizer",
    "pad_sequences",
    "sequence_lengths",
    "bounded",
    "spelled",
    "windows",
    "Ragged",
    "Pairs",
    "Batch",
    "Examples",
    "TextStream",
    "FileArray",
    "RaggedFile",
    "TextFiles",
    "encode_files",
    "BlockExamples",
    "ArrayBlocks",
    "ParquetBlocks",
    "Ahead",
    "TimeSeries",
    "WindowSpec",
    "Windows",
    "fourier",
    "Repeated",
    "Augmented",
    "context_of",
    "reply_pairs",
]
