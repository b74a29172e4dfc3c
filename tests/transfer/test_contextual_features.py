"""The states of two language models as features for scikit-learn, and as a start for other models."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from rnn_core import BidirectionalLanguageModel
from rnn_core.data import Examples, windows
from rnn_core.training import Adam, fit
from tests.contextual_checks import LENGTHS, H, V, bilm, tokens
from transfer.features.estimator import RNNFeatures


def rows():
    return [row[:n] for row, n in zip(tokens(), LENGTHS, strict=True)]


@pytest.mark.parametrize("layer", [None, 0, 2])
def test_features_are_pooled_states_of_a_layer_or_of_their_mean(layer):
    model = bilm()
    found = RNNFeatures(model, layer=layer, pooling=("mean", "last"), batch_size=2).fit_transform(rows())
    assert found.shape == (3, 4 * H)
    for features, row in zip(found, rows(), strict=True):
        states = model.states(row[None])[0]
        states = states.mean(axis=1) if layer is None else states[:, layer]
        last = np.concatenate([states[-1, :H], states[0, H:]])
        np.testing.assert_allclose(features, np.concatenate([states.mean(axis=0), last]), rtol=1e-12)
    again = RNNFeatures(model, layer=layer, pooling=("mean", "last")).fit(tokens(), lengths=LENGTHS)
    np.testing.assert_allclose(again.transform(tokens(), LENGTHS), found, rtol=1e-12)


def labelled(count=90, seed=0):
    """Return texts that run upwards or downwards, from anywhere, and which they do."""
    rng = np.random.default_rng(seed)
    ways = rng.integers(0, 2, count)
    steps = rng.integers(4, 9, count)
    texts = [(rng.integers(V) + (2 * way - 1) * np.arange(n)) % V for way, n in zip(ways, steps, strict=True)]
    return texts, ways


def test_in_a_pipeline_whose_layer_is_chosen():
    texts, ways = labelled()
    stream, lengths = windows(np.concatenate(labelled(300, seed=1)[0]), 20)
    model = BidirectionalLanguageModel(V, 8, num_layers=1, cell="gru", seed=0)
    fit(model, Examples(stream, stream, lengths=lengths), optimizer=Adam(2e-2), epochs=12, progress=False)
    pipeline = make_pipeline(RNNFeatures(model, pooling="mean"), LogisticRegression())
    search = GridSearchCV(clone(pipeline), {"rnnfeatures__layer": [0, 1]}, cv=3).fit(texts, ways)
    by_layer = search.cv_results_["mean_test_score"]
    assert by_layer[0] < 0.65  # letters alone don't tell which way a text runs
    assert by_layer[1] > 0.85, by_layer
    assert search.best_estimator_.predict([np.arange(4), np.arange(4)[::-1]]).tolist() == [1, 0]


@pytest.mark.parametrize(
    "options, error, says",
    [
        ({"model": bilm(), "layer": 3}, ValueError, r"RNNFeatures: layer must be in 0…2 or None, got 3"),
        ({"model": bilm(), "layer": True}, ValueError, "layer must be in 0…2 or None, got True"),
        ({"layer": 1}, ValueError, "layer must be left out but with a BidirectionalLanguageModel, .* got 1"),
    ],
)
def test_what_does_not_fit_is_named(options, error, says):
    with pytest.raises(error, match=says):
        RNNFeatures(**options).fit(rows())
