"""What a loss without labels of the target is: what it sees of either domain, and the gradients it gives back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from array_api_compat import array_namespace

from kernels.contract import Array
from rnn_core.foreign import shown
from rnn_core.layers.checks import as_array, check_activations
from rnn_core.layers.linear import Linear
from rnn_core.training.losses.mean import check_floating

Layers = Mapping[str, Linear]
"""The layers that a loss trains, by name."""

NO_LAYERS: Layers = MappingProxyType({})
NO_GRADIENTS: Mapping[str, Array] = MappingProxyType({})


class Seen(NamedTuple):
    """What a network makes of some rows of the source and some of the target; a row is a sequence, or a step of one.

    Attributes
    ----------
    source, target : ndarray, shape (n, F) and (m, F)
        Features: what the head reads.
    source_logits, target_logits : ndarray, shape (n, K) and (m, K), or None
        What the head says. A loss that doesn't read them leaves them alone.
    """

    source: Any = None
    target: Any = None
    source_logits: Any = None
    target_logits: Any = None


class Pull(NamedTuple):
    """Gradients of a loss, with the fields of `Seen`: None stands for 0.

    Attributes
    ----------
    parameters : dict of str to ndarray
        ∂L/∂parameter of the loss's own layers, as ``layer.parameter``.
    """

    source: Any = None
    target: Any = None
    source_logits: Any = None
    target_logits: Any = None
    parameters: Mapping[str, Array] = NO_GRADIENTS


class DomainLoss(ABC):
    """A loss of what is seen of two domains. Subclass it as a frozen dataclass: it remembers nothing.

    Attributes
    ----------
    reads : tuple of str
        The fields of `Seen` that it reads.
    fewest : int
        So many rows of each domain there must be.
    """

    reads: ClassVar[tuple[str, ...]]

    @property
    def fewest(self) -> int:
        """The fewest rows of a domain that say something."""
        return 1

    def layers(self, features: int, classes: int, **options: Any) -> dict[str, Linear]:
        """Return fresh layers of its own, which train: none by default.

        Parameters
        ----------
        features, classes : int
            F and K.
        options
            ``backend``, ``dtype`` and ``seed``, as of `Linear`.
        """
        return {}

    @abstractmethod
    def forward(self, seen: Seen, layers: Layers = NO_LAYERS, progress: float = 1.0) -> tuple[Array, Any]:
        """Return the loss, and a tape for `backward`.

        Parameters
        ----------
        seen : Seen
            float32 or float64 (or complex128).
        layers : dict of str to Linear
            What `layers` has returned.
        progress : float
            How much of the training is over, from 0 to 1.

        Raises
        ------
        ValueError
            What it reads is missing, has another shape, too few rows, or holds a NaN or an infinity.
        TypeError
            It is not floating point, or of two dtypes.
        """

    @abstractmethod
    def backward(self, tape: Any) -> Pull:
        """Return what flows back to all that it has read."""

    def read(self, seen: Seen) -> tuple[Any, list[Array]]:
        """Return the namespace and the fields that it reads, looked over."""
        where, found = f"{type(self).__name__}.forward", list[Array]()
        for name in self.reads:
            value = getattr(seen, name)
            if value is None:
                raise ValueError(f"{where}: {name} must be given, got None; this loss reads {', '.join(self.reads)}")
            xp = array_namespace(value)
            value = as_array(where, name, value, xp)
            check_floating(where, xp, value, name)
            if value.ndim != 2 or 0 in value.shape:
                raise ValueError(
                    f"{where}: {name} must have shape (rows, numbers), got {tuple(value.shape)}; pool sequences, or "
                    "take the valid steps as rows"
                )
            if found and value.dtype != found[0].dtype:
                raise TypeError(
                    f"{where}: {name} must be {found[0].dtype}, as {self.reads[0]}, got {value.dtype}; convert one"
                )
            check_activations(where, name, value)
            found.append(value)
        self._check_shapes(where, dict(zip(self.reads, found, strict=True)))
        return array_namespace(found[0]), found

    def _check_shapes(self, where: str, found: Mapping[str, Array]) -> None:
        for one, other, axis in (
            ("source", "target", 1),
            ("source_logits", "target_logits", 1),
            ("source", "source_logits", 0),
            ("target", "target_logits", 0),
        ):
            if one in found and other in found and found[one].shape[axis] != found[other].shape[axis]:
                what = ("rows", "numbers in a row")[axis]
                raise ValueError(
                    f"{where}: {other} must have {found[one].shape[axis]} {what}, as {one}, got "
                    f"{found[other].shape[axis]}"
                )
        for name, value in found.items():
            if value.shape[0] < self.fewest:
                raise ValueError(
                    f"{where}: {name} must have at least {self.fewest} rows, got {value.shape[0]}; take larger batches"
                )


def checked_loss(where: str, loss: Any) -> DomainLoss:
    """Return `loss`, if it is one."""
    if not isinstance(loss, DomainLoss):
        raise TypeError(f"{where}: loss must be a DomainLoss, such as MMD(), got {shown(loss)}")
    return loss
