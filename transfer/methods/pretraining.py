"""Ways to train a source other than on its own task as it stands: on the examples that the target would ask for, or on
many small tasks, so that what is learned is how to learn.

As the `source` of an `Arm` they take the place of "trained", with the same number of updates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnn_core.data.labelled import Labelled
from rnn_core.layers.checks import positive_int
from rnn_core.models import Model
from rnn_core.training import SGD, Adam, Cosine, fit

from ..comparing.arms import Pretraining, one_of
from ..comparing.classification import ClassificationStudy
from ..comparing.data_study import DRAWN, SOME, DataStudy
from ..instances.weights import density_ratio, kernel_mean_matching
from ..tasks.episodes import Task, Tasks
from ..tasks.meta import MAML, Reptile
from .learning import classification, no_inputs_in_common


@dataclass(frozen=True)
class Weighted(Pretraining):
    """On the source's examples, those counting more that look like the target's inputs.

    They are compared by the features that a core trained on all alike makes of them. Rows are drawn in proportion to
    their weights, so that these mean the same in batches of any size.

    Parameters
    ----------
    kind : {"kernel", "classifier"}
        `kernel_mean_matching` or `density_ratio`.
    most : int
        Examples of either side that a kernel is made of, drawn at random; the others of the source take no part.

    Notes
    -----
    The target's training inputs are all looked at, whatever the size, but not its labels. The source trains twice,
    first to have features.
    """

    kind: str = "kernel"
    most: int = 1000

    def __post_init__(self) -> None:
        one_of("Weighted", "kind", self.kind, ("kernel", "classifier"))
        positive_int("Weighted", "most", self.most)

    def why_not(self, study: DataStudy) -> str:
        """Return why this can't be used on a study, or an empty string if it can."""
        if reason := no_inputs_in_common(study):
            return reason
        few = min(len(classification(study).labelled_source), len(classification(study).target))
        return f"{few} examples are too few to tell the sides apart" if few < FEWEST and self.kind != "kernel" else ""

    def pretrain(self, study: DataStudy, seed: int) -> Model:
        """Train twice: to have features, and with the weights that they lead to."""
        from .on_features import features_of

        study = classification(study)
        most = self.most if self.kind == "kernel" else None
        source, target = (_some(data, most, seed) for data in (study.labelled_source, study.target))
        core: Any = study.pretrain(seed, False)
        there, here = features_of(core, source), features_of(core, target)
        weights = kernel_mean_matching(there, here) if self.kind == "kernel" else density_ratio(there, here, seed=seed)
        rng = np.random.default_rng([seed, DRAWN])
        rows = rng.choice(len(source), size=len(source), p=weights / weights.sum())
        model, b = study.build_source(seed), study.budget
        drawn = study.batches(source.rows(rows), seed)
        study.learn(model, drawn, updates=b.source_updates, rate=b.source_rate, seed=2 * seed)
        return model


@dataclass(frozen=True)
class MetaLearned(Pretraining):
    """On tasks made of the source's examples, each with the classes' names dealt anew; see `Reptile` and `MAML`.

    Parameters
    ----------
    kind : {"reptile", "maml"}
        MAML of the first order.
    steps : int
        Updates on a task.
    shots : int
        Examples of each class in an update.
    inner_rate, outer_rate : float
        Of gradient descent on a task, and of Adam on what the tasks say.
    """

    kind: str = "reptile"
    steps: int = 5
    shots: int = 5
    inner_rate: float = 0.1
    outer_rate: float = 1e-2

    def __post_init__(self) -> None:
        one_of("MetaLearned", "kind", self.kind, ("reptile", "maml"))
        positive_int("MetaLearned", "steps", self.steps)
        positive_int("MetaLearned", "shots", self.shots)

    def why_not(self, study: DataStudy) -> str:
        """Return why this can't be used on a study, or an empty string if it can."""
        if not isinstance(study, ClassificationStudy) or not isinstance(study.source, Labelled):
            return "the source has no classes to make tasks of"
        if (few := study.source.counts.min()) < 2:
            return f"a class of the source has but {few} example"
        return ""

    def pretrain(self, study: DataStudy, seed: int) -> Model:
        """Train on as many batches of tasks as the budget has updates for the source."""
        study = classification(study)
        model = study.build_source(seed)
        draw = _dealing(study, self.steps, self.shots)
        length = max(1, study.budget.source_updates // (self.steps + (self.kind == "maml")))
        learner: Any
        if self.kind == "reptile":
            learner = Reptile(model, SGD(self.inner_rate))
        else:
            learner = MAML(model, self.inner_rate, first_order=True)
        fit(
            learner, Tasks(draw, length, seed=seed), optimizer=Adam(self.outer_rate), schedule=Cosine(length), epochs=1,
            clip_norm=study.budget.clip_norm, seed=2 * seed, progress=False,
        )  # fmt: skip
        return model


def _dealing(study: ClassificationStudy, steps: int, shots: int) -> Callable[[np.random.Generator], Task]:
    """Return what draws a task: batches of some examples of each class, the classes under other numbers."""
    source = study.labelled_source
    by_class = [np.flatnonzero(source.targets == k) for k in range(len(source.classes))]

    def draw(rng: np.random.Generator) -> Task:
        number = rng.permutation(len(by_class))
        batches = []
        for _ in range(steps + 1):
            rows = np.concatenate([rng.choice(rows, min(shots, len(rows)), replace=False) for rows in by_class])
            some = replace(source.rows(rows), targets=number[source.targets[rows]])
            batches.append(study.batches(some, int(rng.integers(2**31)), len(some)).batch(0, 0))
        return Task(batches[:-1], query=batches[-1])

    return draw


FEWEST = 10
"""Examples of either side that `density_ratio` wants: two for each of its folds."""


def _some(data: Labelled, most: int | None, seed: int) -> Labelled:
    """Return so many examples, drawn without a look at their classes; or all."""
    if most is None or len(data) <= most:
        return data
    return data.rows(np.random.default_rng([seed, SOME]).permutation(len(data))[:most])
