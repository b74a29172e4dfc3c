"""`Constraints`: which tags may follow one another, and with which a sequence may begin and end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ...foreign import shown


class Constraints(NamedTuple):
    """What is allowed, as masks. `constraints_of` makes them from the names of tags.

    Attributes
    ----------
    transitions : ndarray of bool, shape (K, K)
        Whether the column's tag may follow the row's.
    starts, ends : ndarray of bool, shape (K,)
        Whether a sequence may begin, and end, with a tag.
    """

    transitions: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """Return lists of bool by name, as JSON can hold them."""
        return {name: mask.tolist() for name, mask in self._asdict().items()}


def checked_constraints(where: str, constraints: Any, K: int) -> Constraints:
    """Return masks for K tags.

    Raises
    ------
    ValueError
        A mask is missing, has another shape, or leaves no tag to begin or to end with.
    TypeError
        It is no mapping of masks, or a mask is not of bool.
    """
    if isinstance(constraints, Constraints):
        constraints = constraints._asdict()
    if not isinstance(constraints, Mapping) or set(constraints) != set(Constraints._fields):
        raise TypeError(
            f"{where}: constraints must be a Constraints or a mapping of {', '.join(Constraints._fields)}, got "
            f"{shown(constraints)}; rnn_core.layers.crf.constraints_of makes them from the names of the tags"
        )
    masks = []
    for name, shape in zip(Constraints._fields, ((K, K), (K,), (K,)), strict=True):
        try:
            mask = np.array(constraints[name])
        except ValueError:
            mask = np.empty(0, object)
        if mask.shape != shape or mask.dtype != bool:
            raise (TypeError if mask.shape == shape else ValueError)(
                f"{where}: constraints must have {name} of shape {shape} and of bool, got {mask.dtype} of shape "
                f"{mask.shape}; num_tags is {K}"
            )
        masks.append(mask)
    found = Constraints(*masks)
    for name, mask, what in (("starts", found.starts, "begin"), ("ends", found.ends, "end")):
        if not mask.any():
            raise ValueError(
                f"{where}: constraints must have {name} that let a sequence {what} with some tag, got none"
            )
    return found
