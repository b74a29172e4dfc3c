"""Labelled series: the UCR and UEA archives in the formats that they come in."""

from .kept import Series
from .reading import read_series
from .ucr import looks_like_series

__all__ = ["Series", "read_series", "looks_like_series"]
