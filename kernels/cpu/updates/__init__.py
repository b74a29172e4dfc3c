"""What a training step does besides forward and backward: norms, optimizers and sums of rows, in one pass over memory.

==========  =========================================================================================================
table.py    the arrays of a call as a table, cut into blocks that threads take one after another
adam.py     Adam and AdamW, of all parameters together
sgd.py      SGD with and without momentum, likewise
norm.py     Σ g² of each gradient
rows.py     the sum of each token's vectors, for an embedding's gradient
==========  =========================================================================================================

The equations are those of `rnn_core.training` and `rnn_core.layers.embedding`, by the same numbers. One compiled call
serves all parameters: a small model has dozens of arrays, and a call for each would cost more than their numbers do.

What is done to a number does not depend on which thread does it, and each sum is added up in one order. Products and
sums are rounded one by one, as NumPy's are: no multiply-add. So the optimizers have NumPy's bits. Subnormal numbers
stay what they are, on every thread: what becomes of moments that sink is for `rnn_core.training` to say.
"""

from .adam import adam
from .norm import sums_of_squares
from .rows import sums_of_rows
from .sgd import sgd
from .table import takes

__all__ = ["adam", "sgd", "sums_of_rows", "sums_of_squares", "takes"]
