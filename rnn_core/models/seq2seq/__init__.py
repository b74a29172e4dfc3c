"""From one sequence to another: what reads the first, what writes the second, and the search for the best.

==============  =====================================================================================================
bridge.py       from the reader's last state to the writer's first
decoder.py      the writer: embedding, cells, attention; whole, or step by step where attention is fed back
network.py      `Network`: what reads and what writes, and the way back through both
model.py        `Seq2Seq`: what a user asks of it, and its loss
decoding.py     `Hypothesis`: what is written, found by beam search
beams.py        the beams of a search, and what has ended
==============  =====================================================================================================
"""

from .decoding import Hypothesis
from .model import Seq2Seq

__all__ = ["Hypothesis", "Seq2Seq"]
