"""What is checked, taken apart: values to differentiate by, outputs, and the gradients claimed for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..layers.home import to_host
from ..layers.layout import describe
from .places import Axes

Twin = tuple[dict[str, np.ndarray], Callable[[], dict[str, np.ndarray]]]


@dataclass(frozen=True)
class Problem:
    """A function with the gradients that are claimed for it.

    Attributes
    ----------
    name : str
        What the report calls it.
    dtype : dtype
        float32 or float64: that of the claimed gradients.
    twin : callable
        ``twin(dtype)`` returns fresh values of that dtype by name, and a function without arguments that computes the
        outputs by name from what those arrays hold at the time.
    gradients : callable
        ``gradients({output: u})`` returns the claimed ∂Σ⟨u, output⟩/∂value by name.
    axes : dict of str to tuple of Axis, optional
        What the axes of a value or an output count, by its name, so that the report can say in words where an element
        lies. The gradients of an output with an axis "time step" are looked at step by step where they are wrong.
    apart : frozenset of str, optional
        Outputs that depend on nothing, and values that nothing depends on, where that is known of the function itself.
        Their gradients are 0; a claim of 0 is judged there, and passes.
    """

    name: str
    dtype: np.dtype
    twin: Callable[[np.dtype], Twin]
    gradients: Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]
    axes: Mapping[str, Axes] = field(default_factory=dict)
    apart: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Reference:
    """Derivatives found without the backward: ∂⟨u, output⟩/∂value as [output][value].

    Attributes
    ----------
    gradients : dict
        The sum over an output's elements k of the terms u_k ∂output_k/∂value.
    terms : dict
        The sum of the same terms' absolute values: how much was there before anything cancelled.
    """

    gradients: dict[str, dict[str, np.ndarray]]
    terms: dict[str, dict[str, np.ndarray]]

    @classmethod
    def empty(cls, outputs: Iterable[str], values: Mapping[str, np.ndarray]) -> Reference:
        """Return a reference with room for every output and value."""
        gradients, terms = (
            {output: {name: np.empty(value.shape) for name, value in values.items()} for output in outputs}
            for _ in range(2)
        )
        return cls(gradients, terms)

    def add(self, output: str, name: str, place: tuple[int, ...], terms: np.ndarray) -> None:
        """Record one element from its terms."""
        self.gradients[output][name][place] = terms.sum()
        self.terms[output][name][place] = abs(terms).sum()


def begin(problem: Problem, scalar: type) -> Twin:
    """Return the problem's twin of a dtype, looked over.

    Raises
    ------
    ValueError, TypeError
        It isn't values by name and a function, or a value is not an array of that dtype that can be written to.
    """
    where, dtype = f"gradcheck: {problem.name}'s twin", np.dtype(scalar)
    made = problem.twin(dtype)
    if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], Mapping) and callable(made[1])):
        raise TypeError(f"{where} must return a dict of arrays and a function without arguments, got {describe(made)}")
    values, run = made
    if not values:
        raise ValueError(f"{where} must return a value to differentiate by, got an empty dict")
    for name, value in values.items():
        if not (isinstance(value, np.ndarray) and value.dtype == dtype and value.flags.writeable):
            came = getattr(value, "dtype", None) or describe(value)
            raise TypeError(
                f"{where} must hold {name!r} in a NumPy array of the dtype that it is called with, {dtype}, and not "
                f"read-only, got {came}; np.array({name}, dtype) makes one"
            )
    return values, run


def outputs_of(problem: Problem, run: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return what the forward gives at the point itself, looked over.

    Raises
    ------
    ValueError, TypeError
        It gives no outputs by name, or an output isn't finite.
    """
    outputs = run()
    where = f"gradcheck: {problem.name}'s forward"
    if not isinstance(outputs, Mapping) or not outputs:
        raise TypeError(f"{where} must return a dict of outputs by name, got {describe(outputs)}")
    for name, output in outputs.items():
        if not np.isfinite(output).all():
            raise ValueError(f"{where} must be finite at the point that is checked, got {name!r} with NaN or infinity")
    return {name: np.asarray(output) for name, output in outputs.items()}


def claims_of(
    problem: Problem, upstreams: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Return the claimed gradients for these upstream ones, in float64 and on the host, looked over.

    Raises
    ------
    ValueError
        A gradient is missing, one is of a value that does not exist, or a shape is not its value's.
    TypeError
        They are no dict, or a gradient isn't made of real numbers.
    """
    claimed = problem.gradients(upstreams)
    where = f"gradcheck: {problem.name}'s gradients"
    if not isinstance(claimed, Mapping):
        raise TypeError(f"{where} must be a dict of arrays by name, got {describe(claimed)}")
    missing = [name for name in shapes if claimed.get(name) is None]
    unknown = [str(name) for name in claimed if name not in shapes]
    if missing or unknown:
        raise ValueError(
            f"{where} must be those of {', '.join(shapes)}; missing: {', '.join(missing) or 'none'}; of no value that "
            f"twin returns: {', '.join(unknown) or 'none'}; what is a constant stands in neither"
        )
    found = {}
    for name, shape in shapes.items():
        array = np.asarray(to_host(claimed[name]))
        if array.dtype.kind not in "fiu":
            raise TypeError(f"{where} must be real numbers, got {array.dtype} for {name!r}")
        if array.shape != shape:
            raise ValueError(f"{where} must have {name!r} of shape {shape}, as the value, got {array.shape}")
        found[name] = array.astype(np.float64)
    return found


def by_time_step(problem: Problem, output: str, axis: int, shape: tuple[int, ...], steps: Iterable[int]) -> Problem:
    """Return the problem of which each of these time steps of one output is an output of its own, by its number."""
    steps = tuple(steps)

    def twin(dtype: np.dtype) -> Twin:
        values, run = problem.twin(dtype)

        def run_by_step() -> dict[str, np.ndarray]:
            whole = np.asarray(run()[output])
            return {str(t): whole.take(t, axis) for t in steps}

        return values, run_by_step

    def gradients(upstreams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        whole = np.zeros(shape, problem.dtype)
        for t, u in upstreams.items():
            np.moveaxis(whole, axis, 0)[int(t)] = u
        return problem.gradients({output: whole})

    return Problem(problem.name, problem.dtype, twin, gradients, problem.axes)
