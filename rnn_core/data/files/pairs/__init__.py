"""Pairs of texts, one to be made of the other, and dialogues, whose turns answer those before them."""

from .dialogues import Dialogue, read_dialogues
from .pairs import TextPairs, read_pairs

__all__ = ["TextPairs", "read_pairs", "Dialogue", "read_dialogues"]
