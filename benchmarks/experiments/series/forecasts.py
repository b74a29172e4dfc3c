"""Forecasts from one origin after another: a `Forecaster` for each frequency, exponential smoothing, seasonal naive.

The network is trained once, on what is before the first origin; smoothing is fitted anew at each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rnn_core import Forecaster
from rnn_core.data import TimeSeries, Windows, WindowSpec
from rnn_core.models import Forecast
from rnn_core.scores import Backtest, backtest
from rnn_core.showing.table import table
from rnn_core.training import Adam, fit
from transfer.spreading.spread import Workers

from ..frame import Claim, Experiment, Outcome, Progress, markdown_table
from .bundled import Group, groups
from .smoothing import LEVELS, smoothing

NETWORK, SMOOTHING, NAIVE = "Forecaster", "exponential smoothing", "seasonal naive"


@dataclass(frozen=True)
class Settings:
    """The budget."""

    seeds: int = 3
    epochs: int = 80
    patience: int = 15
    hidden_size: int = 32
    rate: float = 5e-3
    held_out: int = 2
    """Horizons at the end of the training part, which decide when to stop."""


QUICK = Settings(seeds=1, epochs=2, hidden_size=4)


def trained(
    series: list[TimeSeries], group: Group, settings: Settings, seed: int, *, identity: bool = False
) -> Forecaster:
    """Return a network that has learned from series; what is held out of them decides which epoch is kept."""
    last = settings.held_out * group.horizon
    before = [one.until(-last) for one in series]
    spec = WindowSpec.fit(before, context=group.context, horizon=group.horizon, identity=identity)
    model = Forecaster(spec, settings.hidden_size, cell="gru", loss="gaussian", seed=seed)
    fit(
        model, Windows(before, spec, stride=group.stride, seed=seed),
        validation=Windows(series, spec, last=last, batch_size=256),
        optimizer=Adam(settings.rate), clip_norm=1.0, epochs=settings.epochs, patience=settings.patience, seed=seed,
        progress=False,
    )  # fmt: skip
    return model


def together(models: list[Forecaster]) -> Callable[[list[TimeSeries]], Forecast]:
    """Return what forecasts the mean of several networks' means and quantiles."""

    def forecast(cut: list[TimeSeries]) -> Forecast:
        said = [model.forecast(cut) for model in models]
        quantiles = np.mean([one.quantiles for one in said], axis=0)
        return Forecast(said[0].names, np.mean([one.mean for one in said], axis=0), said[0].levels, quantiles)

    return forecast


def run(quick: bool, workers: Workers, progress: Progress) -> Outcome:
    """Train, forecast and score, group by group."""
    settings, found = QUICK if quick else Settings(), {}
    for group in groups(quick):
        options: dict[str, Any] = {
            "horizon": group.horizon, "origins": group.origins, "step": group.step, "season": group.season
        }  # fmt: skip

        def network(cut: list[TimeSeries], group: Group = group) -> Callable[[list[TimeSeries]], Forecast]:
            several = len(cut) > 1
            return together([trained(cut, group, settings, seed, identity=several) for seed in range(settings.seeds)])

        found[group.name, NETWORK] = backtest(group.series, network, **options)
        progress(f"{group.name}: networks trained, MASE {_mase(found[group.name, NETWORK]):.3f}")
        found[group.name, SMOOTHING] = backtest(group.series, smoothing(group.horizon, group.season), **options)
        progress(f"{group.name}: {SMOOTHING}, MASE {_mase(found[group.name, SMOOTHING]):.3f}")
    rows = [row for group in groups(quick) for row in _rows(group, found)]
    claims = tuple(
        Claim(
            f"{group.name}: a network is better than seasonal naive, by MASE",
            holds=_mase(found[group.name, NETWORK]) < _mase(found[group.name, NETWORK], "seasonal naive"),
            found=f"{_mase(found[group.name, NETWORK]):.3f} beside {_mase(found[group.name, NETWORK], NAIVE):.3f}; "
            f"{SMOOTHING} {_mase(found[group.name, SMOOTHING]):.3f}",
        )
        for group in groups(quick)
    )
    headings = ("series", "method", "MASE", "sMAPE, %", "pinball", "within 95 %, %")
    said = table(headings, rows, right=headings[2:])
    return Outcome(
        {
            "task": "the last steps of series that statsmodels brings, from several origins",
            "network": f"GRU, {settings.hidden_size} units, a normal distribution of all steps at once; one for each "
            f"frequency, trained before the first origin; the mean of {settings.seeds} of them",
            "smoothing": "statsmodels' ETSModel: error, damped trend and season added; fitted at each origin",
            "scaling": "by window",
            "known": "four waves of the season, where there is one; and which series it is",
            "groups": [
                {"name": g.name, "series": [one.name for one in g.series], "season": g.season, "context": g.context,
                 "horizon": g.horizon, "origins": g.origins, "step": g.step} for g in groups(quick)
            ],
            **asdict(settings),
        },
        {"scores": [dict(zip(headings, row, strict=True)) for row in rows]},
        f"{said}\nMASE by the mean error of {NAIVE} in the history before each origin",
        claims,
        markdown_table(headings, rows),
    )  # fmt: skip


def _rows(group: Group, found: dict[tuple[str, str], Backtest]) -> list[tuple[str, ...]]:
    """Return a row for each series and method."""
    rows = []
    for k, one in enumerate(group.series):
        for method in (NETWORK, SMOOTHING, NAIVE):
            report = found[group.name, NETWORK if method == NAIVE else method]
            alone = report.only(k)
            scores, who = alone.scores(), NAIVE if method == NAIVE else "forecast"
            row = [one.name if method == NETWORK else "", method, f"{scores['MASE'][who]:.3f}",
                   f"{scores['sMAPE'][who]:.2f}"]  # fmt: skip
            both = method != NAIVE and "coverage" in scores
            if both:
                outer = alone._replace(levels=LEVELS, quantiles=alone.quantiles[..., [0, -1]]).scores()
                row += [f"{outer['pinball']['forecast']:.4g}", f"{100 * outer['coverage']['forecast']:.0f}"]
            rows.append((*row, *([] if both else ["–", "–"])))
    return rows


def _mase(report: Backtest, who: str = "forecast") -> float:
    return report.scores()["MASE"][who]


EXPERIMENT = Experiment(
    "forecasts", "series that statsmodels brings, beside its exponential smoothing and seasonal naive", run,
    packages=("statsmodels",),
)  # fmt: skip
