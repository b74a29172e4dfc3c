"""``forecast``: series over time, and what comes next, beside what the season before would say."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ..data import TimeSeries, Windows, WindowSpec
from ..data.files import read_time_series
from ..data.files.histories.clock import usual_season
from ..data.files.lines import named
from ..data.forecasting.scaling import KINDS
from ..data.forecasting.window import STRATEGIES
from ..data.source import Source
from ..inputs.how import How, heard
from ..inputs.tables import NAMED, add_table_options
from ..models import Forecast, Forecaster, Model
from ..models.forecasting.answers import LOSSES
from ..scores import Backtest, backtest
from .forecast_shown import forecast_exhibits, left_out, without_interval
from .splitting import share_of_steps
from .task import Add, Exhibit, Role, Task

HORIZON = 12
"""Steps that are forecast, unless told otherwise."""

ORIGINS = 25
"""Origins that a file is judged from, at most."""

COLUMNS = ("time", "series", "value", "past", "known")
"""Options on columns, which a saved network keeps."""

KEPT = (*COLUMNS, "gaps", "no_stamps", "decimal", "separator")
"""And on how they are read, which it keeps, too."""


@dataclass(frozen=True)
class Histories:
    """Series, and which part of them is to be forecast.

    Attributes
    ----------
    series : tuple of TimeSeries
    last : int, optional
        The last steps, of which windows are made and by which is judged; None for all.
    context, horizon : int
    notes : tuple of str
    """

    series: tuple[TimeSeries, ...]
    last: int | None
    context: int
    horizon: int
    judged: bool
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of series."""
        return len(self.series)


@dataclass(frozen=True)
class Learned:
    """What is known of the series that were trained on.

    Attributes
    ----------
    window : WindowSpec
    season : int
    reading : mapping
        The columns that were read.
    """

    window: WindowSpec
    season: int
    reading: Mapping[str, Any]


@dataclass(frozen=True)
class Said:
    """What a model says: of what comes next, or of what is known already, from one origin after another."""

    ahead: Forecast | None
    judged: Backtest | None


class Forecasting(Task[Histories, Learned, Said]):
    """Series over time, and what comes next."""

    name = "forecast"
    help = "series over time: what comes next, with intervals"
    files = "a .csv, .tsv or .txt: a column for each series, or one of values, or of numbers alone"
    models = ("Forecaster",)
    usual: ClassVar[dict[str, Any]] = {"hidden_size": 32, "cell": "gru", "epochs": 300, "patience": 30}
    network = ("cell", "hidden_size", "layers", "dropout", "precision")

    def reading_options(self, add: Add) -> None:
        """See `Task.reading_options`."""
        add("--time", metavar="COLUMN", help="of time stamps (time, date, ds, …)")
        add("--series", metavar="COLUMN", help="that names the series of each row (series, unique_id, …)")
        add("--value", metavar="COLUMN", help="of values (value, y, target; without one, each column is a series)")
        add("--past", nargs="+", metavar="COLUMN", help="covariates that are known up to now")
        add("--known", nargs="+", metavar="COLUMN", help="covariates that are known in advance, over the horizon too")
        add("--gaps", choices=("refuse", "missing"), help="what becomes of steps without a row (refuse)")
        add("--no-stamps", action="store_true", help="the rows are the steps, whatever their stamps say")
        add("--stamps", action="store_true", help="they count again, where the network was trained with --no-stamps")
        add("--decimal", choices=("point", "comma"), help="what marks a fraction (point)")
        add_table_options(add, "separator", "no_header")
        add("--encoding", metavar="NAME", help="of text files (utf-8)")
        add("--horizon", type=int, metavar="N", help=f"steps that are forecast ({HORIZON}, or as in training)")

    def training_options(self, add: Add) -> None:
        """See `Task.training_options`."""
        add("--context", type=int, metavar="N", help="steps that are read before (two horizons, or two seasons)")
        add("--season", type=int, metavar="N", help="steps of the naive forecast's season (as time stamps tell, or 1)")
        add("--strategy", choices=STRATEGIES, help="all steps at once, or one that is fed back (multioutput)")
        add("--scaling", choices=KINDS, help="of values (window)")
        add("--loss", choices=LOSSES, help="a normal distribution, a mean, or quantiles (gaussian)")
        add("--quantiles", nargs="+", type=float, metavar="P", help="with --loss quantiles (0.1 0.5 0.9)")
        add("--identity", action="store_true", help="let the network tell the series apart")

    def predicting_options(self, add: Add) -> None:
        """See `Task.predicting_options`."""

    def check(self, args: argparse.Namespace) -> None:
        """See `Task.check`."""
        for name in ("horizon", "context", "season"):
            if (value := getattr(args, name, None)) is not None and value < 1:
                raise ValueError(f"--{name} must be at least 1, got {value}")
        if getattr(args, "stamps", False) and args.no_stamps:
            raise ValueError("--stamps must be left out with --no-stamps, by which time stamps say nothing")
        if getattr(args, "quantiles", None) and args.loss != "quantiles":
            raise ValueError(f"--quantiles must go with --loss quantiles, got {args.loss or 'gaussian'}")

    def read(self, path: str, args: argparse.Namespace, role: Role, how: Learned | None = None) -> Histories:
        """See `Task.read`."""
        options: dict[str, Any] = dict(how.reading) if how is not None else {}
        options |= {name: value for name in KEPT if (value := getattr(args, name, None)) not in (None, False)}
        gaps = options.pop("gaps", "refuse")
        stamps = not options.pop("no_stamps", False) or getattr(args, "stamps", False)
        decimal, separator = options.pop("decimal", None), options.pop("separator", None)
        wanted = How("series", encoding=args.encoding or "utf-8")
        with heard(wanted) as notes:
            found = read_time_series(
                path, gaps=gaps, stamps=stamps,
                decimal="," if decimal == "comma" else ".", header=False if args.no_header else None,
                separator=NAMED.get(separator, separator), encoding=wanted.encoding, **options,
            )  # fmt: skip
        if how is None:
            horizon = args.horizon or HORIZON
            context = args.context or 2 * max(horizon, args.season or 1)
        else:
            horizon, context = args.horizon or how.window.horizon, how.window.context
        judged = role.labelled
        shortest = min(map(len, found))
        if judged and shortest < context + horizon:
            short = next(one for one in found if len(one) == shortest)
            raise ValueError(
                f"{role.value} must have series of --context {context} and --horizon {horizon} steps together, "
                f"got {shortest} of {short.name!r:.40} in {named(path)}"
            )
        last = shortest - context if role in (Role.TEST, Role.EVALUATE) else None
        return Histories(tuple(found), last, context, horizon, judged, tuple(notes))

    def split(self, examples: Histories, share: float, seed: int) -> tuple[Histories, Histories]:
        """Return what comes first, and a share at the end: a future that was not seen is what is to be told."""
        shortest = min(map(len, examples.series))
        last = share_of_steps(shortest, share, examples.horizon, examples.context + examples.horizon)
        before = tuple(one.until(-last) for one in examples.series)
        return replace(examples, series=before), replace(examples, last=last, notes=())

    def learn(self, train: Histories, args: argparse.Namespace) -> Learned:
        """See `Task.learn`."""
        window = WindowSpec.fit(
            train.series, context=train.context, horizon=train.horizon, strategy=args.strategy or STRATEGIES[0],
            scaling=args.scaling or KINDS[0], identity=args.identity,
        )  # fmt: skip
        reading = {name: value for name in KEPT if (value := getattr(args, name)) not in (None, False)}
        usual = usual_season(train.series[0].times)
        usual = usual if 2 * usual <= min(map(len, train.series)) else 1
        return Learned(window, args.season or usual, reading)

    def build(self, how: Learned, options: Mapping[str, Any], args: argparse.Namespace) -> Model:
        """See `Task.build`."""
        return Forecaster(how.window, loss=args.loss or "gaussian", quantiles=args.quantiles, **options)

    def batches(self, how: Learned, examples: Histories, batch_size: int, seed: int, *, training: bool) -> Source:
        """See `Task.batches`."""
        return Windows(
            examples.series, how.window, last=examples.last, batch_size=batch_size, shuffle=training, seed=seed
        )

    def kept(self, how: Learned) -> dict[str, Any]:
        """See `Task.kept`."""
        return {"reading": {"season": how.season, **how.reading}}

    def known(self, model: Model, where: str) -> Learned:
        """See `Task.known`."""
        if not isinstance(model, Forecaster):
            raise ValueError(f"{where} must be a Forecaster, got a {type(model).__name__}")
        reading = dict(model.reading or {})
        season = reading.pop("season", 1)
        if not isinstance(season, int) or season < 1 or not set(reading) <= set(KEPT):
            raise ValueError(f"{where} must say which columns it reads, got {reading!r:.80}")
        return Learned(model.window, season, reading)

    def answer(self, model: Model, how: Learned, examples: Histories, args: argparse.Namespace) -> Said:
        """Return a forecast of what comes next; of series that are judged, of what they have from several origins."""
        if not isinstance(model, Forecaster):
            raise TypeError(f"a forecast must come from a Forecaster, got a {type(model).__name__}")
        if not examples.judged:
            return Said(model.forecast(examples.series, examples.horizon), None)
        h = examples.horizon
        last = min(map(len, examples.series)) - examples.context if examples.last is None else examples.last
        step = max(1, -(-(last - h + 1) // ORIGINS))
        origins = 1 + (last - h) // step
        report = backtest(
            examples.series, lambda _: lambda cut: model.forecast(cut, h), horizon=h, origins=origins, step=step,
            season=how.season, context=model.window.context,
        )  # fmt: skip
        return Said(None, report)

    def score(self, how: Learned, examples: Histories, answers: Said) -> dict[str, float]:
        """See `Task.score`."""
        if answers.judged is None:
            return {}
        scores, found = answers.judged.scores(), {}
        for name in ("MASE", "sMAPE", "RMSE", "MAE"):
            unit = " in %" if name == "sMAPE" else ""
            found[f"{name}{unit}"] = scores[name]["forecast"]
            found[f"{name}{unit} of seasonal naive"] = scores[name]["seasonal naive"]
        if "pinball" in scores:
            found["pinball"] = scores["pinball"]["forecast"]
        if "coverage" in scores:
            width = 100 * scores["nominal"]["forecast"]
            found[f"coverage of an interval of {width:.4g} %, in %"] = 100 * scores["coverage"]["forecast"]
        return {name: value for name, value in found.items() if np.isfinite(value)}

    def higher_is_better(self, how: Learned) -> bool:
        """See `Task.higher_is_better`: the score is an error."""
        return False

    def rows(self, how: Learned, examples: Histories, answers: Said, args: argparse.Namespace) -> Iterable[dict]:
        """See `Task.rows`."""
        said = answers.ahead
        if said is None:
            return
        for name, means, quantiles in zip(said.names, said.mean, said.quantiles, strict=True):
            for step, (mean, row) in enumerate(zip(means, quantiles, strict=True), 1):
                told = {f"quantile {level:g}": float(f"{q:.9g}") for level, q in zip(said.levels, row, strict=True)}
                yield {"series": name, "step": step, "forecast": float(f"{mean:.9g}"), **told}

    def remarks(self, how: Learned, examples: Histories, answers: Said, args: argparse.Namespace) -> list[str]:
        """See `Task.remarks`."""
        said = [f"{len(examples):,} series, {examples.horizon} steps behind the end of each"]
        return said if answers.ahead is None else said + without_interval(answers.ahead.levels)

    def cautions(self, how: Learned, examples: Histories, answers: Said) -> list[str]:
        """See `Task.cautions`."""
        judged = answers.judged
        return [] if judged is None else [*left_out(judged), *without_interval(judged.levels)]

    def exhibits(self, model: Model, how: Learned, examples: Histories, answers: Said) -> list[Exhibit]:
        """See `Task.exhibits`."""
        return [] if answers.judged is None else forecast_exhibits(examples.series, answers.judged, examples.context)

    def facts(self, how: Learned, examples: Histories) -> dict[str, Any]:
        """See `Task.facts`."""
        steps = np.array([len(one) for one in examples.series])
        missing = sum(int(np.isnan(one.values).sum()) for one in examples.series)
        return {
            "series": len(examples), "steps": (int(steps.min()), int(np.median(steps)), int(steps.max())),
            "missing values, %": round(100 * missing / int(steps.sum()), 2),
            "covariates": f"{how.window.past} past, {how.window.known} known",
            "steps that are judged": "all" if examples.last is None else examples.last,
        }  # fmt: skip
