"""`CRF`: the layer, with its loss and its gradient, decoding, and marginals; the equations are beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_numpy_namespace

from kernels.contract import Array

from ... import backends
from ..base import Layer
from ..checks import (
    as_array,
    check_activations,
    check_lengths,
    check_needs,
    check_seed,
    checked_dtype,
    first,
    flag,
    positive_int,
)
from ..first_values import first_values
from ..home import namespace_of, to_host
from . import compiled, likelihood
from .chain import Chain, alphas, last_marginal, marginals
from .constraints import checked_constraints
from .rows import checked_tags, counted, valid_first


class CRF(Layer):
    """Linear-chain conditional random field [1]_, [2]_: each pair of neighbouring tags has a score, too.

    Parameters
    ----------
    num_tags : int
        K.
    constraints : Constraints or mapping, optional
        Which tags may follow one another, begin and end a sequence, as `constraints_of` makes it from names. `decode`
        and `marginals` know of no other sequences.
    constrained_training : bool
        The loss knows of no others either. Without it training is free to give them weight, and the right tags may
        break the rules.
    backend : {"numpy", "cpu", "cuda"}, optional
        Who computes: the equations ("numpy"), the kernels of the CPU, or the equations on arrays of the GPU. The best
        one present on the host by default.
    dtype : dtype
        float32 or float64 (complex128 for the complex step).
    seed : int, optional
        Draws nothing: the parameters begin as zeros, with which the layer is a softmax at every step.

    Notes
    -----
    ``transitions`` has shape (K, K), from the row's tag to the column's; ``start`` and ``end`` have shape (K,).

    A step takes O(B K²). What `forward` keeps is as large as the emissions.

    References
    ----------
    .. [1] J. Lafferty, A. McCallum, F. Pereira, "Conditional random fields: probabilistic models for segmenting and
       labeling sequence data", ICML 2001.
    .. [2] G. Lample et al., "Neural architectures for named entity recognition", NAACL 2016, arXiv:1603.01360v3.
    .. [3] Y. Tsuboi et al., "Training conditional random fields using incomplete annotations", COLING 2008; (CR6).
    """

    def __init__(
        self,
        num_tags: int,
        *,
        constraints: Any = None,
        constrained_training: bool = False,
        backend: str | None = None,
        dtype: Any = np.float32,
        seed: int | None = None,
    ) -> None:
        self.num_tags = K = positive_int("CRF", "num_tags", num_tags)
        self.constraints = None if constraints is None else checked_constraints("CRF", constraints, K)
        self.constrained_training = flag("CRF", "constrained_training", constrained_training)
        if self.constrained_training and self.constraints is None:
            raise ValueError("CRF: constraints must be given with constrained_training=True, got None")
        xp, dtype = namespace_of("CRF", backend), checked_dtype("CRF", dtype)
        self.config = {
            "num_tags": K,
            "constraints": None if self.constraints is None else self.constraints.as_dict(),
            "constrained_training": self.constrained_training,
            "backend": backend,
            "dtype": dtype.name,
            "seed": check_seed("CRF", seed),
        }
        shapes = {"transitions": (K, K), "start": (K,), "end": (K,)}
        self.parameters = {name: first_values(xp, shape, dtype, np.zeros) for name, shape in shapes.items()}
        self._masks = None if self.constraints is None else Chain(*map(xp.asarray, self.constraints))

    @property
    def _way(self) -> Any:
        """Who computes: the kernels of the CPU, or the equations on whatever arrays there are."""
        name = backends.default() if self.config["backend"] is None else self.config["backend"]
        return compiled if name == "cpu" and self.dtype.kind == "f" else likelihood

    @property
    def gradient_names(self) -> tuple[str, ...]:
        """The names that `needs` may hold: emissions and every parameter."""
        return ("emissions", *self.parameters)

    @np.errstate(divide="ignore", invalid="ignore")  # of what constraints rule out
    def forward(self, emissions: Array, tags: Any, lengths: Any = None, weights: Any = None) -> tuple[Array, Any]:
        """Return the loss, and a tape for `backward`.

        Parameters
        ----------
        emissions : ndarray, shape (B, T, K)
            z, a score for each tag at each step, of the layer's dtype. Past a row's length anything may stand.
        tags : array of int, shape (B, T)
            The right ones, each at least 0 and below K; past a row's length anything.
        lengths : array of int, shape (B,), optional
            Valid steps of each row.
        weights : ndarray, shape (B,) or (B, T), optional
            How much each row counts, at least 0. A whole one counts as that many copies. Of shape (B, T) it is the
            row's at every step or, where a tag is not known, 0: all tags are possible there, and the loss is that of
            the known ones, (CR6).

        Returns
        -------
        loss : scalar of the emissions' dtype
            −log p of the tags, in nats a known tag: (CR8). With parameters of zero, the loss of a softmax at each step.
        tape : Tape
            For `backward`, any number of times.

        Raises
        ------
        ValueError
            A shape does not fit, a tag or length is out of range, weights are not as required, a value is NaN or
            infinite, or training is constrained and tags break the rules; the message says where.
        TypeError
            Tags or lengths are not integers, or the dtype of emissions is not the layer's.
        """
        where = "CRF.forward"
        z, lengths, valid = self._checked(where, emissions, lengths)
        xp, (T, K, B) = array_namespace(z), z.shape
        y = checked_tags(where, tags, (B, T), K, lengths, xp)
        how = counted(where, weights, lengths, (B, T))
        loss, costs, tape = self._way.forward(z, self._chain(self.constrained_training), y, how, valid)
        if self.constrained_training and is_numpy_namespace(xp):
            self._refuse_forbidden(where, y, costs, lengths)
        return loss, tape

    def backward(self, tape: Any, needs: Iterable[str] | None = None) -> tuple[Array | None, dict[str, Array]]:
        """Return ∂L/∂emissions and the parameters' gradients.

        Parameters
        ----------
        tape : Tape
            From `forward`; it can be used any number of times.
        needs : set of str, optional
            Wanted gradients out of `gradient_names`; all by default.

        Returns
        -------
        demissions : ndarray, shape (B, T, K), or None
            Zero past a row's length; None if not wanted.
        grads : dict of str to ndarray
            ∂L/∂parameter for each wanted parameter.

        Raises
        ------
        ValueError
            A name in `needs` doesn't exist.
        """
        needs = check_needs("CRF.backward", needs, self.gradient_names)
        if not needs:
            return None, {}
        way: Any = compiled if isinstance(tape, compiled.Tape) else likelihood
        found = way.backward(tape, needs)
        demissions = array_namespace(tape.alpha).permute_dims(found["emissions"], (2, 0, 1))
        grads = {name: found[name] for name in self.parameters if name in needs}
        return demissions if "emissions" in needs else None, grads

    @np.errstate(divide="ignore", invalid="ignore")
    def decode(self, emissions: Array, lengths: Any = None) -> tuple[Array, Array]:
        """Return the best sequence of tags of each row, and its score: (CR9), (CR10).

        Parameters
        ----------
        emissions, lengths
            As `forward`'s.

        Returns
        -------
        tags : ndarray of int, shape (B, T)
            Past a row's length 0.
        scores : ndarray, shape (B,)
            s(y) of (CR1).

        Raises
        ------
        ValueError
            As `forward`; or the constraints allow no sequence of some length.
        TypeError
            As `forward`.
        """
        where = "CRF.decode"
        z, lengths, valid = self._checked(where, emissions, lengths)
        xp = array_namespace(z)
        paths, scores = self._way.best_paths(z, self._chain(True), valid)
        impossible = to_host(scores == -xp.inf) if self.constraints is not None else np.zeros(1, bool)
        if impossible.any():
            row = int(np.argmax(impossible))
            steps = z.shape[0] if lengths is None else lengths[row]
            raise ValueError(f"{where}: constraints must allow a sequence of {steps} steps, that of row {row}")
        if valid is not None:
            paths = xp.where(valid, paths, 0)
        return paths.T, scores

    @np.errstate(divide="ignore", invalid="ignore")
    def marginals(self, emissions: Array, lengths: Any = None) -> Array:
        """Return the probability of each tag at each step, (B, T, K), zero past a row's length: p of (CR7).

        Parameters and errors are `decode`'s.
        """
        z, _, valid = self._checked("CRF.marginals", emissions, lengths)
        return array_namespace(z).permute_dims(self._way.all_marginals(z, self._chain(True), valid), (2, 0, 1))

    @np.errstate(divide="ignore", invalid="ignore")
    def pair_marginals(self, emissions: Array, lengths: Any = None) -> Array:
        """Return the probability of each pair of neighbouring tags, (B, T − 1, K, K): q of (CR7).

        At index t it is that of steps t and t + 1, zero past a row's length. Parameters and errors are `decode`'s.
        """
        z, _, valid = self._checked("CRF.pair_marginals", emissions, lengths)
        chain = self._chain(True)
        alpha, _ = alphas(z, chain, valid)
        xp, (T, K, B) = array_namespace(z), z.shape
        found = xp.zeros((T - 1, K, K, B), dtype=z.dtype)
        for t, _, q in marginals(alpha, chain, last_marginal(alpha, chain), valid):
            if q is not None:
                found[t - 1] = q
        return xp.permute_dims(found, (3, 0, 1, 2))

    @np.errstate(divide="ignore", invalid="ignore")
    def log_partition(self, emissions: Array, lengths: Any = None) -> Array:
        """Return log Z (B,): (CR3). With constraints, it is of the sequences that they allow.

        Parameters and errors are `decode`'s.
        """
        z, _, valid = self._checked("CRF.log_partition", emissions, lengths)
        return self._way.log_partition(z, self._chain(True), valid)

    def score(self, emissions: Array, tags: Any, lengths: Any = None) -> Array:
        """Return s(y) (B,) of sequences of tags: (CR1); −∞ where they break the constraints.

        Parameters and errors are `forward`'s.
        """
        where = "CRF.score"
        z, lengths, valid = self._checked(where, emissions, lengths)
        xp, (T, K, B) = array_namespace(z), z.shape
        y = checked_tags(where, tags, (B, T), K, lengths, xp)
        chain = self._chain(True)
        parts = xp.take_along_axis(z, y[:, None], axis=1)[:, 0]  # (T, B)
        pairs = xp.reshape(y[:-1] * K + y[1:], (-1,))
        steps = xp.reshape(xp.take(xp.reshape(chain.transitions, (-1,)), pairs), (T - 1, B))
        if valid is not None:
            parts, steps = xp.where(valid, parts, 0), xp.where(valid[1:], steps, 0)
        ends = xp.take(chain.start, y[0]) + xp.take(chain.end, y[-1])
        return ends + xp.sum(parts, axis=0) + xp.sum(steps, axis=0)  # (CR1)

    def _checked(self, where: str, emissions: Any, lengths: Any) -> tuple[Array, np.ndarray | None, Array | None]:
        """Return emissions (T, K, B) without what stands in the padding, lengths, and a mask (T, B) of valid steps."""
        xp, K = self.namespace, self.num_tags
        z = as_array(where, "emissions", emissions, xp)
        if z.dtype != self.dtype:
            raise TypeError(
                f"{where}: emissions must be {self.dtype}, as the transitions are, got {z.dtype}; convert it with "
                f"emissions.astype(np.{self.dtype})"
            )
        if z.ndim != 3 or z.shape[2] != K or 0 in z.shape:
            raise ValueError(
                f"{where}: emissions must have shape (B, T, {K}), B rows of T ≥ 1 steps, got {tuple(z.shape)}; "
                f"num_tags is {K}"
            )
        lengths = check_lengths(where, lengths, z.shape[1], z.shape[0])
        valid = valid_first(xp, lengths, z.shape[1])
        check_activations(where, "emissions", z, None if valid is None else valid.T[:, :, None])
        z = xp.permute_dims(z, (1, 2, 0))
        return (z if valid is None else xp.where(valid[:, None], z, 0)), lengths, valid

    def _chain(self, constrained: bool) -> Chain:
        """Return the log potentials, −∞ where constraints rule out."""
        found = Chain(*self.parameters.values())
        if self._masks is None or not constrained:
            return found
        xp = self.namespace
        return Chain(*(xp.where(mask, a, -xp.inf) for mask, a in zip(self._masks, found, strict=True)))

    def _refuse_forbidden(self, where: str, y: np.ndarray, costs: np.ndarray, lengths: np.ndarray | None) -> None:
        """Raise ValueError where no allowed sequence has the tags of a row."""
        impossible = ~np.isfinite(costs)
        if self.constraints is None or not impossible.any():
            return
        row = first(impossible)[0]
        tags, allowed = y[: None if lengths is None else lengths[row], row], self.constraints
        broken = np.flatnonzero(~allowed.transitions[tags[:-1], tags[1:]])
        if broken.size:
            t = int(broken[0])
            what = f"{tags[t]} before {tags[t + 1]} from step {t} to {t + 1}"
        else:
            what = f"{tags[-1]} at the end" if allowed.starts[tags[0]] else f"{tags[0]} at the beginning"
        raise ValueError(
            f"{where}: tags must be a sequence that the constraints allow, got {what} of row {row}; mend it, or leave "
            "out constrained_training"
        )
