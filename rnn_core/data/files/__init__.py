"""A user's own data, read from where it lies: texts, pairs, dialogues, tagged words, series to classify or
to forecast, sounds, word vectors.

Every fault is named by file and line. Nothing that is read is ever executed.
"""

from .histories import read_time_series
from .lines import FileWarning
from .pairs import Dialogue, TextPairs, read_dialogues, read_pairs
from .series import Series, read_series
from .sounds import read_waveforms
from .tagged import Tagged, read_tagged
from .texts import Texts, read_texts
from .vectors import WordVectors, read_vectors

__all__ = [
    "FileWarning",
    "Texts",
    "read_texts",
    "TextPairs",
    "read_pairs",
    "Dialogue",
    "read_dialogues",
    "Tagged",
    "read_tagged",
    "Series",
    "read_series",
    "read_time_series",
    "read_waveforms",
    "WordVectors",
    "read_vectors",
]
