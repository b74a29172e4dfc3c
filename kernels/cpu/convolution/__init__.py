"""Convolutions in the pool, and what stands around them: maxima, ReLU; in one pass, in memory used again.

==============  =====================================================================================================
places.py       where windows lie, as the loops are told
panels.py       windows in panels, as the register tile wants them
product.py      the products of windows and weights, forward and back
columns.py      what lies in each window, as the columns of a matrix, and the way back
pools.py        maxima of windows, forward and back
pointwise.py    ReLU, forward and back
==============  =====================================================================================================

Columns are for the input's gradient where the stride is not 1, whose product is BLAS's. Means of windows are sums of
NumPy's slices: loops in their place were slower.
"""
