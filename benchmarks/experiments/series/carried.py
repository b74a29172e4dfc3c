"""A core that has learned from some series, carried over to a short one, beside a scrambled core and a fresh start."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from rnn_core import Forecaster
from rnn_core.data import TimeSeries, Windows, WindowSpec
from rnn_core.models import Model
from rnn_core.scores import backtest
from rnn_core.showing.table import table
from rnn_core.training import Adam, fit
from transfer import Arm, Difference, copy_parameters, scrambled
from transfer.comparing.verdicts import LEVEL, paired
from transfer.spreading.spread import Workers

from ..frame import Claim, Experiment, Outcome, Progress
from .bundled import Group, end_of, groups
from .forecasts import Settings as Pretraining
from .forecasts import trained

CARRIED, SCRAMBLED, SCRATCH = "carried over", "scrambled core", "from scratch"
TARGET = "turnover of electric equipment"


@dataclass(frozen=True)
class Settings:
    """The budget, the same for every arm."""

    seeds: int = 10
    sizes: tuple[int, ...] = (60, 84, 120)
    """Months of the target that are learned from."""
    updates: int = 150
    rate: float = 3e-3
    source: Pretraining = field(default_factory=lambda: Pretraining(seeds=1, epochs=30))


QUICK = Settings(seeds=2, sizes=(40,), updates=3, source=Pretraining(epochs=1, hidden_size=4))


def run(quick: bool, workers: Workers, progress: Progress) -> Outcome:
    """Train a source for each seed, and every arm on each size of the target."""
    settings = QUICK if quick else Settings()
    months = groups(quick)[0]
    target = next(one for one in months.series if one.name == TARGET)
    source = replace(months, series=tuple(one for one in months.series if one.name != TARGET))
    tested = months.horizon + months.step * (months.origins - 1)
    scores: dict[tuple[str, int], list[float]] = {}
    naive: dict[int, float] = {}
    for seed in range(settings.seeds):
        core = trained(list(source.series), source, settings.source, seed)
        for size in settings.sizes:
            short = end_of(target, size + tested)
            starts: dict[str, Model | None] = {CARRIED: core, SCRAMBLED: scrambled(core, seed=seed), SCRATCH: None}
            for arm, start in starts.items():
                error, naive[size] = _scored(short, months, start, settings, seed)
                scores.setdefault((arm, size), []).append(error)
            progress(f"seed {seed}, {size} months: " + ", ".join(f"{arm} {found[-1]:.3f}" for (arm, n), found
                                                                  in scores.items() if n == size))  # fmt: skip
    differences = [
        paired(Arm(CARRIED, "trained"), against, size, np.array(scores[CARRIED, size]),
               np.array(scores[against, size]), sign=-1)
        for size in settings.sizes for against in (SCRATCH, SCRAMBLED)
    ]  # fmt: skip
    least = min(settings.sizes)
    claims = tuple(
        Claim(
            f"a core that has learned from other months helps where {least} are there, beside {d.against}",
            holds=d.verdict == "positive",
            found=_said(d),
        )
        for d in differences
        if d.size == least
    )
    return Outcome(
        {
            "source": [one.name for one in source.series],
            "target": TARGET,
            "network": f"GRU, {settings.source.hidden_size} units, a normal distribution of {months.horizon} months",
            "training": f"{settings.updates} updates of Adam at {settings.rate:g} in every arm; the head begins anew",
            "score": f"MASE of the last {tested} months, from {months.origins} origins; lower is better",
            **asdict(settings),
        },
        {
            "scores": [{"arm": arm, "size": size, "MASE": found} for (arm, size), found in scores.items()],
            "seasonal naive": [{"size": size, "MASE": found} for size, found in naive.items()],
            "differences": [asdict(difference) | {"better": "lower"} for difference in differences],
        },
        _table(settings, scores, naive, differences),
        claims,
    )


def _scored(
    short: TimeSeries, months: Group, start: Model | None, settings: Settings, seed: int
) -> tuple[float, float]:
    """Return the MASE of an arm, and that of seasonal naive."""

    def method(cut: list[TimeSeries]) -> Any:
        spec = WindowSpec.fit(cut, context=months.context, horizon=months.horizon)
        model = Forecaster(spec, settings.source.hidden_size, cell="gru", loss="gaussian", seed=seed)
        if start is not None:
            copy_parameters(start, model, exclude=("head.*",))
        batches = Windows(cut, spec, seed=seed, batch_size=16)
        epochs = -(-settings.updates // len(batches))
        fit(model, batches, optimizer=Adam(settings.rate), clip_norm=1.0, epochs=epochs, seed=seed, progress=False)
        return model.forecast

    found = backtest(
        short, method, horizon=months.horizon, origins=months.origins, step=months.step, season=months.season
    ).scores()["MASE"]
    return found["forecast"], found["seasonal naive"]


def _table(
    settings: Settings, scores: dict[tuple[str, int], list[float]], naive: dict[int, float],
    differences: list[Difference],
) -> str:  # fmt: skip
    sizes = [f"{size} months" for size in settings.sizes]
    rows = [
        (arm, *(f"{np.mean(scores[arm, size]):.3f}" for size in settings.sizes))
        for arm in (CARRIED, SCRAMBLED, SCRATCH)
    ]
    rows.append(("seasonal naive", *(f"{naive[size]:.3f}" for size in settings.sizes)))
    lines = [table(("MASE", *sizes), rows, right=sizes)]
    lines += [f"{d.size} months: {d.arm} better than {d.against} by {_said(d)}" for d in differences]
    lines.append(f"±: {LEVEL:.0%} t-interval of the paired difference over {settings.seeds} seeds")
    return "\n".join(lines)


def _said(difference: Difference) -> str:
    note = f" ({difference.note})" if difference.note else ""
    return f"{difference.said(3)}, {difference.verdict}{note}"


EXPERIMENT = Experiment(
    "carried", "a core that has learned from series of months, carried over to a short one", run,
    packages=("statsmodels",),
)  # fmt: skip
