"""Across domains: the recurrent weights alone, onto inputs of another kind, and cores that control for what they hold.

Two tasks as far apart as text and waveforms share no inputs and no outputs. What is left to carry over is how a state
follows from the state before, W_hh. To tell whether it matters *what* that matrix has learned, it competes with
matrices that share only a property of it::

    W'_ij = W_π(i,j)                                     (X19)   `scrambled`: the same entries, elsewhere
    W'_g  = Q_g W_g R                                    (X20)   `matched`: the same singular values
    W'_g  = Q_g W_g Q_gᵀ                                 (X21)   `rotated`: the same eigenvalues as well

g counts the gates. π is a random permutation; Q_g and R are random orthogonal matrices, each drawn anew, uniformly.

References
----------
.. [1] F. Mezzadri, "How to generate random matrices from the classical compact groups", Notices of the AMS 54 (2007)
   592-604, section 5: a uniform orthogonal matrix from the QR decomposition of a Gaussian one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array
from rnn_core.layers.base import Layer
from rnn_core.layers.checks import check_finite
from rnn_core.layers.home import move, to_host
from rnn_core.models import Model

from .copying import copy_parameters
from .groups import Patterns, checked_layer, checked_model, chosen
from .report import TransferReport

RECURRENT = "*weight_hh_*"
"""The recurrent weights, of a model or of a layer."""


def copy_recurrent(source: Layer | Mapping[str, Any], target: Layer, *, biases: bool = False) -> TransferReport:
    """Copy the recurrent weights alone: what can cross over where inputs and outputs are of another kind.

    Parameters
    ----------
    source : Model, layer or mapping of str to array
        A model, or a state_dict.
    target : Model or layer
        With a core of the same cell and size. Its input weights stay as they are.
    biases : bool
        Copy ``bias_ih`` and ``bias_hh`` too.

    Returns
    -------
    report : TransferReport

    Raises
    ------
    ValueError
        The cells differ, or as `copy_parameters`. Nothing has been written then.
    TypeError
        As `copy_parameters`.
    """
    checked_layer("copy_recurrent", "target", target)
    ours, theirs = _cell(source), _cell(target)
    if ours is not None and theirs is not None and ours != theirs:
        raise ValueError(
            f"copy_recurrent: source must have the target's cell, {theirs}, got {ours}; build the target with the "
            "source's cell"
        )
    return copy_parameters(source, target, include=(RECURRENT, "*bias_[ih]h_*") if biases else RECURRENT)


def scrambled(model: Model, patterns: Patterns = RECURRENT, *, seed: int) -> Model:
    """Return a copy of a model in which the entries of each chosen parameter are shuffled among themselves.

    What a core keeps of its training is then the sizes of its weights, and nothing of how they are wired.

    Parameters
    ----------
    model : Model
        Not changed.
    patterns : str or iterable of str
        Which parameters (see `transfer.parameters.groups`); the recurrent weights by default. A kernel of a convolution
        counts as a matrix with a row for each channel that comes out.
    seed : int
        Draws the permutation.

    Raises
    ------
    ValueError
        A pattern matches nothing, a chosen parameter is NaN or infinite, or the seed is negative.
    TypeError
        This is not a model, the model is quantized, or a pattern is not a string.
    """
    return _twin("scrambled", model, patterns, seed, _scramble)


def matched(model: Model, patterns: Patterns = RECURRENT, *, seed: int) -> Model:
    """Return a copy of a model in which each chosen parameter is a random matrix of the same singular values.

    Those of each gate's block are kept, and those of all blocks on top of one another. A vector keeps the length of
    each gate's part.

    Parameters and errors are those of `scrambled`.
    """
    return _twin("matched", model, patterns, seed, _match)


def rotated(model: Model, patterns: Patterns = RECURRENT, *, seed: int) -> Model:
    """Return a copy of a model in which each chosen gate block keeps its eigenvalues and singular values, but no more.

    Each gate's block is turned by a rotation of its own. That of a vanilla RNN then has the same powers up to the
    rotation, and so remembers for as long in its linear range.

    Parameters and errors are those of `scrambled`.

    Raises
    ------
    ValueError
        A block is not square.
    """
    return _twin("rotated", model, patterns, seed, _rotate)


def _scramble(where: str, name: str, blocks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(blocks.reshape(-1)).reshape(blocks.shape)  # (X19)


def _match(where: str, name: str, blocks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    G, H, K = blocks.shape
    R = _orthogonal(K, rng)
    return np.stack([_orthogonal(H, rng) @ block @ R for block in blocks])  # (X20)


def _rotate(where: str, name: str, blocks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    G, H, K = blocks.shape
    if H != K:
        raise ValueError(
            f"{where}: patterns must choose square gate blocks, got {H}×{K} in {name}; the recurrent weights are square"
        )
    turns = [_orthogonal(H, rng) for _ in range(G)]
    return np.stack([Q @ block @ Q.T for Q, block in zip(turns, blocks, strict=True)])  # (X21)


CONTROLS: dict[str, Callable[..., Model]] = {"scrambled": scrambled, "matched": matched, "rotated": rotated}
"""What makes a control from a trained source, by the word for `Arm.source`."""


def _orthogonal(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return an orthogonal matrix, uniformly distributed: without the signs, QR would prefer some."""
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return q * np.sign(np.diag(r))


def _twin(where: str, model: Model, patterns: Patterns, seed: int, change: Callable[..., np.ndarray]) -> Model:
    """Return a copy of a model with the chosen parameters changed, gate block by gate block."""
    names = chosen(where, "patterns", checked_model(where, model), patterns)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"{where}: seed must be an int, got {seed!r}")
    if seed < 0:
        raise ValueError(f"{where}: seed must be at least 0, got {seed}")
    for name in names:
        check_finite(where, name, model.parameters[name])
    rng = np.random.default_rng(seed)
    twin = model.astype(model.dtype)
    for name in names:
        parameter: Array = twin.parameters[name]
        array = np.asarray(to_host(parameter), np.float64)
        G = model.gate_blocks[name]
        blocks = array.reshape(G, len(array) // G, -1)  # a kernel's numbers for one channel are a row
        changed = change(where, name, blocks, rng).reshape(array.shape).astype(model.dtype)
        parameter[...] = move(changed, array_namespace(parameter))
    return twin


def _cell(layer: Any) -> str | None:
    """Return the name of a layer's or a model's cell; None for arrays alone, or where there is no core."""
    core = getattr(layer, "rnn", layer)
    return type(core).__name__ if hasattr(core, "spec") else None
