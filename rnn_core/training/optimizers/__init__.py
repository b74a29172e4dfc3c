"""How parameters follow their gradients: SGD with momentum, Adam, AdamW. Numbers agree with ``torch.optim``'s.

::

    g ← g + λ θ                                    (O1)   weight decay; not in AdamW
    u ← μ u + g                                    (O2)   momentum; u = g without it
    u ← g + μ u                                    (O3)   in this step only, with Nesterov's
    θ ← θ − η u                                    (O4)   SGD

    θ ← θ − η λ θ                                  (O5)   weight decay of AdamW
    m ← β₁ m + (1 − β₁) g                          (O6)
    v ← β₂ v + (1 − β₂) g²                         (O7)
    θ ← θ − η m̂ / (√v̂ + ε)                         (O8)   m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ)

θ is a parameter, g its gradient, η its learning rate, t counts the parameter's own steps. Where g stays 0, as for the
row of a token that is seldom seen, u, m and v decay; what falls below the smallest normal number becomes 0.

============  =======================================================================================================
optimizer.py  `Optimizer`: what they share
sgd.py        `SGD`
adam.py       `Adam`, `AdamW`
============  =======================================================================================================

Their `_step` has the equations in NumPy. A backend's kernels do the same to all parameters at once, to the same bits.

References
----------
.. [1] I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum in deep
   learning", ICML 2013. There the rate stands inside u; here, as in torch, outside.
.. [2] D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", arXiv:1412.6980v9, algorithm 1.
.. [3] I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", arXiv:1711.05101v3, algorithm 2, with the
   decay multiplied by the learning rate, as in torch.
"""

from .adam import Adam, AdamW
from .optimizer import Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]
