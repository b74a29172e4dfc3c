"""Data larger than memory: texts turned into a file of ids; examples read block by block, shuffled, and read ahead."""

from .ahead import Ahead
from .arrays import ArrayBlocks
from .block_examples import BlockExamples
from .encoding import encode_files
from .parquet import ParquetBlocks
from .text_files import TextFiles

__all__ = ["Ahead", "ArrayBlocks", "BlockExamples", "ParquetBlocks", "TextFiles", "encode_files"]
