"""Methods that learn from the source's labels and the target's inputs; see `transfer.domains`.

They look at all training inputs of the target, whatever the size, as alignment and weights do; at the labels of so many
alone, and with ``few=False`` at none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_core import SequenceClassifier
from rnn_core.data import Examples
from rnn_core.data.labelled import Labelled
from rnn_core.data.ragged import pieces
from rnn_core.layers.checks import flag
from rnn_core.layers.home import to_host
from rnn_core.models import Model
from rnn_core.models.answers import AT_ONCE

from ..comparing.arms import Method, Pretraining, Start, Trained
from ..comparing.classification import ClassificationStudy
from ..comparing.data_study import HELD_OUT, DataStudy
from ..domains.batches import SideBySide
from ..domains.calibration import calibrate, calibration_error
from ..domains.losses.classes import probabilities
from ..domains.losses.loss import DomainLoss, checked_loss
from ..domains.losses.pseudo_labels import PseudoLabels
from ..domains.model import DomainAdapted
from ..instances.rows import number
from ..parameters.copying import copy_parameters
from ..parameters.groups import select
from .learning import classification, shared_question


@dataclass(frozen=True)
class Adapted(Method):
    """The source's network trains on, on the source's labels, with a loss between the domains; see `DomainAdapted`.

    Parameters
    ----------
    loss : DomainLoss
    weight : float
        Of that loss; with 0 source and target merely train one head.
    few : bool
        Whether the examples of the target that a run has count with their labels. Without, no label of the target is
        looked at, and all sizes are the same.

    Notes
    -----
    It begins with the source's core and its head, as the classes are the same. The losses' parameters train at the
    budget's rate for what is fresh.
    """

    loss: DomainLoss
    weight: float = 1.0
    few: bool = True

    def __post_init__(self) -> None:
        checked_loss("Adapted", self.loss)
        number("Adapted", "weight", self.weight, 0)
        flag("Adapted", "few", self.few)

    def why_not(self, study: DataStudy) -> str:
        """Return why this can't be used on a study, or an empty string if it can."""
        return shared_question(study)

    def train(self, study: DataStudy, start: Start) -> Trained:
        """Train on both domains at once."""
        study = classification(study)
        take_head(start)
        learn_both(study, start, self.loss, self.weight, study.labelled_source, self.few)
        return Trained(start.model)


@dataclass(frozen=True)
class HeldOut(Pretraining):
    """On most of the source's examples, so that the others can say how sure the network may be.

    Parameters
    ----------
    share : float
        Of the examples of the source that are held out, above 0 and below 1; at least one of each class.
    """

    share: float = 0.2

    def __post_init__(self) -> None:
        _checked_share("HeldOut", self.share)

    def why_not(self, study: DataStudy) -> str:
        """Return why this can't be used on a study, or an empty string if it can."""
        return shared_question(study) or few_to_hold_out(classification(study))

    def pretrain(self, study: DataStudy, seed: int) -> Model:
        """Train on what is not held out."""
        study, b = classification(study), study.budget
        rest, _ = parted(study, self.share, seed)
        model = study.build_source(seed)
        study.learn(model, study.batches(rest, seed), updates=b.source_updates, rate=b.source_rate, seed=2 * seed)
        return model


@dataclass(frozen=True)
class SelfTrained(Method):
    """The network's own answers to the target's inputs count as labels where it is sure; see `PseudoLabels`.

    Its confidence is calibrated first, on examples of the source that neither `HeldOut`, which has to be the arm's
    source, nor this trains on.

    Parameters
    ----------
    threshold : float
        From which confidence on an answer counts.
    weight : float
        Of the loss of what is so labelled.
    share : float
        As of the arm's `HeldOut`.
    few : bool
        As of `Adapted`.
    """

    threshold: float = 0.9
    weight: float = 1.0
    share: float = 0.2
    few: bool = True

    def __post_init__(self) -> None:
        PseudoLabels(1.0, self.threshold)
        number("SelfTrained", "weight", self.weight, 0)
        _checked_share("SelfTrained", self.share)
        flag("SelfTrained", "few", self.few)

    def why_not(self, study: DataStudy) -> str:
        """Return why this can't be used on a study, or an empty string if it can."""
        return shared_question(study) or few_to_hold_out(classification(study))

    def train(self, study: DataStudy, start: Start) -> Trained:
        """Calibrate, train, and tell what became of the calibration."""
        study, model = classification(study), start.model
        take_head(start)
        rest, held_out = parted(study, self.share, start.seed)
        found = calibrate(logits_of(model, held_out), held_out.targets)
        learn_both(study, start, PseudoLabels(found.temperature, self.threshold), self.weight, rest, self.few)
        T = found.temperature
        sure = probabilities(logits_of(model, study.target), T).p.max(axis=1) >= self.threshold
        record = {
            "temperature": T,
            "calibration error": found.before,
            "calibrated": found.after,
            "after training": calibration_error(probabilities(logits_of(model, held_out), T).p, held_out.targets),
            "held out": found.rows,
            "sure of the target's inputs": float(sure.mean()),
        }
        return Trained(model, record)


def learn_both(
    study: ClassificationStudy, start: Start, loss: DomainLoss, weight: float, source: Labelled, few: bool
) -> None:
    """Train a start's model within the budget: some examples of the source, all inputs of the target, labels of few."""
    b, target = study.budget, study.target
    # The target's own labels stay behind; Examples wants some.
    inputs = Examples(
        target.inputs, np.zeros(len(target), np.int64), lengths=target.lengths, batch_size=b.batch_size, seed=start.seed
    )
    data = SideBySide(
        study.batches(source, start.seed),
        inputs,
        few=study.target_data(start.size, start.seed) if few else None,
        updates=b.target_updates,
    )
    model = DomainAdapted(start.model, loss, weight=weight, seed=start.seed)
    study.learn(model, data, start.plan, validation=study.validation(), seed=start.dropout)


def take_head(start: Start) -> None:
    """Copy the source's head, which answers the same question, but for what the plan freezes."""
    if isinstance(start.source, SequenceClassifier):
        frozen = select(start.model, (*start.model.frozen, *start.plan.frozen))
        head = [name for name in select(start.model, "head") if name not in frozen]
        if head:
            copy_parameters(start.source, start.model, include=head)


def parted(study: ClassificationStudy, share: float, seed: int) -> tuple[Labelled, Labelled]:
    """Return the source's examples to train on, and those that are held out; the same seed parts them alike."""
    source = study.labelled_source
    held_out, rest = source.split(_held_out(source, share), [seed, HELD_OUT])
    return rest, held_out


def few_to_hold_out(study: ClassificationStudy) -> str:
    """Return a reason if a class of the source can't be on both sides."""
    counts = study.labelled_source.counts
    return f"a class of the source has but {counts.min()} example" if counts.min() < 2 else ""


def logits_of(model: Any, data: Labelled) -> np.ndarray:
    """Return what a classifier says of examples, (N, K), on the host, in float64."""
    parts = []
    for rows in pieces(data.steps, AT_ONCE):
        parts.append(to_host(model(data.inputs[rows], None if data.lengths is None else data.lengths[rows])))
    return np.concatenate(parts).astype(np.float64)


def _held_out(source: Labelled, share: float) -> int:
    return max(len(source.classes), round(share * len(source)))


def _checked_share(where: str, share: Any) -> None:
    if number(where, "share", share, 0, above=True) >= 1:
        raise ValueError(f"{where}: share must be below 1, got {share}")
