"""What is empty, or cut short."""

# mypy: disable-error-code="arg-type,call-arg,misc"
# Wrong types are what is tried here.

from __future__ import annotations

import pytest

from rnn_core import load
from rnn_core.data import Examples
from rnn_core.data.files import read_series, read_texts, read_vectors, read_waveforms
from rnn_core.training import SGD, fit
from rnn_core.weights import read_arrays
from tests.transfer.errors.world import Error, X, Y, check, client, data, named
from transfer import copy_parameters

NONE = "'…{}' must hold at least {}, got none"
CUT = "path must be a whole safetensors file, got '…', which is cut short …"

EMPTY = (
    *(
        Error(name, lambda w, name=name, read=read: read(w.write(name)), f"{read.__name__}: {NONE.format(name, what)}")
        for read, name, what in (
            (read_texts, "a.csv", "a line"),
            (read_texts, "a.tsv", "a line"),
            (read_texts, "a.jsonl", "a line"),
            (read_series, "b.tsv", "a line"),
            (read_series, "b.ts", "a line"),
            (read_vectors, "c.txt", "a word"),
        )
    ),
    Error(
        "a.npz",
        lambda w: read_texts(w.write("a.npz")),
        "read_texts: '…a.npz' must hold x_train and y_train, as Keras's imdb.npz does: File is not a zip file",
    ),
    Error(
        "headings alone",
        lambda w: read_texts(w.write("a.csv", "text,label\n")),
        f"read_texts: {NONE.format('a.csv', 'a text')}",
    ),
    Error(
        "blank lines",
        lambda w: read_texts(w.write("a.csv", "\n\n")),
        f"read_texts: {NONE.format('a.csv', 'a text')}",
    ),
    Error(
        "nothing behind @data",
        lambda w: read_series(w.write("b.ts", "@data\n")),
        f"read_series: {NONE.format('b.ts', 'a series')}",
    ),
    Error(
        "c.bin",
        lambda w: read_vectors(w.write("c.bin")),
        f"read_vectors: {NONE.format('c.bin', 'a word')}",
    ),
    Error(
        "a waveform",
        lambda w: read_waveforms(w.write("g/pos/1.wav").parent.parent),
        "read_waveforms: '…1.wav' must be a WAV file, got one that is empty",
    ),
    Error("a model", lambda w: load(w.write("m.safetensors")), f"load: {CUT}"),
    Error(
        "a model's arrays",
        lambda w: copy_parameters(read_arrays(w.write("m.safetensors")), w["lstm"]),
        f"read_arrays: {CUT}",
    ),
    Error(
        "a client's head",
        lambda w: client(w["lstm"], path=w.write("m.safetensors")),
        f"LocalClient: {CUT}",
    ),
    Error(
        "another's file for a client's head",
        lambda w: client(w["lstm"], path=w.path("gru.safetensors")),
        "LocalClient: path must be a file that a LocalClient wrote, got '…', which is another safetensors file; …",
    ),
    Error(
        "a checkpoint",
        lambda w: fit(
            w["lstm"],
            data(),
            optimizer=SGD(0.1),
            epochs=2,
            progress=False,
            resume=True,
            checkpoint=w.write("empty/last.safetensors").parent,
        ),
        "fit: last.safetensors must be a whole safetensors file, got '…', which is cut short or damaged (it is …",
    ),
    Error(
        "no examples",
        lambda w: Examples(X[:0], Y[:0]),
        "Examples: inputs must have shape (N, T) or (N, T, I) with at least one number, …",
    ),
)


@pytest.mark.parametrize("error", named("empty", EMPTY))
def test_the_message_says_what_is_wrong_and_nothing_is_overwritten(error, world):
    check(error, world)
