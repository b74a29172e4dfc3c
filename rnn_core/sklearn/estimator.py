"""`RNNEstimator`: what the estimators share; from what was read to a run of `fit`, and no loop of its own."""

from __future__ import annotations

import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from copy import deepcopy
from math import inf
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from ..data.source import Source
from ..foreign import shown
from ..layers.checks import checked_dtype, flag, positive_int
from ..models import Model
from ..training import fit
from ..training.callbacks import Onward
from ..training.callbacks.callback import check_callbacks
from ..training.history import EpochRecord, History
from .carrying import carry, source_of
from .files import Saved
from .learning import Convergence, number, optimizer_of

SEEDS = 2**31 - 1
"""Seeds are drawn below this."""


class Data(NamedTuple):
    """What a run learns from, and what is held out."""

    train: Source
    validation: Source | None
    score: Callable[[EpochRecord], float] | None  # of an epoch, of what was held out


class RNNEstimator(Saved, BaseEstimator, metaclass=ABCMeta):
    """What the estimators share. Subclasses have constructors that call `_take`, `_learn` and what they answer."""

    # The constructor's arguments, of whatever kind: `fit` reads them.
    optimizer: Any
    learning_rate: Any
    clip_norm: Any
    batch_size: Any
    max_iter: Any
    shuffle: Any
    tol: Any
    n_iter_no_change: Any
    early_stopping: Any
    validation_fraction: Any
    warm_start: Any
    dtype: Any
    layout: Any
    transfer_from: Any
    plan: Any
    callbacks: Any
    random_state: Any
    verbose: Any

    model_: Any
    _features: int
    _columns: bool

    _monitor = "validation_loss"  # by which the best epoch is told where something is held out
    _model_takes: tuple[str, ...] = (
        "cell", "hidden_size", "num_layers", "bidirectional", "pooling", "dropout", "nonlinearity", "cell_options",
        "backend",
    )  # fmt: skip

    def _take(self, given: dict[str, Any]) -> None:
        """Keep a constructor's arguments as they are: scikit-learn wants them unchanged, and read in `fit`.

        Each class writes them all out, the common ones too: scikit-learn takes an estimator's parameters, and editors
        what they offer, from the constructor's own signature, and refuses ``**kwargs`` there.
        """
        for name, value in given.items():
            if name != "self":
                setattr(self, name, value)

    def __sklearn_clone__(self) -> Self:
        """Return an estimator of the same parameters, not fitted; what it is to be carried over from stays fitted."""
        params = self.get_params(deep=False)
        copy = type(self)(
            **{name: value if name == "transfer_from" else clone(value, safe=False) for name, value in params.items()}
        )
        if hasattr(self, "_metadata_request"):
            copy._metadata_request = deepcopy(self._metadata_request)
        return copy

    def _begins(self, once: bool) -> bool:
        """Return whether a call begins afresh, and does not go on with what was learned."""
        return not ((once or self.warm_start) and hasattr(self, "model_"))

    def _check(self, where: str, once: bool) -> None:
        """Raise if an argument that every run needs is not as required."""
        positive_int(where, "max_iter", self.max_iter)
        positive_int(where, "n_iter_no_change", self.n_iter_no_change)
        positive_int(where, "batch_size", self.batch_size)
        number(where, "tol", self.tol, -inf)
        for name in ("shuffle", "warm_start", "early_stopping"):
            flag(where, name, getattr(self, name))
        if self.early_stopping:
            number(where, "validation_fraction", self.validation_fraction, np.finfo(float).tiny, 1)
        if once and self.early_stopping:
            raise ValueError(f"{where}: early_stopping must be False, as one epoch has no best one, got True; use fit")
        if self.plan is not None and not hasattr(self.plan, "stages"):
            raise TypeError(f"{where}: plan must be a transfer.Plan, got {shown(self.plan)}")
        if once and self._spans(self.plan):
            raise ValueError(
                f"{where}: plan must have neither unfreezing nor schedule, which span a whole run, got "
                f"{shown(self.plan)}; use fit"
            )

    def _spans(self, plan: Any) -> bool:
        """Return whether a plan says what comes when, so that a run must be made to its end."""
        return plan is not None and (plan.unfreezing is not None or plan.schedule is not None)

    def _draw(self) -> int:
        """Return the next seed."""
        return int(self._random.randint(SEEDS))

    def _begin(self, where: str, *leading: Any, **given: Any) -> None:
        """Make the model, and forget all runs before. `leading` and `given` are what is the subclass's to say of it."""
        options, kind = {name: getattr(self, name) for name in self._model_takes}, self._kind
        try:
            dtype = checked_dtype(kind.__name__, self.dtype)
            if dtype.kind == "c":
                raise TypeError(f"{kind.__name__}: dtype must be float32 or float64, got {dtype}")
            make: Any = kind
            model = make(*leading, dtype=dtype, seed=self._draw(), **options, **given)
        except (ValueError, TypeError, RuntimeError) as error:
            raise type(error)(f"{where}: {error}") from None
        self._describe(model)
        self.transferred_: tuple[str, ...] = ()
        if self.transfer_from is not None:
            self.transferred_ = carry(where, source_of(where, self.transfer_from), model)
        anchored = self.plan is not None and self.plan.anchors
        self._reference = {name: array.copy() for name, array in model.parameters.items()} if anchored else None
        self.model_, self.n_iter_ = model, 0
        self._optimizer_state: dict[str, Any] | None = None
        self.loss_curve_: list[float] = []
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None

    @abstractmethod
    def _describe(self, model: Model) -> None:
        """Put beside a model what its user needs to know: classes, scaling."""

    def _start_drawing(self) -> None:
        """Begin with the random numbers of `random_state`."""
        self._random = check_random_state(self.random_state)

    def _run(self, where: str, data: Data, once: bool) -> None:
        """Train the model: one epoch or, unless it is over before, `max_iter` of them."""
        optimizer = optimizer_of(where, self.optimizer, self.learning_rate)
        if not once or self._optimizer_state is None:
            self._optimizer_state = optimizer.init(self.model_.parameters)
        epochs = 1 if once else int(self.max_iter)
        stages: Any = [(data.train, epochs, None, None)]
        if self.plan is not None:
            stages = self.plan.stages(self.model_, data.train, epochs, self._reference, where=where)
        patience = inf if once or self._spans(self.plan) else self.n_iter_no_change
        convergence = Convergence(float(self.tol), patience, data.score)
        callbacks = check_callbacks(where, [] if self.callbacks is None else self.callbacks)
        histories: list[History] = []
        for k, (train, passes, updates, schedule) in enumerate(stages):
            told = [Onward(callback, histories) for callback in callbacks]
            history = fit(
                self.model_, train, optimizer=optimizer, epochs=passes, validation=data.validation, schedule=schedule,
                clip_norm=self.clip_norm, updates=updates, seed=self._draw(), monitor=self._watched(data),
                restore_best=data.validation is not None, progress=bool(self.verbose),
                callbacks=[*told, convergence], optimizer_state=None if k else self._optimizer_state,
            )  # fmt: skip
            histories.append(history)
            if any(callback.over for callback in told):
                convergence.over = True
                break
        self._conclude(convergence, once)

    def _watched(self, data: Data) -> str | None:
        return None if data.validation is None else self._monitor

    def _conclude(self, convergence: Convergence, once: bool) -> None:
        """Keep the figures of a run."""
        self.loss_curve_ = [*self.loss_curve_, *convergence.losses]
        self.loss_ = self.loss_curve_[-1]
        made = len(convergence.losses)
        self.n_iter_ = self.n_iter_ + made if once else made
        self.best_loss_ = None if self.early_stopping else min(self.loss_curve_)
        if self.early_stopping:
            self.validation_scores_ = [*(self.validation_scores_ or ()), *convergence.scores]
        self.best_validation_score_ = max(self.validation_scores_) if self.validation_scores_ else None
        if not once and not convergence.over and not self._spans(self.plan):
            warnings.warn(
                f"{type(self).__name__}.fit: max_iter={self.max_iter} epochs are over, and the "
                f"{'validation score' if self.early_stopping else 'loss'} was still getting better; a larger max_iter "
                "or learning_rate lets it converge",
                ConvergenceWarning,
                stacklevel=4,
            )

    @property
    def _dtype(self) -> np.dtype:
        return np.dtype(self.model_.dtype)

