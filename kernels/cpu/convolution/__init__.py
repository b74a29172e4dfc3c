"""What stands around a convolution's products: windows as columns, maxima, ReLU; in one pass, in memory used again.

==============  =====================================================================================================
places.py       where windows lie, as the loops are told
columns.py      what lies in each window, as the columns of a matrix, and the way back
pools.py        maxima of windows, forward and back
pointwise.py    ReLU, forward and back
==============  =====================================================================================================

The products are BLAS's. Means of windows are sums of NumPy's slices: loops in their place were slower.
"""
