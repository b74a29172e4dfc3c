"""Every method of this package as an arm of a comparison, under one name each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from rnn_core.training import OneCycle, SlantedTriangular

from ..comparing.arms import BASELINE, Arm
from ..comparing.data_study import DataStudy
from ..domains.losses.adversarial import DomainAdversarial
from ..domains.losses.conditional import ConditionalAdversarial
from ..domains.losses.confusion import ClassConfusion
from ..domains.losses.correlation import DeepCORAL
from ..domains.losses.discrepancy import MMD
from ..domains.losses.entropy import EntropyMinimisation
from ..parameters.groups import listed, select
from ..planning.freezing import Unfreezing
from ..planning.plan import Plan
from ..planning.rates import discriminative_rates
from .learning import Apart, ChosenStrength, Mapped, Together
from .pretraining import MetaLearned, Weighted
from .unlabelled import Adapted, HeldOut, SelfTrained


@dataclass(frozen=True)
class Unsuited:
    """A method that can't be used on a study, and why."""

    name: str
    reason: str


METHODS = {
    "fine-tuned": "the source's core, which trains on at a rate of its own",
    "one rate": "the same, at the rate of what is fresh",
    "frozen core": "the source's core, which stays; the head trains",
    "gradual unfreezing": "the head first, then one group after another",
    "discriminative rates": "a lower rate for each lower group, and a slanted triangle of rates",
    "one cycle": "rates that rise and fall once",
    "anchored": "L2-SP: held to the source by springs of a given strength, a new head to 0",
    "anchored, chosen": "L2-SP, its strength chosen on a fifth of the examples",
    "scale map": "a factor for each tensor of the source trains, and a head",
    "low-rank map": "a matrix of low rank is added to each of the source's weights, and trains",
    "two-sided map": "each of the source's weights between two matrices, which train",
    "recurrent weights": "only the recurrent weights carry over",
    "logistic regression": "on the features of the source's core",
    "SVM": "on the features of the source's core",
    "random forest": "on the features of the source's core",
    "source and target": "two heads on one core train at once",
    "two clients": "source and target train apart, and their cores are averaged",
    "Reptile": "the source is learned as many tasks",
    "MAML": "the source is learned as many tasks, by the gradient after adapting (first order)",
    "kernel weights": "source examples count as kernel mean matching says",
    "ratio weights": "source examples count as a classifier of the domains says",
    "TrAdaBoost": "networks that vote, trained on examples of both",
    "CORAL": "logistic regression on examples of both, their covariances made one",
    "subspace": "logistic regression on examples of both, their principal directions made one",
    "one head": "examples of both train one head and one core, and nothing brings the domains together",
    "MMD": "the same, and the states of both have one mean in the space of some kernels",
    "deep CORAL": "the same, and the states of both have one covariance",
    "domain-adversarial": "the same, and a critic can't tell the states of both apart",
    "conditional adversarial": "the same, the critic seeing states together with answers",
    "class confusion": "the same, and the target's inputs don't hesitate between the same two classes",
    "entropy minimisation": "the same, and the answers to the target's inputs are sure",
    "pseudo-labels": "the same, and answers that are sure, calibrated first, count as labels",
    BASELINE: "nothing carries over: the baseline",
    "random core": "control: a fresh core that stays; the head trains",
    "random features": "control: logistic regression on a fresh core's features",
    "shuffled labels": "control: fine-tuned from a source whose labels were shuffled",
    "scrambled core": "control: fine-tuned from the source's numbers in other places",
    "matched core": "control: fine-tuned from random matrices of the source's singular values",
}
"""What there is, in the order of the table, with a line on each."""


def arms_for(study: DataStudy, names: Iterable[str] | None = None) -> tuple[tuple[Arm, ...], tuple[Unsuited, ...]]:
    """Return the arms of some or all methods for a study, and the methods that can't be used on it.

    Parameters
    ----------
    study : DataStudy
    names : iterable of str, optional
        Out of `METHODS`; "scratch", which every other is compared with, is among the arms in any case.

    Returns
    -------
    arms : tuple of Arm
        For `compare`, in the order of `METHODS`.
    unsuited : tuple of Unsuited

    Raises
    ------
    ValueError
        There is no method of a name; or a named one is not for this study, and it says why.
    TypeError
        This is not a `DataStudy`.
    """
    where = "arms_for"
    if not isinstance(study, DataStudy):
        raise TypeError(f"{where}: study must be a DataStudy, got {type(study).__name__}; see ClassificationStudy")
    wanted = None if names is None else listed(where, "names", names)
    for name in wanted or ():
        if name not in METHODS:
            near = get_close_matches(name, METHODS, n=1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"{where}: names must be methods, got {name!r}; {meant}there are {', '.join(METHODS)}")
    every = {arm.name: arm for arm in _arms(study)}
    arms, unsuited = [], []
    for name in METHODS:
        if wanted is not None and name not in wanted and name != BASELINE:
            continue
        reason = study.why_not(every[name])
        if not reason:
            arms.append(every[name])
        elif wanted is None:
            unsuited.append(Unsuited(name, reason))
        else:
            raise ValueError(f"{where}: {name!r} can't be used here: {reason}; leave it out")
    return tuple(arms), tuple(unsuited)


RECURRENT = "rnn.weight_hh_*"


def _arms(study: DataStudy) -> tuple[Arm, ...]:
    """Return an arm for each name."""
    from .on_features import Aligned, Boosted, Features

    b, model = study.budget, study.build(0)
    groups = sum(bool(names) for names in model.groups.values())
    slow = study.slowly(model)
    tuned = Plan(rates=slow)
    few = Plan(rates=dict.fromkeys(select(model, RECURRENT), b.core_rate))
    above = Plan(rates={name: rate for name, rate in slow.items() if name not in select(model, study.core)})
    new = {} if "head.bias" in slow else {"head": 0.001}
    held = Plan(rates=slow, anchors=dict.fromkeys(slow, 0.01), decays=new)
    stage = Unfreezing(steps=max(1, b.target_updates // (2 * groups)))
    falling = discriminative_rates(model, slow.get("head.bias", b.rate))
    return (
        Arm("fine-tuned", "trained", plan=tuned),
        Arm("one rate", "trained"),
        Arm("frozen core", "trained", frozen_core=True, plan=above),
        Arm("gradual unfreezing", "trained", plan=Plan(rates=slow, unfreezing=stage)),
        Arm("discriminative rates", "trained", plan=Plan(rates=falling, schedule=SlantedTriangular)),
        Arm("one cycle", "trained", plan=Plan(rates=slow, schedule=OneCycle)),
        Arm("anchored", "trained", plan=held),
        Arm("anchored, chosen", "trained", plan=tuned, method=ChosenStrength()),
        Arm("scale map", "trained", method=Mapped("scale")),
        Arm("low-rank map", "trained", method=Mapped("low rank")),
        Arm("two-sided map", "trained", method=Mapped("two-sided")),
        Arm("recurrent weights", "trained", plan=few, carried=RECURRENT),
        Arm("logistic regression", "trained", method=Features("logistic")),
        Arm("SVM", "trained", method=Features("svm")),
        Arm("random forest", "trained", method=Features("forest")),
        Arm("source and target", "trained", plan=tuned, method=Together()),
        Arm("two clients", "trained", plan=tuned, method=Apart()),
        Arm("Reptile", MetaLearned("reptile"), plan=tuned),
        Arm("MAML", MetaLearned("maml"), plan=tuned),
        Arm("kernel weights", Weighted("kernel"), plan=tuned),
        Arm("ratio weights", Weighted("classifier"), plan=tuned),
        Arm("TrAdaBoost", "trained", plan=tuned, method=Boosted()),
        Arm("CORAL", "trained", method=Aligned("coral")),
        Arm("subspace", "trained", method=Aligned("subspace")),
        Arm("one head", "trained", plan=tuned, method=Adapted(EntropyMinimisation(), weight=0.0)),
        Arm("MMD", "trained", plan=tuned, method=Adapted(MMD())),
        Arm("deep CORAL", "trained", plan=tuned, method=Adapted(DeepCORAL(), weight=100.0)),
        Arm("domain-adversarial", "trained", plan=tuned, method=Adapted(DomainAdversarial())),
        Arm("conditional adversarial", "trained", plan=tuned, method=Adapted(ConditionalAdversarial())),
        Arm("class confusion", "trained", plan=tuned, method=Adapted(ClassConfusion())),
        Arm("entropy minimisation", "trained", plan=tuned, method=Adapted(EntropyMinimisation(), weight=0.1)),
        Arm("pseudo-labels", HeldOut(), plan=tuned, method=SelfTrained()),
        Arm(BASELINE),
        Arm("random core", frozen_core=True),
        Arm("random features", method=Features("logistic")),
        Arm("shuffled labels", "shuffled", plan=tuned),
        Arm("scrambled core", "scrambled", plan=tuned),
        Arm("matched core", "matched", plan=tuned),
    )
