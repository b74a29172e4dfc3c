"""What a network is to make small. Each loss has its backward directly below its forward.

================  ===================================================================================================
mean.py           what every loss ends in: the weighted mean, and the checks of what it is given
cross_entropy.py  softmax and binary cross-entropy
head.py           softmax cross-entropy of what a head says, from what it reads, without logits
squared.py        squared error
distributions.py  Gaussian likelihood, and quantiles
================  ===================================================================================================

z are the logits or, for the squared error, the outputs. Primes mark the backward; dX is ∂L/∂X. All of them accept
complex logits and branch on the real part alone.

The loss and its gradient are where the logits are, on the host or on the GPU. Targets and weights may come from the
host to logits on the GPU: they are checked there, at no wait, and then moved. Logits on the GPU are not checked: a NaN
among them makes the loss one, and `fit` sees it there.
"""

from .cross_entropy import BinaryCrossEntropy, SoftmaxCrossEntropy
from .distributions import GaussianLikelihood, QuantileLoss
from .squared import SquaredError

__all__ = ["SoftmaxCrossEntropy", "BinaryCrossEntropy", "SquaredError", "GaussianLikelihood", "QuantileLoss"]
