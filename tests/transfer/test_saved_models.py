"""Files that were saved before models had a trunk: what they say of a model still builds it, and is still said."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from rnn_core import LanguageModel, SequenceClassifier, load, save
from rnn_core.weights import read_metadata
from transfer import MultiTask

CORE = [f"rnn.{kind}_l0" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
SAVED = {
    LanguageModel: (
        '{"vocab_size": 7, "hidden_size": 4, "embedding_size": 4, "num_layers": 1, "cell": "gru", "nonlinearity": '
        '"tanh", "dropout": 0.2, "tied": true, "dtype": "float32"}',
        ["embedding.weight", *CORE, "head.bias"],
    ),
    SequenceClassifier: (
        '{"num_classes": 3, "hidden_size": 4, "input_size": null, "vocab_size": 7, "embedding_size": 5, "padding_idx": '
        '0, "num_layers": 1, "cell": "rnn", "nonlinearity": "relu", "bidirectional": false, "pooling": "mean", '
        '"dropout": 0.0, "dtype": "float64"}',
        ["embedding.weight", *CORE, "head.weight", "head.bias"],
    ),
    MultiTask: (
        '{"heads": {"a": {"outputs": 3, "loss": "softmax", "pooling": null, "weight": 0.7}, "b": {"outputs": 1, '
        '"loss": "binary", "pooling": "last", "weight": 1.0}}, "hidden_size": 4, "input_size": 2, "vocab_size": null, '
        '"embedding_size": null, "padding_idx": null, "num_layers": 1, "cell": "lstm", "nonlinearity": "tanh", '
        '"bidirectional": false, "dropout": 0.0, "dtype": "float32"}',
        [*CORE, "heads.a.weight", "heads.a.bias", "heads.b.weight", "heads.b.bias"],
    ),
}


@pytest.mark.parametrize("kind", SAVED)
def test_a_file_is_read_and_written_as_before(kind, tmp_path):
    config, names = SAVED[kind]
    model = kind(**json.loads(config), seed=3)
    assert list(model.parameters) == names
    arrays = {name: array + 1 for name, array in model.parameters.items()}
    header = {"format": "rnn_core", "format_version": "1", "class": kind.__name__, "config": config}
    save_file(arrays, tmp_path / "before", metadata=header)
    found = load(tmp_path / "before")
    assert type(found) is kind
    assert list(found.parameters) == names
    for name, array in arrays.items():
        np.testing.assert_array_equal(found.parameters[name], array)
        assert found.parameters[name].dtype == array.dtype
    save(found, tmp_path / "again")
    assert header.items() <= read_metadata(tmp_path / "again").items()
