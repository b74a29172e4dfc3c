"""A place to study: every number of a step, each line with its equation, where it came from and who used it.

==============  =====================================================================================================
tracing.py      `trace`: one step of any cell, or a few, forwards and backwards
statements.py   a function's own statements, with the numbers of their equations, out of its source
running.py      a function run statement by statement, before a visitor
recording.py    the visitor that writes down; lines
cells.py        a step of each cell, there and back, as its loop goes through it
passing.py      from a layer and its input to one cell of the stack, and to its tape
result.py       what comes of it, and how it is printed
page.py         the same as a page of HTML
derivative.py   the complex step beside each gradient
==============  =====================================================================================================
"""

from .page import write_page
from .recording import Line
from .result import Step, Trace
from .tracing import trace

__all__ = ["Line", "Step", "Trace", "trace", "write_page"]
