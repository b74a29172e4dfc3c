"""Convolution and what stands around it: windows that slide over one or two axes, forward and backward.

==============  =====================================================================================================
geometry.py     where windows lie: kernel, stride, padding and dilation of each axis, and how many there are
fast.py         where the CPU kernels help
windows.py      what lies at one place of every window, and the way back
conv.py         `Conv1d` and `Conv2d`
pools.py        `MaxPool`, `AvgPool` and `GlobalAvgPool`
pointwise.py    `ReLU` and `Flatten`
blocks.py       convolution → ReLU → pooling, several times
==============  =====================================================================================================
"""
