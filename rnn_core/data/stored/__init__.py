"""What lies in files and is read as it is needed: arrays, rows of unequal length, and the columns of a long text."""

from .file_array import FileArray
from .ragged_file import RaggedFile

__all__ = ["FileArray", "RaggedFile"]
