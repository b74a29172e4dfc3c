"""Passes: what a stack is made of, and how a batch goes through its cells and back, cut where states are put back.

===========  ==========================================================================================================
parts.py     sizes, the core, parameters and their names
checked.py   what comes in, as the cells want it, and what goes out
cells.py     layer by layer and direction by direction, and back
segments.py  a batch cut where its states are put back
through.py   the segments through the cells, and back
===========  ==========================================================================================================
"""

from .cells import Cells, Pass, Ready
from .segments import Group
from .through import Tapes, back_through, through

__all__ = ["Cells", "Group", "Pass", "Ready", "Tapes", "back_through", "through"]
