"""`save` and `load` of a fitted estimator: the model's own file, with a page in its header, and no pickle.

`rnn_core.load` reads the same file as the model that it is, with classes and scaling beside it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .. import weights
from ..foreign import one_line, parse_json, shown
from ..models import Model
from ..models.cores import word_of_cell
from ..schema import check_arguments, check_value
from ..training import SGD, Adam, AdamW, Optimizer

KEY, VERSION = "rnn_core.estimator", 1

LEFT_OUT = ("transfer_from", "plan", "callbacks", "backend")
"""Parameters that no file holds: they belong to a run, or to a machine."""

OPTIMIZERS: dict[str, Any] = {kind.__name__: kind for kind in (SGD, Adam, AdamW)}

LISTS = {"loss_curve": list[float], "validation_scores": list[float] | None, "transferred": list[str]}
"""What a file says of the runs, by name, with its type."""


class Saved:
    """Can be saved and loaded. A subclass says what it keeps of a fit by `_facts`, and takes it back by `_recall`."""

    model_: Any
    _kind: type[Model]  # of the model that is learned

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a fitted estimator to a safetensors file, for `load`; nothing in it is ever executed.

        Kept are the parameters of the constructor, but for `transfer_from`, `plan`, `callbacks`, `backend` and a
        generator in `random_state`, which are at their defaults when it is loaded; and what was learned, but for the
        optimizer's moments. `rnn_core.load` reads the same file as a model.

        Parameters
        ----------
        path : path
            The file, by custom ``….safetensors``. Its folder must exist.

        Raises
        ------
        NotFittedError
            `fit` was not called.
        TypeError
            A parameter is nothing that JSON can hold.
        ValueError, OSError
            As `rnn_core.save`.
        """
        check_is_fitted(self)
        mine: Any = self
        where = f"{type(self).__name__}.save"
        params = {name: _stored(where, name, value) for name, value in mine.get_params(deep=False).items()}
        page = {"version": VERSION, "class": type(self).__name__, "params": params, "fitted": self._facts()}
        weights.save(self.model_, path, metadata={KEY: json.dumps(page, allow_nan=True)})

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, backend: str | None = None) -> Self:
        """Return the estimator that `save` wrote: it predicts the same bits on the same backend.

        Parameters
        ----------
        path : path
        backend : {"numpy", "cpu", "cuda"}, optional
            Where it runs; the best one present on the host by default.

        Raises
        ------
        ValueError
            The file is that of another estimator or of a model without one, damaged, or not what it says.
        OSError, RuntimeError
            As `rnn_core.load`.
        """
        where = f"{cls.__name__}.load"
        header = weights.read_metadata(path)
        if KEY not in header:
            what = f"a {one_line(header['class'], 40)}" if "class" in header else "no estimator"
            raise ValueError(
                f"{where}: path must be a file that {cls.__name__}.save wrote, got {shown(os.fsdecode(path))} with "
                f"{what}; rnn_core.load reads a model, and transfer_from= takes one"
            )
        try:
            page = _page(header[KEY])
        except ValueError as error:
            raise _liar(where, path, error) from error
        if page["class"] != cls.__name__:
            raise ValueError(
                f"{where}: path must be a file that {cls.__name__}.save wrote, got {shown(os.fsdecode(path))} of "
                f"{shown(page['class'], 40)}; its own load reads it"
            )
        model = weights.load(path, backend=backend)
        try:
            found = cls(**_params(cls, page["params"]))
            vars(found)["backend"] = backend
            found._recall(page["fitted"], model)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
            raise _liar(where, path, error) from error
        return found

    def _facts(self) -> dict[str, Any]:
        """Return what `fit` has found besides the model, in types that JSON has."""
        mine: Any = self
        names = getattr(mine, "feature_names_in_", None)
        return {
            "n_features_in": getattr(mine, "n_features_in_", None), "features": mine._features,
            "columns": mine._columns, "feature_names_in": None if names is None else names.tolist(),
            "n_iter": mine.n_iter_, "loss_curve": mine.loss_curve_, "validation_scores": mine.validation_scores_,
            "transferred": list(mine.transferred_),
        }  # fmt: skip

    def _recall(self, facts: Mapping[str, Any], model: Model) -> None:
        """Take back what `_facts` wrote, and the model."""
        mine: Any = self
        if type(model) is not self._kind:
            raise ValueError(f"its model must be a {self._kind.__name__}, got a {type(model).__name__}")
        for name in ("features", "n_iter"):
            check_value(name, int, facts[name])
        check_value("n_features_in", int | None, facts["n_features_in"])
        check_value("columns", bool, facts["columns"])
        check_value("feature_names_in", list[str] | None, facts["feature_names_in"])
        for name, kind in LISTS.items():
            check_value(name, kind, facts[name])
            setattr(mine, f"{name}_", facts[name])
        if not facts["loss_curve"]:
            raise ValueError("loss_curve must have an epoch at least, got none")
        mine.transferred_ = tuple(facts["transferred"])
        mine._features, mine._columns, mine.n_iter_ = facts["features"], facts["columns"], facts["n_iter"]
        if facts["n_features_in"] is not None:
            mine.n_features_in_ = facts["n_features_in"]
        if facts["feature_names_in"] is not None:
            mine.feature_names_in_ = np.array(facts["feature_names_in"], object)
        mine.loss_ = mine.loss_curve_[-1]
        mine.best_loss_ = None if mine.validation_scores_ else min(mine.loss_curve_)
        mine.best_validation_score_ = max(mine.validation_scores_) if mine.validation_scores_ else None
        mine.model_, mine._optimizer_state, mine._reference = model, None, None
        mine._random = check_random_state(mine.random_state)


def _stored(where: str, name: str, value: Any) -> Any:
    """Return a parameter in types that JSON has."""
    if name in LEFT_OUT or (name == "random_state" and not isinstance(value, int | np.integer)):
        return None
    if name == "cell":
        value = word_of_cell(value)
    elif name == "dtype":
        value = np.dtype(value).name
    elif isinstance(value, Optimizer):
        value = {"optimizer": type(value).__name__, **asdict(value)}
    elif name == "class_weight" and isinstance(value, Mapping):
        value = {"pairs": [[_plain(key), float(weight)] for key, weight in value.items()]}
    elif isinstance(value, Mapping):
        value = dict(value)
    value = _plain(value)
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{where}: {name} must be what JSON can hold, got {shown(value)} ({one_line(error)})") from None
    return value


def _plain(value: Any) -> Any:
    """Return a number of NumPy's as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def _liar(where: str, path: str | os.PathLike[str], error: Exception) -> ValueError:
    """Return the error of a file whose page is none, or not that of an estimator."""
    return ValueError(f"{where}: {shown(os.fsdecode(path))} does not hold what it says it holds: {one_line(error)}")


def _page(text: str) -> dict[str, Any]:
    """Return what a header says of an estimator."""
    page = parse_json("its header", KEY, text, unique=True)
    check_value(KEY, dict[str, Any], page)
    if page.get("version") != VERSION:
        raise ValueError(
            f"the version of {KEY} must be {VERSION}, got {shown(page.get('version'))}, which takes a newer rnn_core"
        )
    for name, kind in (("class", str), ("params", dict[str, Any]), ("fitted", dict[str, Any])):
        check_value(f"{name} in {KEY}", kind, page.get(name))
    return page


def _params(cls: type, stored: dict[str, Any]) -> dict[str, Any]:
    """Return a constructor's arguments of what a file says of them."""
    found = dict(check_arguments("its parameters", cls, stored))
    if isinstance(optimizer := found.get("optimizer"), dict):
        given = dict(optimizer)
        kind = OPTIMIZERS[given.pop("optimizer")]
        found["optimizer"] = kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in given.items()})
    if isinstance(by_class := found.get("class_weight"), dict):
        found["class_weight"] = dict(map(tuple, by_class["pairs"]))
    return found
