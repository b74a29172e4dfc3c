"""Ways to learn a target task that are more than a `Plan`: as arms of a comparison, on the same data and budget.

Each is one class. What it makes has ``predict(inputs, lengths)``; mostly it is the model itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rnn_core.data import Repeated
from rnn_core.data.labelled import Labelled
from rnn_core.layers.checks import positive_int
from rnn_core.models import Model
from rnn_core.training import Adam, Cosine, Updates

from ..choosing.strength import choose_strength
from ..comparing.arms import Method, Start, Trained, one_of
from ..comparing.classification import ClassificationStudy
from ..comparing.data_study import HELD_OUT, DataStudy
from ..federated.averaging import average
from ..federated.client import LocalClient
from ..maps.kinds import LowRank, Map, Scale, Square, TwoSided
from ..maps.linear import LinearMap
from ..parameters.copying import copy_parameters
from ..parameters.groups import select
from ..planning.plan import Plan
from ..tasks.mixture import Mixture
from ..tasks.multitask import MultiTask


@dataclass(frozen=True)
class Mapped(Method):
    """The target's parameters as a linear map of the source's, which alone trains; see `LinearMap`.

    Parameters
    ----------
    kind : {"scale", "low rank", "two-sided"}
        Of the core's weights. Its biases are scaled, an embedding is mapped by one matrix (scaled with "scale"). What
        did not come from the source is free. Matrices that multiply whole tensors move at the rate of what was copied,
        since they move all of that.
    rank : int

    Notes
    -----
    The arm's plan has no say: these are rules of its own.
    """

    kind: str = "low rank"
    rank: int = 4

    def __post_init__(self) -> None:
        one_of("Mapped", "kind", self.kind, ("scale", "low rank", "two-sided"))
        positive_int("Mapped", "rank", self.rank)

    def train(self, study: DataStudy, start: Start) -> Trained:
        """Train the map, and merge it into the model."""
        kinds: dict[str, Map] = {}
        for name in select(start.model, study.core):
            array = start.model.parameters[name]
            if self.kind == "scale" or array.ndim == 1:
                kinds[name] = Scale()
            elif name.startswith("embedding."):
                kinds[name] = Square()
            else:
                kinds[name] = TwoSided() if self.kind == "two-sided" else LowRank(min(self.rank, *array.shape))
        free = [name for name in start.model.parameters if name not in kinds]
        linear = LinearMap(start.model, kinds, free=free, seed=start.seed)
        slow, rate = study.slowly(start.model), study.budget.core_rate
        slow = {name: rate for name in linear.parameters if name in slow or name.endswith((".A", ".B", ".M"))}
        data = study.target_data(start.size, start.seed)
        updates = Updates(tuple(linear.parameters), slow)
        study.learn(linear, data, updates, validation=study.validation(), seed=start.dropout)
        numbers = sum(array.size for array in linear.parameters.values())
        return Trained(linear.merge(), {"numbers trained": int(numbers)})


@dataclass(frozen=True)
class Together(Method):
    """Source and target train at once on one core, in every step a batch of each; see `MultiTask`.

    Parameters
    ----------
    weight : float
        Of the source's loss; the target's is 1.
    """

    weight: float = 1.0

    def why_not(self, study: DataStudy) -> str:
        """Return why this can't be used on a study, or an empty string if it can."""
        if isinstance(study, ClassificationStudy):
            return no_inputs_in_common(study)
        return "" if study.joins else "no core can read both source and target"

    def train(self, study: DataStudy, start: Start) -> Trained:
        """Train two heads on one core, and take the target's."""
        model, joint = start.model, study.joint(start.size, start.seed)
        heads = {**joint.heads, "source": replace(joint.heads["source"], weight=self.weight)}
        options = {name: value for name, value in model.config.items() if name not in NOT_SHARED}
        both = MultiTask(heads, **options)
        copy_parameters(model, both, rename={"head.*": "heads.target.*"})
        if start.source is not None and isinstance(study, ClassificationStudy):
            copy_parameters(start.source, both, include="heads.source.*", rename={"head.*": "heads.source.*"})
        validation = study.validation()
        study.learn(
            both,
            Mixture(joint.data, sampling="together", seed=start.seed),
            _of_target(start.plan),
            validation=None if validation is None else Mixture({"target": validation}),
            seed=start.dropout,
        )
        copy_parameters(both, model, rename={"heads.target.*": "head.*"})
        return Trained(model)


def _of_target(plan: Plan) -> Plan:
    """Return a plan for a model whose head is one of two."""

    def renamed(pattern: str) -> str:
        return pattern.replace("head", "heads.target", 1) if pattern.split(".")[0] == "head" else pattern

    def rules(given: Mapping[str, float]) -> dict[str, float]:
        return {renamed(pattern): value for pattern, value in given.items()}

    return replace(
        plan,
        frozen=tuple(map(renamed, plan.frozen)),
        rates=rules(plan.rates),
        anchors=rules(plan.anchors),
        decays=rules(plan.decays),
    )


NOT_SHARED = ("num_classes", "pooling", "tied")
"""Options of a model that are its head's, and not the core's."""


@dataclass(frozen=True)
class Apart(Method):
    """Source and target train apart, as two clients whose cores are averaged; see `LocalClient`.

    Parameters
    ----------
    rounds : int
        After the last, the target's client trains once more for itself. All its updates together are the budget's; Adam
        begins each round afresh, at rates that do not fall.
    """

    rounds: int = 4

    def __post_init__(self) -> None:
        positive_int("Apart", "rounds", self.rounds)

    def why_not(self, study: DataStudy) -> str:
        """Return why this can't be used on a study, or an empty string if it can."""
        return no_inputs_in_common(study)

    def train(self, study: DataStudy, start: Start) -> Trained:
        """Train round after round, and keep the target's client, whose head was never anybody else's."""
        there, away_plan = study.build_source(start.seed), Plan()
        if start.source is not None:
            there.load_state_dict(start.source.state_dict())
            away_plan = Plan(rates=study.slowly(there))
        b = study.budget
        data = (study.source_data(start.seed), study.target_data(start.size, start.seed))
        length = max(1, b.target_updates // (self.rounds + 1))
        away, home = (
            LocalClient(
                model, Repeated(batches, length), optimizer=Adam(b.rate), core=study.core, plan=plan,
                clip_norm=b.clip_norm, seed=seed,
            )
            for model, batches, plan, seed in (
                (there, data[0], away_plan, 2 * start.seed), (start.model, data[1], start.plan, start.dropout)
            )
        )  # fmt: skip
        core = home.get()
        for _ in range(self.rounds):
            results = [client.fit(core) for client in (away, home)]
            core = average([result.arrays for result in results], [result.count for result in results])
        home.fit(core)
        return Trained(start.model)


@dataclass(frozen=True)
class ChosenStrength(Method):
    """The source as a regulariser, with the strength that does best on a fifth of the target's examples.

    With it the model then trains on all of them. Where a class has but one example there is nothing to choose by, and
    the middle strength is taken. See `choose_strength`.

    Parameters
    ----------
    alphas : tuple of float
        Strengths of the anchor of what was copied.
    beta : float
        Strength of the decay of the new head.

    Notes
    -----
    Each strength is tried with the whole budget. An arm's plan leaves anchors and decays to this.
    """

    alphas: tuple[float, ...] = (0.0, 0.001, 0.01, 0.1)
    beta: float = 0.001

    def __post_init__(self) -> None:
        if not self.alphas:
            raise ValueError("ChosenStrength: alphas must be at least one strength, got none")

    def why_not(self, study: DataStudy) -> str:
        """Return why this can't be used on a study, or an empty string if it can."""
        return no_classes(study)

    def train(self, study: DataStudy, start: Start) -> Trained:
        """Choose the strength, and train with it."""
        study, model, seed = classification(study), start.model, start.seed
        examples, size = study.examples(start.size, seed), study.budget.batch_size
        alpha = sorted(self.alphas)[len(self.alphas) // 2]
        if examples.counts.min() > 1:
            held_out, rest = examples.split(max(len(examples.classes), len(examples) // 5), [seed, HELD_OUT])
            begun = model.state_dict()
            choice = choose_strength(
                model,
                Repeated(rest.batches(size, seed), study.budget.target_updates),
                held_out.batches(size),
                optimizer=Adam(study.budget.rate),
                epochs=1,
                anchored=study.core,
                alphas=self.alphas,
                decayed="head",
                betas=(self.beta,),
                plan=replace(start.plan, schedule=Cosine),
                clip_norm=study.budget.clip_norm,
                seed=start.dropout,
                workers=1,
            )
            model.load_state_dict(begun)
            alpha = choice.best.alpha
        plan = replace(start.plan, anchors=dict.fromkeys(study.core, alpha), decays={"head": self.beta})
        study.learn(model, examples.batches(size, seed), plan, validation=study.validation(), seed=start.dropout)
        return Trained(model, {"alpha": alpha})


def classification(study: DataStudy) -> ClassificationStudy:
    """Return `study`, if it has labelled examples."""
    if not isinstance(study, ClassificationStudy):
        raise TypeError(f"Method: study must be a ClassificationStudy for this, got {type(study).__name__}")
    return study


def no_classes(study: DataStudy) -> str:
    """Return a reason if the target has no sequences of which each has one class."""
    return "" if isinstance(study, ClassificationStudy) else "the target has no sequences with one class each"


def no_inputs_in_common(study: DataStudy) -> str:
    """Return a reason if the source has no examples that could stand beside the target's."""
    if reason := no_classes(study):
        return reason
    source = classification(study).source
    if not isinstance(source, Labelled):
        return f"a {'trained model' if isinstance(source, Model) else 'text'} brings no examples of its classes"
    return "" if classification(study).same_inputs else "source and target have no inputs in common"


def shared_question(study: DataStudy) -> str:
    """Return why a source's examples can't stand beside the target's as examples of the same classes, if they can't."""
    if reason := no_inputs_in_common(study):
        return reason
    return "" if classification(study).same_classes else "source and target have different classes"
