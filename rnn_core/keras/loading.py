"""`load_keras`: from a file of Keras's to layers of ours, layer by layer, and not one that isn't understood."""

from __future__ import annotations

import os

from ..foreign import one_line
from ..formats.chain import Chain
from ..formats.steps import chain_of
from ..layers.home import namespace_of
from .architecture import PartError, line_of
from .file import opened
from .layers import Reader
from .weights import CantRead


def load_keras(path: str | os.PathLike[str], *, backend: str | None = None) -> Chain:
    """Return the layers of a model that Keras has saved, one after another.

    Read are ``.keras`` and ``.h5``, as Keras 2 and 3 write them, of Sequential models and of functional ones whose
    layers stand in a row: Embedding, Masking, SimpleRNN, LSTM, GRU, Bidirectional, TimeDistributed, Dense, Activation,
    pooling over all steps, and dropout, which does nothing outside training. Weights keep their bits.

    Parameters
    ----------
    path : path
        The file. What it is, is told by its content.
    backend : {"numpy", "cpu", "cuda"}, optional
        Where the layers run; the best one present on the host by default.

    Returns
    -------
    chain : Chain
        It is called as ``chain(x, state0, lengths)``, x being tokens (B, T) or features (B, T, I), and says what the
        model's ``predict`` says. ``chain.as_model`` makes a model of ours of it.

    Raises
    ------
    ValueError
        It is no whole file of Keras's, holds weights alone, or a layer can't be read: the message has its name, its
        class, and the setting or the weight. Nothing is returned half.
    OSError
        The file is missing or can't be read.
    RuntimeError
        The backend is not available; the message says why.

    Notes
    -----
    Nothing in a file is executed: functions and classes that it brings along are refused by name.
    The mask of an Embedding with ``mask_zero``, or of a Masking, is taken from what comes in, wherever in a sequence
    the padding stands, and is passed over as Keras does it.
    """
    where = "load_keras"
    with opened(where, path) as stored:
        reader = Reader(stored)
        part = None
        try:
            for part in line_of(stored.model):
                reader.read(part)
        except Exception as error:  # of a file that was made to do harm, anything
            part = error.part if isinstance(error, PartError) else part
            what = f"{stored.name!r} can't be read" if part is None else f"{part} of {stored.name!r} can't be read"
            raise ValueError(f"{where}: {what}: {_reason(error)}") from error
    namespace_of(where, backend)
    try:
        if not any(hasattr(step, "weight") or hasattr(step, "directions") for step in reader.steps):
            raise CantRead("the model must have a layer with weights, and has none")
        return chain_of(reader.steps, backend)
    except Exception as error:
        raise ValueError(f"{where}: {stored.name!r} can't be read: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    text = str(error) if isinstance(error, CantRead | ValueError) else f"{type(error).__name__}, {error}"
    return one_line(text, 240)
