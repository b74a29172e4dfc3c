"""What regularises a layer within its recurrence: drawn in `forward` alone, and an expectation without training.

=============  ======================================================================================================
arguments.py   the four arguments of a layer, checked
noise.py       the masks of a call: drawn in one order, turned and gathered as x is
core.py        a cell's time loops with masks
=============  ======================================================================================================

The equations stand around a definition, in `rnn_core.cell.wrapping`.
"""

from .arguments import NAMES, Regularisers, Zoneout, regularisers_of
from .core import RegularisedCore, built_in, core_of, expected_of
from .noise import Noise, draw

__all__ = [
    "NAMES",
    "Noise",
    "RegularisedCore",
    "Regularisers",
    "Zoneout",
    "built_in",
    "core_of",
    "draw",
    "expected_of",
    "regularisers_of",
]
