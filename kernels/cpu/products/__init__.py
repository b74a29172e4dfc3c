"""Softmax and cross-entropy on an affine map, and that map alone: the products around the recurrent core, in its pool.

==============  =====================================================================================================
cuts.py         how the work is cut up: blocks of rows, chunks of classes, who has what
softmax.py      maxima, exponentials, sums and gradients of scores, on vectors
job.py          the arguments of the loop, and where it finds what it wants
phases.py       what a thread does between two meetings, up to the loss
gradients.py    and after it
head.py         the loop: scores of a block of rows, their softmax, their gradients, and what these add to dW, db and dx
calls.py        losses and gradients, as the contract has them
multiply.py     a product of two matrices by itself, with its arguments (factors.py)
few.py          the same for a row or a few of them, and a matrix that lies the other way round
==============  =====================================================================================================
"""
