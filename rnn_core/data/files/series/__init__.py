"""Labelled series: the UCR and UEA archives in the formats that they come in."""

from .cells import MISSING
from .kept import Series
from .reading import has_labels, read_series

__all__ = ["MISSING", "Series", "read_series", "has_labels"]
