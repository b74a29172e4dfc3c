"""`Run`: one training run, all that it is given and all that it changes. `fit` drives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from math import inf, isfinite
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from .. import backends, weights
from ..data.source import Source
from ..layers.base import Layer
from ..layers.checks import check_finite
from ..layers.home import move
from .alone import Alone, Parallel
from .callbacks import StepRecord
from .callbacks.callback import Watching
from .checkpoint import BEST, LAST, Checkpoint, Position, check_run, fingerprint
from .checkpoint.fingerprint import checksum
from .checkpoint.folder import at_in_words, found
from .clipping import clipping_factor
from .history import EpochRecord, History
from .optimizers import Optimizer
from .protocols import Trainable
from .schedules import factor_at
from .updates import Updates, add_penalties

DROPOUT = 1
"""Sets the numbers of a step's dropout apart from those of an epoch's order, [seed, epoch]: a seed that ends in
zeros is the same as one without them."""


@dataclass
class Run:
    """What a run is given (up to `folder`), and what it changes.

    Nothing random is carried along: a batch depends on (epoch, index), the dropout of a step on (seed, epoch, index).
    So a checkpoint is a copy of what changes, and to go on is to put it back.
    """

    model: Trainable
    train: Source
    validation: Source | None
    optimizer: Optimizer
    schedule: Callable[[int], float] | None
    clip_norm: float | None
    updates: Updates  # in full: see `updates.resolve`
    seed: int
    folder: Path | None

    history: History
    position: Position = field(default_factory=Position)
    best: dict[str, Array] = field(default_factory=dict)
    carried: Any = None
    remembered: Mapping[str, Array] | None = None  # by the optimizer, of a run before; written into
    parallel: Parallel = field(default_factory=Alone)

    def __post_init__(self) -> None:
        self.parameters = {name: self.model.parameters[name] for name in self.updates.trainable}
        self.needs = frozenset(self.parameters)
        backend = self.model.config.get("backend")
        self.backend = backend if backend in backends.BACKENDS else None  # of a model of somebody's own
        # Models of others may not know the question.
        self.by_rows = {"rows": True} if "rows" in signature(self.model.loss_and_gradients).parameters else {}
        self.optimizer_state = self.optimizer.init(self.parameters)
        if self.remembered is not None:
            self.optimizer_state = remembered_of(self.optimizer_state, self.remembered)

    def begin(self, resume: bool | str) -> None:
        """Put the last checkpoint back if that is wanted, and write one: a folder that can't be written ends here."""
        together = self.parallel
        last = None if self.folder is None else self.folder / LAST
        resumes = together.by_first(lambda: bool(resume and last is not None and last.exists()))
        if not resumes:  # nothing is put over what the model has
            together.each(self.check_starting_values)
        if last is None and together.ranks == 1:
            return
        self.fingerprint = together.each(self.known_by)
        start = [*self.model.parameters.values(), *self.optimizer_state.values()]
        together.check(self.fingerprint | {"starting values": checksum(start)})
        if last is not None:
            stored = together.by_first(lambda: found(last, resume))
            if stored is not None:
                self.load(last, stored)
            self.write()

    def check_starting_values(self) -> None:
        """Raise if a parameter is NaN or infinite before the first step."""
        for name, array in self.model.parameters.items():
            check_finite("fit", name, array)

    def known_by(self) -> dict[str, Any]:
        """Return what must be the same for a resumed run to be this one, and on every rank."""
        return fingerprint(
            self.model,
            self.train,
            self.validation,
            self.updates,
            self.schedule,
            optimizer=repr(self.optimizer),
            clip_norm=self.clip_norm,
            seed=self.seed,
            monitor=self.history.monitor,
            **self.parallel.facts,
        )

    def one_epoch(self, watching: Watching, every: int | None) -> bool:
        """Make the steps that the epoch still lacks, evaluate, and keep the results.

        Return whether a callback ends the run; if it does so before the epoch is over, a checkpoint has been written.
        """
        at, sums = self.position, self.position.sums
        began, ends = perf_counter() - sums.seconds, False
        # A run that diverges says so once, by an error, and not by a warning from each product before.
        with np.errstate(over="ignore", invalid="ignore"):
            while at.index < len(self.train):
                record = self.step()
                ends = self.parallel.by_first(partial(watching.step, record))
                if at.index < len(self.train) and (ends or (every and at.step % every == 0)):
                    sums.seconds = perf_counter() - began
                    self.check_parameters()
                    self.write()
                    if ends:
                        return True
            self.check_parameters()
            if self.parallel.ranks > 1:
                self.parallel.check({"parameters after an epoch": checksum(self.parameters.values())})
            validation_loss, validation_accuracy = self.evaluate()
        record_of_epoch = EpochRecord(
            epoch=at.epoch + 1,
            step=at.step,
            loss=sums.loss / sums.count,
            penalty=sums.penalty / sums.count,
            rate=self.rate(),
            gradient_norm=sums.gradient_norm / len(self.train),
            clipped=sums.clipped,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            seconds=perf_counter() - began,
        )
        self.history.records.append(record_of_epoch)
        self.position = Position(at.epoch + 1, 0, at.step)
        if self.history.best is record_of_epoch:
            self.best = {name: array.copy() for name, array in self.parameters.items()}
            self.write_best()
        self.write()
        return self.parallel.by_first(lambda: watching.epoch(self.history)) or ends

    def step(self) -> StepRecord:
        """Make one update."""
        at, sums = self.position, self.position.sums
        batch = self.train.batch(at.epoch, at.index)
        limit = inf if self.clip_norm is None else self.clip_norm
        try:
            step = self.parallel.step(
                self.model,
                batch,
                self.carried if batch.carry else None,
                self.needs,
                [self.seed, at.epoch, at.index, DROPOUT],
                self.by_rows,
            )
            penalty, gradients = add_penalties(self.updates.anchors, self.parameters, step.gradients)
            loss = float(step.loss) + penalty
            if not isfinite(loss):
                raise ValueError(f"fit: the loss must be finite, got {loss}")
            # Of one rank, so that all have the same bits, however an array lies in memory.
            scale, norm = self.parallel.by_first(lambda: clipping_factor(gradients, limit, backend=self.backend))
        except ValueError as error:
            raise self.failed(error, self.place(), batch) from error
        factor = self.factor(at.step)
        rates = {name: rate * factor for name, rate in self.updates.rates.items()}
        self.optimizer.update(
            self.parameters, gradients, self.optimizer_state, rates, scale=scale, backend=self.backend
        )
        self.carried = step.state
        count = float(step.count)
        sums.loss += loss * count
        sums.penalty += penalty * count
        sums.count += count
        sums.gradient_norm += norm
        sums.clipped += norm > limit
        at.index += 1
        at.step += 1
        rate = self.optimizer.lr * factor
        return StepRecord(at.epoch + 1, at.step, loss, sums.loss / sums.count, penalty, rate, float(norm))

    def factor(self, step: int) -> float:
        """Return the schedule's factor for the update after `step` others."""
        return 1.0 if self.schedule is None else factor_at(self.schedule, step)

    def rate(self) -> float:
        """Return the learning rate of the last step, for parameters without one of their own."""
        return self.optimizer.lr * self.factor(max(self.position.step - 1, 0))

    def evaluate(self) -> tuple[float | None, float | None]:
        """Return the mean loss over the validation targets, and the share of them that are right, if any can be."""
        if self.validation is None:
            return None, None
        total, count, right, state = 0.0, 0.0, 0.0, None
        tells = True
        batch: Any = ()
        try:
            for index in range(len(self.validation)):
                batch = self.validation.batch(0, index)
                result = self.parallel.evaluate(self.model, batch, state if batch.carry else None)
                state = result.state
                total += result.loss
                count += result.count
                tells = tells and result.correct is not None
                right += result.correct or 0.0
                if not isfinite(total):
                    raise ValueError(f"fit: the validation loss must be finite, got {total}")
        except ValueError as error:
            raise self.failed(error, self.place(), batch) from error
        if not tells and self.history.monitor == "validation_accuracy":
            raise ValueError(
                "fit: monitor='validation_accuracy' must go with targets that are right or wrong, got numbers; "
                "'validation_loss' goes with any"
            )
        return total / count, right / count if tells else None

    def write(self) -> None:
        """Write a checkpoint, if there is a folder for it."""
        if self.folder is not None:
            last, carried = self.folder / LAST, self.parallel.whole(self.carried)
            whole = Checkpoint(
                self.fingerprint,
                self.position,
                self.history,
                self.model.parameters,
                self.optimizer_state,
                self.best,
                carried,
            )
            self.parallel.by_first(lambda: whole.write(last))

    def write_best(self) -> None:
        """Write the model as it is now, if there is a folder for it."""
        if self.folder is not None:
            # A model that is no Layer can't be rebuilt by `load`; its arrays can be read by `read_arrays`.
            what, best = self.model if isinstance(self.model, Layer) else self.model.parameters, self.folder / BEST
            self.parallel.by_first(lambda: weights.save(what, best))

    def load(self, last: Path, stored: Checkpoint) -> None:
        """Put everything back as it was, if this is the run that the checkpoint was written by."""
        check_run(
            last,
            stored,
            self.fingerprint,
            len(self.train),
            self.history.monitor,
            {
                "parameters": self.model.parameters,
                "optimizer": self.optimizer_state,
                "best": self.parameters if stored.history.best else {},
            },
        )
        self.position, self.history, self.best = stored.position, stored.history, stored.best
        for key, array in self.optimizer_state.items():
            array[...] = _as_home(stored.optimizer_state[key], array)
        home = next(iter(self.parameters.values()))
        if isinstance(stored.carried, tuple):
            carried: Any = tuple(_as_home(array, home) for array in stored.carried)
        else:
            carried = None if stored.carried is None else _as_home(stored.carried, home)
        self.carried = self.parallel.own(carried)
        self.put(stored.parameters)
        folder = last.parent
        if self.best and not self.parallel.by_first(lambda: (folder / BEST).exists()):
            self.put(self.best)  # so that last.safetensors alone is enough to go on elsewhere
            self.write_best()
            self.put(stored.parameters)

    def put(self, arrays: Mapping[str, Array]) -> None:
        """Write values into the model's parameters."""
        for name, array in arrays.items():
            parameter = self.model.parameters[name]
            parameter[...] = _as_home(array, parameter)

    def check_parameters(self) -> None:
        """Raise if the last step threw a parameter out of range: neither model nor checkpoint may pass as sound."""
        try:
            for name, array in self.parameters.items():
                check_finite("fit", name, array)
        except ValueError as error:
            at = self.position
            raise self.failed(error, f"after step {at.index} of {len(self.train)} in epoch {at.epoch + 1}") from error

    def place(self) -> str:
        """Return where the run is, in words."""
        at, n = self.position, len(self.train)
        if at.index == n:
            return f"in the validation of epoch {at.epoch + 1}"
        return f"in step {at.index + 1} of {n} in epoch {at.epoch + 1}"

    def kept(self) -> str:
        """Return what there is to resume from, in words; "" if nothing."""
        if self.folder is None or not (last := self.folder / LAST).exists():
            return ""
        return f"{last} holds {at_in_words(last)}"

    def failed(self, error: ValueError, place: str, batch: Any = ()) -> ValueError:
        """Return the error of a step with what the step could not know: where in training it happened."""
        # Other errors, and numbers that were not finite in the data, have nothing to do with the learning rate.
        ran_away = "must be finite, got" in str(error) and all(map(_is_finite, batch))
        advice = "If training ran away, try a lower learning rate, clip_norm or a warm-up. " if ran_away else ""
        return ValueError(f"{error}; met {place}. {advice}{self.kept() or 'No checkpoint was asked for'}")


def remembered_of(fresh: Mapping[str, Array], remembered: Any) -> dict[str, Array]:
    """Return the arrays of an earlier run that stand for the fresh ones, if all are there."""
    if not isinstance(remembered, Mapping):
        raise TypeError(
            f"fit: optimizer_state must be what optimizer.init(model.parameters) returned, got "
            f"{type(remembered).__name__}"
        )
    for key, array in fresh.items():
        if key not in remembered or tuple(remembered[key].shape) != tuple(array.shape):
            got = f"shape {tuple(remembered[key].shape)}" if key in remembered else "none"
            raise ValueError(
                f"fit: optimizer_state must hold {key} of shape {tuple(array.shape)}, got {got}; it goes with one "
                "model and one kind of optimizer: optimizer.init(model.parameters) makes it"
            )
    return {key: remembered[key] for key in fresh}


def _as_home(array: Array, home: Array) -> Array:
    """Return an array where `home` is."""
    return move(array, array_namespace(home))


def _is_finite(part: Any) -> bool:
    """Return whether a part of a batch has no NaN and no infinity; what is no array has none."""
    return not hasattr(part, "dtype") or bool(array_namespace(part).isfinite(part).all())
