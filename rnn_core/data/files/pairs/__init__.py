"""Pairs of texts, one to be made of the other, and dialogues, whose turns answer those before them."""

from .contexts import SEPARATOR, context_of, reply_pairs
from .dialogues import Dialogue, read_dialogues
from .pairs import TextPairs, read_pairs

__all__ = ["TextPairs", "read_pairs", "Dialogue", "read_dialogues", "SEPARATOR", "context_of", "reply_pairs"]
