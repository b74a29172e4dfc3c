"""`gradcheck`: one call for a layer, a model, a loss, or a function of one's own."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..training.updates import Updates
from . import analytic, central_difference, complex_step
from .diagnosis import First, first_wrong
from .problem import Problem, Reference, begin, by_time_step, claims_of, outputs_of
from .report import GradientReport, GradientRow, compare
from .targets import Point, problem_of
from .training_step import training_step

TOLERANCE = {"complex-step": 1e-12, "central": 1e-5}
"""For float64. A float32 gradient is given as many of its own rounding units: 5e8 times more of the complex step."""

STEPS = 64
"""How many time steps are looked at one by one where a gradient is wrong."""


def gradcheck(
    target: Any,
    x: Any = None,
    *,
    state0: Any = None,
    lengths: Any = None,
    targets: Any = None,
    weights: Any = None,
    resets: Any = None,
    reset_to: Any = None,
    all_states: bool = False,
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
        RNN, LSTM, GRU, Linear, Embedding, convolutions and pools, Attention, CRF, LanguageModel, SequenceClassifier,
        SequenceTagger (its emissions), a loss, or a `Problem` of your own. With a batch anything that `fit` can train
        and that has `astype`, as `transfer`'s MultiTask and LinearMap. The backward under test is the target's own, in
        its own dtype and on its own backend.
    x : ndarray or batch
        Input as `forward` takes it: a sequence, tokens, or a loss's logits; of an `Attention` the pair of queries and
        keys, or with values three. Or a batch as `fit` takes it, and the
        output is the loss that `fit` makes small.
    state0, lengths, targets, weights
        As `forward` takes them. Without `state0` one is drawn: from a state of zeros the first step tells nothing of
        `weight_hh`, nor of a forget gate. A batch has the other three itself, and its state is a constant.
    resets, reset_to, all_states
        Of a recurrent layer, as its `forward` takes them. With `all_states` the other states at every step are outputs
        beside y, as c is for LSTM.
    updates : Updates, optional
        With a batch: what trains, and the anchors, whose penalty is another output. `transfer.Plan.resolve` makes it.
    method : {"complex-step", "central"}
        The reference. "central" is for functions that are not analytic; it can't judge elements that rounding hides,
        and says how many these are.
    tolerance : float, optional
        Largest relative error that passes, as defined in `rnn_core.checking.report.relative_error`. 1e-12 for the
        complex step and 1e-5 for central differences in float64; in float32 larger in proportion to its rounding.
    seed : int
        Draws the upstream gradients, the dropout masks and the initial state.

    Returns
    -------
    GradientReport
        `passed`, `rows`, `worst`, `first`, and a table as ``str(report)``; for each gradient that failed, it has the
        worst element in words, the ratio of claimed and reference, and the gates and time steps that are wrong.

    Raises
    ------
    ValueError
        The method is unknown, an argument has no meaning beside the others, the anchors pull nowhere, or `forward`
        refuses the input. The forward of a function of your own isn't analytic, as the complex step needs it, or isn't
        finite; its gradients are not those of its values.
    TypeError
        The target is nothing that has a backward, or a `Problem` whose parts are of another type than they must be.
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
        problem = problem_of(target, Point(x, state0, lengths, targets, weights, seed, resets, reset_to, all_states))
    dtype = _checked_dtype(problem)
    if tolerance is not None and not 0 < tolerance < np.inf:
        raise ValueError(f"gradcheck: tolerance must be above 0 and finite, got {tolerance}")
    if tolerance is None:
        tolerance = TOLERANCE[method] * max(1.0, float(np.finfo(dtype).eps / np.finfo(np.float64).eps))
        tolerance = min(tolerance, 1e-2)
    rng = np.random.default_rng(seed)
    _, run = begin(problem, np.float64)
    # Rounded to the target's dtype, so that both sides see the same upstream gradient.
    upstreams = {
        name: np.asarray(rng.standard_normal(output.shape), dtype) for name, output in outputs_of(problem, run).items()
    }
    judge = _Judge.of(method, tolerance, problem, upstreams)
    reference = judge.reference(problem, upstreams)
    rows = judge.rows(problem, upstreams, reference)
    failed = {row.name: tuple(e.place for e in row.wrong.elements) for row in rows if row.wrong is not None}
    suspect = method == "complex-step" and (failed or analytic.mistaken(problem, upstreams, reference))
    if suspect and (reason := analytic.explain(problem, upstreams, reference, failed)):
        raise ValueError(reason)
    first = judge.first(problem, upstreams, [row.upstream for row in rows if not row.passed])
    return GradientReport(problem.name, method, dtype.name, tolerance, rows, first)


def _checked_dtype(problem: Problem) -> np.dtype:
    try:
        dtype = np.dtype(problem.dtype)
    except TypeError:
        dtype = np.dtype(object)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"gradcheck: {problem.name}'s dtype must be float32 or float64, got {problem.dtype!r}")
    return dtype


class _Judge(NamedTuple):
    """A method with what it can tell."""

    method: str
    tolerance: float
    resolution: Mapping[str, float]  # of each output
    zero: float | None  # where a reference has no terms at all

    @classmethod
    def of(cls, method: str, tolerance: float, problem: Problem, upstreams: Mapping[str, np.ndarray]) -> _Judge:
        """Return the judge of a problem."""
        if method == "central":
            return cls(method, tolerance, central_difference.resolution(problem, upstreams, tolerance), None)
        least, zero = (complex_step.resolution(np.dtype(dtype)) for dtype in (problem.dtype, np.float64))
        return cls(method, tolerance, dict.fromkeys(upstreams, least), zero)

    def reference(self, problem: Problem, upstreams: Mapping[str, np.ndarray]) -> Reference:
        """Return the reference; a forward that stops at complex numbers is the user's to change."""
        if self.method == "central":
            return central_difference.reference(problem, upstreams)
        begin(problem, np.complex128)  # an error in the twin itself is no matter of complex numbers
        try:
            with warnings.catch_warnings():  # a cast to real numbers is named by `analytic`, if it matters
                warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
                return complex_step.reference(problem, upstreams)
        except (TypeError, ValueError, ArithmeticError, NotImplementedError) as error:
            raise ValueError(analytic.refused(problem, error)) from error

    def rows(
        self, problem: Problem, upstreams: Mapping[str, np.ndarray], reference: Reference
    ) -> tuple[GradientRow, ...]:
        """Return a row for each output and each value."""
        rows = []
        for upstream, u in upstreams.items():
            gradients, terms = reference.gradients[upstream], reference.terms[upstream]
            claimed = claims_of(problem, {upstream: u}, {name: array.shape for name, array in gradients.items()})
            least = self.resolution[upstream]
            for name, gradient in gradients.items():
                both, axes = (claimed[name], gradient), problem.axes.get(name, ())
                apart = tuple(one for one in (upstream, name) if one in problem.apart)
                rows.append(compare(upstream, name, *both, terms[name], self.tolerance, least, axes, self.zero, apart))
        return tuple(rows)

    def first(self, problem: Problem, upstreams: Mapping[str, np.ndarray], failed: Iterable[str]) -> First | None:
        """Return the smallest wrong case of the first output that failed and has time steps: a loss at one of them."""
        for output in dict.fromkeys(failed):
            times = [k for k, axis in enumerate(problem.axes.get(output, ())) if axis.name == "time step"]
            if times and (found := self._first_step(problem, output, upstreams[output], times[0])):
                return found
        return None

    def _first_step(self, problem: Problem, output: str, u: np.ndarray, axis: int) -> First | None:
        T = u.shape[axis]
        steps = range(T) if T <= STEPS else np.unique(np.geomspace(1, T, STEPS).astype(int) - 1).tolist()
        split = by_time_step(problem, output, axis, u.shape, steps)
        parts = {str(t): u.take(t, axis) for t in steps}
        judge = self._replace(resolution=dict.fromkeys(parts, self.resolution[output]))
        reference = judge.reference(split, parts)
        cases = []
        for one_way in (steps, steps[::-1]) if problem.axes[output][axis].both_ways else (steps,):
            before = None
            for t in one_way:
                rows = judge.rows(split, {str(t): parts[str(t)]}, reference)
                wrong = {row.name: row.wrong for row in rows if row.wrong is not None}
                if wrong:
                    cases.append(first_wrong(output, t, before, wrong, [r.name for r in rows if r.passed and r.size]))
                    break
                before = t
        # The second direction begins at the end: the smaller case is the one in which less is wrong.
        return min(cases, key=lambda case: sum(wrong.size for wrong in case.gradients.values()), default=None)
