"""A linear-chain conditional random field: tags that know of their neighbours.

==============  =====================================================================================================
chain.py        the forward algorithm, the cost of a sequence, and the marginals: (CR2)–(CR5), (CR7)
likelihood.py   the loss and its gradient: (CR6), (CR8)
viterbi.py      the best path: (CR9), (CR10)
compiled.py     all of these through the kernels of the CPU
rows.py         which steps are padding, which tags are known, how much a row counts
constraints.py  which tags may follow one another, as masks
schemes.py      the same from the names of tags: BIO, IOB1, IOBES
layer.py        `CRF`, the layer; the score of a path: (CR1)
==============  =====================================================================================================
"""

from .constraints import Constraints
from .layer import CRF
from .schemes import constraints_of, scheme_of

__all__ = ["CRF", "Constraints", "constraints_of", "scheme_of"]
