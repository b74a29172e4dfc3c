"""`Labels`: what estimators share whose answers are classes: of whole sequences, or of each step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from ..foreign import shown
from ..models import Model
from ..schema import check_value
from .sequence_estimator import OfSequences


class Labels(OfSequences):
    """Knows the classes there are."""

    _monitor = "validation_accuracy"

    classes_: np.ndarray
    class_weight: Any
    _classes_to_be: np.ndarray | None = None  # what `partial_fit` was told

    def _with_classes(self, where: str, X: Any, y: Any, sample_weight: Any, classes: Any) -> Self:
        """Go once through some cases; `classes` may say what there will be."""
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"{where}: class_weight must be a mapping or None, as not all cases are known, got "
                f"{shown(self.class_weight)}; compute_class_weight of sklearn.utils makes one"
            )
        if classes is not None:
            classes = np.unique(np.asarray(classes))
            if not self._begins(once=True) and not np.array_equal(classes, self.classes_):
                raise ValueError(
                    f"{where}: classes must be those of the first call, {shown(self.classes_.tolist())}, got "
                    f"{shown(classes.tolist())}"
                )
        self._classes_to_be = classes
        try:
            return self._learn(where, X, y, sample_weight, once=True)
        finally:
            del self._classes_to_be

    def _settle_classes(self, where: str, labels: np.ndarray) -> None:
        """Remember the classes: those that `partial_fit` was told, or those that there are."""
        try:
            self.classes_ = np.unique(labels) if self._classes_to_be is None else self._classes_to_be
        except TypeError:
            raise TypeError(f"{where}: y must have labels of one kind, such as words or numbers, got several") from None

    def _describe(self, model: Model) -> None:
        labels = self.classes_.tolist()
        plain = all(isinstance(label, str | int) and not isinstance(label, bool) for label in labels)
        model.classes = tuple(labels if plain else map(str, labels))
        model.scaling = self._scaling

    def _shares(self, z: np.ndarray) -> np.ndarray:
        """Return probabilities of logits, over the last axis: computed in float64, in the model's dtype."""
        e = np.exp(z.astype(np.float64) - z.max(axis=-1, keepdims=True))
        return (e / e.sum(axis=-1, keepdims=True)).astype(self._dtype)

    def _facts(self) -> dict[str, Any]:
        dtype = self.classes_.dtype
        labels = {"dtype": "O" if dtype.kind == "O" else dtype.str, "labels": self.classes_.tolist()}
        return {**super()._facts(), "classes": labels}

    def _recall(self, facts: Mapping[str, Any], model: Model) -> None:
        super()._recall(facts, model)
        stored = facts["classes"]
        check_value("classes", list[str | int | float | bool], stored["labels"])
        dtype = np.dtype(stored["dtype"])
        if dtype.kind not in "biufUO" or len(stored["labels"]) != len(model.classes or ()):
            raise ValueError(f"its classes must be as many as the model's, got {shown(stored)}")
        # A text's dtype may claim any length: that of the longest is enough.
        self.classes_ = np.array(stored["labels"], np.str_ if dtype.kind == "U" else dtype)
        if self.classes_.tolist() != stored["labels"] or not np.array_equal(np.unique(self.classes_), self.classes_):
            raise ValueError(f"its classes must be different, and rise, got {shown(stored)}")
