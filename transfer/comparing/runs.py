"""The runs behind a comparison: one after the other, or spread over processes and hosts.

Both ways give the same bits: a run depends on its seed alone, BLAS has one thread in either, and what the kernels
compute doesn't depend on how many they have.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np

from rnn_core.models import Model

from ..parameters.cross_domain import CONTROLS
from ..parameters.groups import checked_model, select
from ..parameters.report import checksums
from ..spreading.spread import Spread
from ..spreading.tasks import Task, as_array
from .arms import Arm, Start, Trained
from .study import Study


class Run(NamedTuple):
    """One arm, one target size, one seed, and what came out."""

    arm: str
    size: int
    seed: int
    score: float
    record: Any  # what `Study.train` returned


Missing = Sequence[tuple[int, Arm]]
"""The runs of a seed that are to be made: sizes and arms, in order."""

Sources = Callable[[int, Any, Callable[[], Model]], Model]
"""Called with a seed, what an arm calls its source, and what trains it: returns it, trained now or kept from before."""


class KeptSources(Protocol):
    """Trained sources of another time."""

    def find(self, seed: int, source: Any) -> Model | None:
        """Return the one of a seed, by what an arm calls it, if there is one."""

    def add(self, seed: int, source: Any, model: Model) -> None:
        """Keep one."""


def run_seed(study: Study, seed: int, missing: Missing, sources_of: Sources | None = None) -> Iterator[Run]:
    """Pretrain what the arms need, then yield a run for each size and arm."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), _saying(f"the sources of seed {seed}"):
        sources = pretrained(study, seed, [arm for _, arm in missing], sources_of)
    for size, arm in missing:
        with threadpool_limits(1), _saying(named(arm, size, seed)):  # again for each: one may have loaded a library
            run = run_one(study, arm, size, seed, sources)
        yield run


@contextmanager
def _saying(what: str) -> Iterator[None]:
    """Note on an error where it was met."""
    try:
        yield
    except Exception as error:
        error.add_note(f"compare: in {what}")
        raise


def run_one(study: Study, arm: Arm, size: int, seed: int, sources: Mapping[Any, Model]) -> Run:
    """Train an arm at a size with a seed, and score it; `sources` are `pretrained`."""
    fitted, record = trained(study, arm, size, seed, sources[arm.source] if arm.source else None)
    score = study.score(fitted)
    try:
        return Run(arm.name, size, seed, float(score), record)
    except (TypeError, ValueError) as error:
        raise TypeError(f"compare: Study.score must return a number, got {score!r}") from error


def pretrained(
    study: Study, seed: int, arms: Sequence[Arm], sources_of: Sources | None = None
) -> dict[Any, Model]:
    """Return the trained sources that arms begin with, by what each calls its source."""
    wanted = dict.fromkeys(arm.source for arm in arms if arm.source)
    named = [source for source in wanted if isinstance(source, str)]

    def made(source: Any, pretrain: Callable[[], Model]) -> Model:
        return pretrain() if sources_of is None else sources_of(seed, source, pretrain)

    own = {
        shuffled: made("shuffled" if shuffled else "trained", partial(study.pretrain, seed, shuffled))
        for shuffled in dict.fromkeys(source == "shuffled" for source in named)
    }
    sources: dict[Any, Model] = {
        source: study.control(source, own[False], seed) if source in CONTROLS else own[source == "shuffled"]
        for source in named
    }
    return sources | {
        # `compare` has asked whether the study is one that it can be used on.
        source: made(source, partial(source.pretrain, study, seed))  # type: ignore[arg-type]
        for source in wanted
        if not isinstance(source, str)
    }


def trained(study: Study, arm: Arm, size: int, seed: int, source: Model | None) -> Trained:
    """Return what an arm ends with, after a look at whether what it froze has stayed."""
    model = checked_model("Study.build", arm.begin(study, source, seed))
    plan = arm.plan_for(study.core)
    before = checksums(model, select(model, (*model.frozen, *plan.frozen)))
    fitted: Any = model
    if arm.method is None:
        record = study.train(model, plan, size, seed)
    else:
        fitted, record = arm.method.train(study, Start(source, model, plan, size, seed))  # type: ignore[arg-type]
    if changed := [name for name, bits in checksums(model, before).items() if bits != before[name]]:
        raise RuntimeError(
            f"compare: frozen parameters must keep their bits, got others in {', '.join(changed)} "
            f"(arm {arm.name!r}, size {size}, seed {seed}); Study.train, or the arm's method, must obey the arm's plan"
        )
    return Trained(fitted, record)


def run_here(
    study: Study, missing: Mapping[int, Missing], collect: Callable[[Run], None], sources_of: Sources | None = None
) -> None:
    """Make the runs of each seed in this process, and hand each to `collect`."""
    for seed, its in missing.items():
        for run in run_seed(study, seed, its, sources_of):
            collect(run)


def run_spread(
    spread: Spread,
    missing: Mapping[int, Missing],
    collect: Callable[[Run], None],
    kept: KeptSources | None,
) -> None:
    """Make every source on a worker, then every run on any of them, and hand each run to `collect` when it is there.

    `spread` shares the study among its tasks.
    """
    wanted = [
        (seed, source)
        for seed, its in missing.items()
        for source in dict.fromkeys(begins_with(arm) for _, arm in its if arm.source)
    ]
    held: dict[tuple[int, Any], Any] = {}
    for seed, source in wanted:
        if kept is not None and (model := kept.find(seed, source)) is not None:
            held[seed, source] = spread.hold(as_array(model))
    absent = [key for key in wanted if key not in held]
    tasks = [Task(_source_in_worker, key, f"the source of seed {key[0]}{_named(key[1])}") for key in absent]
    for place, content in spread.results(tasks):
        if kept is not None:
            kept.add(*absent[place], pickle.loads(content))
        held[absent[place]] = spread.hold(content)
    runs = [(arm, size, seed) for seed, its in missing.items() for size, arm in its]
    tasks = [
        Task(_run_in_worker, run, named(*run), (held[run[2], begins_with(run[0])],) if run[0].source else ())
        for run in runs
    ]
    for _, run in spread.results(tasks):
        collect(run)


def begins_with(arm: Arm) -> Any:
    """Return which trained source an arm begins with: a control is made of one."""
    return "trained" if arm.source in CONTROLS else arm.source


def named(arm: Arm, size: int, seed: int) -> str:
    """Return what an error calls a run."""
    return f"arm {arm.name!r}, size {size}, seed {seed}"


def _named(source: Any) -> str:
    """Return what an error calls a source, if it isn't the usual one."""
    return {"trained": "", "shuffled": " with shuffled labels"}.get(source, f", {source}")


def _source_in_worker(study: Study, seed: int, source: Any) -> np.ndarray:
    """Return a trained source, pickled."""
    (model,) = pretrained(study, seed, [Arm("", source)]).values()
    return as_array(model)


def _run_in_worker(study: Study, *arguments: Any) -> Run:
    """Make a run: with what its source was pickled to, if it has one, then arm, size and seed."""
    *content, arm, size, seed = arguments
    given = [pickle.loads(one) for one in content]
    sources = pretrained(study, seed, [arm], lambda *_: given[0])
    return run_one(study, arm, size, seed, sources)
