"""Resets: states put back inside a call. The batch is cut there, and every segment is a sequence of its own."""

from .segments import Group, Segments, check_resets, segments_of
from .through import Tapes, back_through, through

__all__ = ["Group", "Segments", "Tapes", "back_through", "check_resets", "segments_of", "through"]
