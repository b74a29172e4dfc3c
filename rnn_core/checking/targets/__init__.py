"""Layers, models and losses taken apart, each into the `Problem` of its gradients.

==============  =====================================================================================================
dispatch.py     `problem_of`, and the point at which something is checked
states.py       what carries states: recurrent layers, and the language model
models.py       models that answer with logits
layers.py       layers of one input, and losses
values.py       values copied, converted, drawn, and by name
==============  =====================================================================================================
"""

from . import layers, models, states  # each registers what it knows
from .dispatch import Point, problem_of
from .values import hold_padding

__all__ = ["Point", "hold_padding", "layers", "models", "problem_of", "states"]
