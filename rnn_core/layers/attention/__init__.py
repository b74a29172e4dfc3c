"""What of a sequence is looked at, and how much of it: scores, weights that add up to 1, and their mean.

==============  =====================================================================================================
scores.py       how well a query and a key go together, and the weights that this makes; forward above backward
attention.py    `Attention`: the layer
==============  =====================================================================================================
"""

from .attention import Attention

__all__ = ["Attention"]
