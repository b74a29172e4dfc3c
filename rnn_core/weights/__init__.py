"""Weights on disk: safetensors files that say what they are, written so that a killed write loses nothing.

A file's header holds strings: ``format`` ("rnn_core"), ``format_version`` and, for a layer or model, ``class`` and
``config`` (the constructor's arguments as JSON), ``rnn_core.beside`` (what a model's user needs: its tokenizer, its
classes), whatever the user adds, and the checksums of it all. Backend and seed are not kept: what was trained on one
machine loads on any. Nothing that is read is ever executed.

==============  =====================================================================================================
saving.py       `save`
loading.py      `load`: from what a file says to a layer or model
beside.py       what stands beside a model's weights: tokenizer, classes, scaling and the like; older.py: in old files
file.py         a file that is open: its strings, the shapes of its arrays, the arrays; `read_metadata`, `read_arrays`
checksums.py    what proves that no bit has changed
kinds.py        what a file is that is no safetensors file, and the way in
==============  =====================================================================================================

References
----------
.. [1] The safetensors format, https://huggingface.co/docs/safetensors/index#format.
"""

from .file import read_arrays, read_metadata
from .loading import load
from .saving import save

__all__ = ["load", "read_arrays", "read_metadata", "save"]
