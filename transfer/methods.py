"""Ways to learn a target task that are more than a `Plan`: as arms of a comparison, on the same data and budget.

Each is one class. What it makes has ``predict(inputs, lengths)``; mostly it is the model itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rnn_core.data import Repeated
from rnn_core.training import Adam, Cosine, Updates

from .arms import Method, Start, Trained
from .averaging import average
from .classification import ClassificationStudy
from .copying import copy_parameters
from .data_study import DataStudy
from .federated import LocalClient
from .linear_map import LinearMap
from .map_kinds import LowRank, Map, Scale, Square, TwoSided
from .mixture import Mixture
from .multitask import MultiTask
from .plan import Plan
from .strength import choose_strength


@dataclass(frozen=True)
class Mapped(Method):
    """The target's parameters as a linear map of the source's, which alone trains; see `LinearMap`.

    Parameters
    ----------
    kind : {"scale", "low rank", "two-sided"}
        Of the core's weights. Its biases are scaled, an embedding is mapped by one matrix (scaled with "scale"), the
        head is free. What multiplies whole matrices moves at the rate of what was copied, since it moves all of that.
    rank : int
    """

    kind: str = "low rank"
    rank: int = 4

    def train(self, study: DataStudy, start: Start) -> Trained:
        """Train the map, and merge it into the model."""
        kinds: dict[str, Map] = {}
        for name, array in start.model.parameters.items():
            if name.startswith("head."):
                continue
            if self.kind == "scale" or array.ndim == 1:
                kinds[name] = Scale()
            elif name.startswith("embedding."):
                kinds[name] = Square()
            else:
                kinds[name] = TwoSided() if self.kind == "two-sided" else LowRank(min(self.rank, *array.shape))
        linear = LinearMap(start.model, kinds, free="head", seed=start.seed)
        slow, rate = study.slowly(start.model), study.budget.core_rate
        slow = {name: rate for name in linear.parameters if name in slow or name.endswith((".A", ".B", ".M"))}
        data = study.target_data(start.size, start.seed)
        updates = Updates(tuple(linear.parameters), slow)
        study.learn(linear, data, updates, validation=study.validation(), seed=start.seed)
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
        return "" if study.joins else "source and target have no inputs in common"

    def train(self, study: DataStudy, start: Start) -> Trained:
        """Train two heads on one core, and take the target's."""
        model, joint = start.model, study.joint(start.size, start.seed)
        heads = {**joint.heads, "source": replace(joint.heads["source"], weight=self.weight)}
        options = {name: value for name, value in model.config.items() if name not in NOT_SHARED}
        both = MultiTask(heads, **options)
        copy_parameters(model, both, rename={"head.*": "heads.target.*"})
        if start.source is not None and len(start.source.parameters["head.bias"]) == heads["source"].outputs:
            copy_parameters(start.source, both, include="heads.source.*", rename={"head.*": "heads.source.*"})
        validation = study.validation()
        study.learn(
            both,
            Mixture(joint.data, sampling="together", seed=start.seed),
            replace(start.plan, rates={_of_target(name): rate for name, rate in start.plan.rates.items()}),
            validation=None if validation is None else Mixture({"target": validation}),
            seed=start.seed,
        )
        copy_parameters(both, model, rename={"heads.target.*": "head.*"})
        return Trained(model)


def _of_target(pattern: str) -> str:
    """Return what a pattern of a model is called where the model's head is one of two."""
    return pattern.replace("head", "heads.target", 1) if pattern.split(".")[0] == "head" else pattern


NOT_SHARED = ("num_classes", "pooling", "tied")
"""Options of a model that are its head's, and not the core's."""


@dataclass(frozen=True)
class Apart(Method):
    """Source and target train apart, as two clients whose cores are averaged; see `LocalClient`.

    Parameters
    ----------
    rounds : int
        After the last, the target's client trains once more for itself. All its updates together are the budget's.
    """

    rounds: int = 4

    def why_not(self, study: DataStudy) -> str:
        """Return why this can't be used on a study, or an empty string if it can."""
        return no_inputs_in_common(study)

    def train(self, study: DataStudy, start: Start) -> Trained:
        """Train round after round, and keep the target's client, whose head was never anybody else's."""
        there = study.build_source(start.seed)
        if start.source is not None:
            there.load_state_dict(start.source.state_dict())
        b = study.budget
        data = (study.source_data(start.seed), study.target_data(start.size, start.seed))
        length = max(1, b.target_updates // (self.rounds + 1))
        away, home = (
            LocalClient(
                model, Repeated(batches, length), optimizer=Adam(b.rate), core=study.core, plan=plan,
                clip_norm=b.clip_norm, seed=start.seed,
            )
            for model, batches, plan in zip((there, start.model), data, (Plan(), start.plan), strict=True)
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
    """

    alphas: tuple[float, ...] = (0.0, 0.001, 0.01, 0.1)
    beta: float = 0.001

    def why_not(self, study: DataStudy) -> str:
        """Return why this can't be used on a study, or an empty string if it can."""
        return no_classes(study)

    def train(self, study: DataStudy, start: Start) -> Trained:
        """Choose the strength, and train with it."""
        study, model, seed = classification(study), start.model, start.seed
        examples, size = study.examples(start.size, seed), study.budget.batch_size
        alpha = sorted(self.alphas)[len(self.alphas) // 2]
        if examples.counts.min() > 1:
            held_out, rest = examples.split(max(len(examples.classes), len(examples) // 5), [seed, 2])
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
                seed=seed,
            )
            model.load_state_dict(begun)
            alpha = choice.best.alpha
        plan = replace(start.plan, anchors=dict.fromkeys(study.core, alpha), decays={"head": self.beta})
        study.learn(model, examples.batches(size, seed), plan, validation=study.validation(), seed=seed)
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
    return "" if classification(study).same_inputs else "source and target have no inputs in common"
