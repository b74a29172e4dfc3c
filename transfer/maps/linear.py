"""`LinearMap`: a target's parameters as a linear map of the source's, of which the map alone is trained.

::

    θ_t = θ_s + T(θ_s)        (X13)

T is given a structure, parameter by parameter (see `transfer.maps.kinds`): a free linear map on all parameters has
their number squared, and one pair of tasks can't tell it from others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any, Self

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array
from rnn_core.data.batches import Batch
from rnn_core.layers.checks import check_finite, check_needs
from rnn_core.layers.embedding import dense
from rnn_core.layers.home import move
from rnn_core.layers.live import LiveParameters
from rnn_core.models import Model
from rnn_core.models.base import Evaluation, Step
from rnn_core.sensitivity.said import Said, said
from rnn_core.showing.table import table

from ..parameters.groups import Patterns, by_pattern, checked_model, chosen
from ..parameters.report import checksum
from .kinds import Map


class LinearMap:
    """A model whose parameters are θ_s + T(θ_s), for `fit`: what trains is T.

    Parameters
    ----------
    model : Model
        Its parameters as they are now are θ_s; they are copied. From here on the model's own arrays hold θ_t: each
        pass writes it there, and so does `merge`.
    kinds : mapping of str to Map
        A `Scale`, `LowRank`, `TwoSided` or `Square` for each pattern (see
        `transfer.parameters.groups`). ``"*"`` stands for what no other pattern and not `free` names.
    free : str or iterable of str
        Patterns of parameters that train themselves, as without a map: a new head, for instance.
    seed : int
        Draws the factor V of each `LowRank`.

    Attributes
    ----------
    parameters : dict of str to ndarray
        T's own: ``rnn.weight_hh_l0.U`` and so on, the parameter's name and a letter; and the free ones.
    frozen : frozenset of str
        Names out of `parameters` that don't train. Empty at first.

    Raises
    ------
    ValueError
        A pattern matches nothing, two claim one parameter for different things, a kind does not fit a shape, a
        parameter is NaN or infinite, or nothing is left to train.
    TypeError
        This is not a model, the model is quantized, or a kind is not a `Map`.

    Examples
    --------
    >>> linear = LinearMap(model, {"rnn.weight_*": LowRank(4), "embedding": Square(), "*": Scale()})
    >>> fit(linear, batches, optimizer=Adam(1e-2), epochs=5)
    >>> model = linear.merge()

    Notes
    -----
    What neither is mapped nor free stays as it is, and so does what the model has frozen: rules for it rest.
    """

    model: Model
    parameters: dict[str, Array]
    frozen: frozenset[str]
    config: dict[str, Any]

    def __init__(self, model: Model, kinds: Mapping[str, Map], *, free: Patterns = (), seed: int = 0) -> None:
        self.model = checked_model("LinearMap", model)
        self.kinds, self.free = _rules(model, kinds, free)
        rng = np.random.default_rng(seed)
        self.source: dict[str, Array] = {}
        self.tensors: dict[str, dict[str, Array]] = {}
        for name, kind in self.kinds.items():
            parameter = model.parameters[name]
            check_finite("LinearMap", name, parameter)
            self.source[name] = parameter.copy()
            begun = kind.begin(name, tuple(parameter.shape), model.gate_blocks[name], rng)
            xp = array_namespace(parameter)
            self.tensors[name] = {letter: move(t.astype(model.dtype), xp) for letter, t in begun.items()}
        self.frozen = frozenset()
        self.list_parameters()
        self.config = {
            "model": {"class": type(model).__name__, **model.config},
            "maps": {name: repr(kind) for name, kind in self.kinds.items()},
            "source": {name: checksum(p) for name, p in model.parameters.items() if name not in self.free},
            "seed": seed,
        }

    def list_parameters(self) -> None:
        """Make `parameters` anew from T's tensors and what is free, in the model's order."""
        parameters: dict[str, Array] = {}
        self._owners: dict[str, str] = {}  # the model's name for the parameter that each of ours acts on
        for name, array in self.model.parameters.items():
            own = {f"{name}.{letter}": t for letter, t in self.tensors.get(name, {}).items()}
            if name in self.free:
                own = {name: array}
            parameters |= own
            self._owners |= dict.fromkeys(own, name)
        self.parameters = LiveParameters("LinearMap.parameters", parameters)

    def loss_and_gradients(
        self,
        batch: Batch,
        *,
        state: Any = None,
        needs: Iterable[str] | None = None,
        rng: np.random.Generator | int | None = None,
    ) -> Step:
        """Return the loss of a batch and its gradients for names out of `parameters`.

        Parameters and errors are those of `Model.loss_and_gradients`.
        """
        if needs is None:
            needs = [name for name in self.parameters if name not in self.frozen]
        needs = check_needs("LinearMap.loss_and_gradients", needs, tuple(self.parameters))
        step = self.merge().loss_and_gradients(batch, state=state, needs={self._owners[n] for n in needs}, rng=rng)
        gradients = self.pull_back(step.gradients)
        return step._replace(gradients={name: gradients[name] for name in self.parameters if name in needs})

    def evaluate(self, batch: Batch, *, state: Any = None) -> Evaluation:
        """Return the loss of a batch and how many of its targets were predicted right; see `Model.evaluate`."""
        return self.merge().evaluate(batch, state=state)

    def pull_back(self, gradients: Mapping[str, Array]) -> dict[str, Array]:
        """Return T's gradients from the model's: the chain rule through θ_t = θ_s + T(θ_s).

        Parameters
        ----------
        gradients : mapping of str to ndarray
            ∂L/∂θ_t by the model's names; those of free parameters pass as they are.
        """
        found: dict[str, Array] = {}
        for name, d in gradients.items():
            if name in self.kinds:
                own = self.kinds[name].gradients(self.source[name], self.tensors[name], d)
                found |= {f"{name}.{letter}": gradient for letter, gradient in own.items()}
            else:
                found[name] = d
        return found

    def merge(self) -> Model:
        """Write θ_t into the model's own arrays, and return the model: it needs T no more.

        It may be called any number of times, as θ_s is kept here.
        """
        for name, kind in self.kinds.items():
            source = self.source[name]
            change = kind.change(source, self.tensors[name])
            # Where nothing is added θ_s stays to the last bit: adding 0 would turn −0 into 0.
            merged = array_namespace(source).where(change == 0, source, source + change)  # (X13)
            self.model.parameters[name][...] = merged
        return self.model

    def astype(self, dtype: Any, backend: str | None = None) -> Self:
        """Return the same map, with a model of its own, whose numbers are these, converted; see `Model.astype`."""
        twin = copy(self)
        twin.model = self.model.astype(dtype, backend)
        xp, dtype = twin.model.namespace, twin.model.dtype
        twin.source = {name: xp.astype(move(array, xp), dtype) for name, array in self.source.items()}
        twin.tensors = {
            name: {letter: xp.astype(move(t, xp), dtype) for letter, t in own.items()}
            for name, own in self.tensors.items()
        }
        twin.list_parameters()
        twin.config = self.config | {"model": {"class": type(twin.model).__name__, **twin.model.config}}
        return twin

    def __str__(self) -> str:
        rows, trains = [], 0
        for name, array in self.model.parameters.items():
            if name in self.kinds:
                own = [f"{letter} {_shape(t)}" for letter, t in self.tensors[name].items()]
                numbers = sum(t.size for t in self.tensors[name].values())
                cells = (repr(self.kinds[name]), ", ".join(own))
            elif name in self.free:
                cells, numbers = ("free", ""), array.size
            else:
                cells, numbers = ("frozen" if name in self.model.frozen else "stays", ""), 0
            trains += numbers
            rows.append((name, f"{array.size:,}", *cells, f"{numbers:,}"))
        total = sum(array.size for array in self.model.parameters.values())
        text = table(("parameter", "numbers", "map", "its tensors", "train"), rows, right=("numbers", "train"))
        return f"{text}\n{trains:,} numbers train instead of {total:,} ({trains / total:.1%})"


@said.register
def _said(linear: LinearMap, batch: Any, state: Any, needs: frozenset[str], rng: Any) -> Said:
    """Return what the model says at θ_t; the way back goes on through the map."""
    outputs = said(linear.merge(), batch, state, frozenset(linear._owners[name] for name in needs), rng)

    def backward(w: Mapping[str, Array]) -> dict[str, Array]:
        return linear.pull_back({name: dense(d) for name, d in outputs.backward(w).items()})

    return Said(outputs.doutputs, backward)


def _rules(model: Model, kinds: Any, free: Patterns) -> tuple[dict[str, Map], tuple[str, ...]]:
    """Return the kind of map for each parameter that has one, and which parameters are free; in the model's order."""
    if not isinstance(kinds, Mapping):
        raise TypeError(f"LinearMap: kinds must be a mapping of patterns to maps, got {type(kinds).__name__}")
    for pattern, kind in kinds.items():
        if not isinstance(kind, Map):
            raise TypeError(f"LinearMap: kinds[{pattern!r}] must be a Scale, LowRank, TwoSided or Square, got {kind!r}")
    claims = dict.fromkeys(chosen("LinearMap", "free", model, free), "free")
    names, matches = by_pattern("LinearMap", "kinds", model, kinds)
    for pattern, found in matches.items():
        for name in found if pattern != "*" else ():
            other = claims.setdefault(name, pattern)
            if other == "free" or kinds[other] != kinds[pattern]:
                shown = "free" if other == "free" else f"{other!r}: {kinds[other]}"
                raise ValueError(
                    f"LinearMap: rules for a parameter must agree, got {shown} and {pattern!r}: {kinds[pattern]} "
                    f"for {name}; narrow one of the patterns"
                )
    if "*" in kinds:
        claims |= {name: "*" for name in names if name not in claims}
    claims = {name: claims[name] for name in names if name in claims and name not in model.frozen}
    if not claims:
        raise ValueError(
            "LinearMap: a parameter must be left to map or to train, got none; "
            f"the model has frozen {len(model.frozen)} of {len(names)}"
        )
    mapped = {name: kinds[pattern] for name, pattern in claims.items() if pattern != "free"}
    return mapped, tuple(name for name, pattern in claims.items() if pattern == "free")


def _shape(array: Array) -> str:
    return "×".join(map(str, array.shape)) or "1"
