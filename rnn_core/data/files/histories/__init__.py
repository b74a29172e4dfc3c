"""Series over time, to be forecast: tables in which each step is a row, and plain columns of numbers.

==============  =====================================================================================================
reading.py      `read_time_series`
layout.py       which column is what: time, series, value, covariates
clock.py        time stamps, and the grid of equal steps on which they must lie
==============  =====================================================================================================
"""

from .reading import read_time_series

__all__ = ["read_time_series"]
