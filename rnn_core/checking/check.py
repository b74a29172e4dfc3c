"""`gradcheck`: one call for a layer, a model, a loss, or a function of one's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..training.updates import Updates
from . import central_difference, complex_step
from .problem import problem_of
from .report import GradientReport, compare
from .training_step import training_step

TOLERANCE = {"complex-step": 1e-12, "central": 1e-5}
"""For float64. A float32 gradient is given as many of its own rounding units: 5e8 times more of the complex step."""


def gradcheck(
    target: Any,
    x: Any = None,
    *,
    state0: Any = None,
    lengths: Any = None,
    targets: Any = None,
    weights: Any = None,
    updates: Updates | None = None,
    method: str = "complex-step",
    tolerance: float | None = None,
    seed: int = 0,
) -> GradientReport:
    """Check every hand-written gradient, element by element.

    Each output (for a layer y, h_T and c_T) is given a random upstream gradient on its own, and the gradient of every
    input and parameter is compared with a reference that shares none of the backward's code: the forward equations,
    run in float64 on complex numbers.

    Parameters
    ----------
    target : layer, model, loss or Problem
        RNN, LSTM, GRU, Linear, Embedding, LanguageModel, SequenceClassifier, a loss, or a `Problem` of your own.
        With a batch anything that `fit` can train and that has `astype`, as `transfer`'s MultiTask and LinearMap. The
        backward under test is the target's own, in its own dtype and on its own backend.
    x : ndarray or batch
        Input as `forward` takes it: a sequence, tokens, or a loss's logits. Or a batch as `fit` takes it, and the
        output is the loss that `fit` makes small.
    state0, lengths, targets, weights
        As `forward` takes them. Without `state0` the gradient of a zero state is checked. A batch has the other three
        itself, and its state is a constant.
    updates : Updates, optional
        With a batch: what trains, and the anchors, whose penalty is another output. `transfer.Plan.resolve` makes it.
    method : {"complex-step", "central"}
        The reference. "central" is for functions that are not analytic; it can't judge elements that rounding hides,
        and says how many these are.
    tolerance : float, optional
        Largest relative error that passes, as defined in `rnn_core.checking.report.relative_error`. 1e-12 for the
        complex step and 1e-5 for central differences in float64; in float32 larger in proportion to its rounding.
    seed : int
        Draws the upstream gradients and the dropout masks.

    Returns
    -------
    GradientReport
        `passed`, `rows`, `worst`, and a table as ``str(report)``.

    Raises
    ------
    ValueError
        The method is unknown, an argument has no meaning beside the others, the anchors pull nowhere, or `forward`
        refuses the input.
    TypeError
        The target is nothing that has a backward.
    """
    if method not in TOLERANCE:
        raise ValueError(f"gradcheck: method must be 'complex-step' or 'central', got {method!r}")
    if hasattr(x, "carry"):  # a batch, of one task or of several
        if not (lengths is None and targets is None and weights is None):
            raise ValueError("gradcheck: lengths, targets and weights must be left out with a batch, which has its own")
        problem = training_step(target, x, state0=state0, updates=updates, rng=seed)
    elif updates is not None:
        raise ValueError(f"gradcheck: updates must come with a batch, got x of type {type(x).__name__}")
    else:
        problem = problem_of(target, x, state0=state0, lengths=lengths, targets=targets, weights=weights, rng=seed)
    if tolerance is not None and not 0 < tolerance < np.inf:
        raise ValueError(f"gradcheck: tolerance must be above 0 and finite, got {tolerance}")
    if tolerance is None:
        tolerance = TOLERANCE[method] * max(1.0, float(np.finfo(problem.dtype).eps / np.finfo(np.float64).eps))
        tolerance = min(tolerance, 1e-2)
    rng = np.random.default_rng(seed)
    _, run = problem.twin(np.dtype(np.float64))
    # Rounded to the target's dtype, so that both sides see the same upstream gradient.
    upstreams = {name: rng.standard_normal(output.shape).astype(problem.dtype) for name, output in run().items()}
    if method == "central":
        reference = central_difference.reference(problem, upstreams)
        resolution = central_difference.resolution(problem, upstreams, tolerance)
    else:
        reference = complex_step.reference(problem, upstreams)
        resolution = dict.fromkeys(upstreams, complex_step.resolution(problem.dtype))
    rows = []
    for upstream, u in upstreams.items():
        claimed = problem.gradients({upstream: u})
        for name, gradient in reference.gradients[upstream].items():
            terms = reference.terms[upstream][name]
            rows.append(compare(upstream, name, claimed[name], gradient, terms, tolerance, resolution[upstream]))
    return GradientReport(problem.name, method, problem.dtype.name, tolerance, tuple(rows))
