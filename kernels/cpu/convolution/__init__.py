"""What stands around a convolution's products: maxima and ReLU, each in one pass, in memory that is used again.

==============  =====================================================================================================
places.py       where windows lie, as the loops are told
pools.py        maxima of windows, forward and back
pointwise.py    ReLU, forward and back
==============  =====================================================================================================

The products are BLAS's. What they read is copied by NumPy's slices, and means are sums of such slices: loops in their
places were slower.
"""
