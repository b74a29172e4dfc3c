"""A model of one's own on the trunk, `examples/tagger.py`: what the trunk gives it, and what it adds."""

from __future__ import annotations

import numpy as np
import pytest

from examples.tagger import TOKENS, Tagger, brackets, main
from rnn_core import gradcheck, load, save
from rnn_core.data import Batch, Examples
from rnn_core.training import Adam, SquaredError, fit
from tests.model_cases import CELLS, LENGTHS, B, H, T, V, text

C = 3
WEIGHTS = np.random.default_rng(4).random((B, T))


def tags(seed=5):
    return np.random.default_rng(seed).integers(0, C, (B, T))


def tagger(**options):
    options = {"dtype": np.float64, "seed": 1, **options}
    return Tagger(C, H, **({} if "vocab_size" in options else {"input_size": 2}), **options)


def inputs(model):
    return text().inputs if model.embedding is not None else np.random.default_rng(0).standard_normal((B, T, 2))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", [
    {}, {"vocab_size": V, "padding_idx": 0}, {"num_layers": 2, "dropout": 0.3, "bidirectional": False},
    {"vocab_size": V, "embedding_size": 3, "dropout": 0.3},
])  # fmt: skip
def test_gradients(cell, options):
    model = tagger(cell=cell, **options)
    report = gradcheck(model, Batch(inputs(model), tags(), LENGTHS, WEIGHTS))
    assert report.passed, report
    assert {row.name for row in report.rows} == set(model.parameters)


def test_loss_and_accuracy_by_hand():
    model = tagger()
    batch = Batch(inputs(model), tags(), LENGTHS, WEIGHTS)
    z = model(batch.inputs, LENGTHS)
    log_p = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
    counts = WEIGHTS * (np.arange(T) < LENGTHS[:, None])
    losses = -np.take_along_axis(log_p, batch.targets[..., None], axis=-1)[..., 0]
    found = model.evaluate(batch)
    assert found.loss == pytest.approx((counts * losses).sum(), rel=1e-12)
    assert found.count == pytest.approx(counts.sum(), rel=1e-12)
    assert found.correct == pytest.approx((counts * (model.predict(batch.inputs, LENGTHS) == batch.targets)).sum())
    step = model.loss_and_gradients(batch)
    assert step.loss == pytest.approx(found.loss / found.count, rel=1e-12)
    assert step.state is found.state is None


def test_what_stands_in_the_padding_counts_nothing():
    model = tagger()
    batch = Batch(inputs(model), tags(), LENGTHS)
    other = batch._replace(inputs=batch.inputs.copy(), targets=batch.targets.copy())
    for row, n in enumerate(LENGTHS):
        other.inputs[row, n:], other.targets[row, n:] = np.nan, -1
    one, two = model.loss_and_gradients(batch), model.loss_and_gradients(other)
    assert one.loss == two.loss
    for name, gradient in one.gradients.items():
        np.testing.assert_array_equal(gradient, two.gradients[name])


def test_it_is_saved_trained_and_frozen_as_any_model(tmp_path):
    texts, right, n = brackets(40, 8, seed=0)
    model = Tagger(2, 4, vocab_size=len(TOKENS), padding_idx=0, seed=0)
    model.frozen = frozenset({"embedding.weight"})
    before = model.state_dict()
    fit(model, Examples(texts, right, lengths=n), optimizer=Adam(1e-2), epochs=1, progress=False)
    changed = [name for name, array in model.parameters.items() if (array != before[name]).any()]
    assert changed == [name for name in model.parameters if name != "embedding.weight"]
    save(model, tmp_path / "tagger")
    twin = load(tmp_path / "tagger")
    assert type(twin) is Tagger
    np.testing.assert_array_equal(twin(texts, n), model(texts, n))


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: Tagger(0, 4, input_size=2), ValueError, "Tagger: num_tags must be at least 1, got 0"),
        (lambda: Tagger(2, 4), ValueError, "Tagger: one of input_size .* and vocab_size .* must be given"),
        (lambda: tagger()(inputs(tagger())[0]), ValueError, r"Tagger.__call__: x must have shape \(B, T, 2\)"),
        (lambda: tagger().evaluate(Batch(inputs(tagger()), tags()[:, :2])), ValueError,
         r"Tagger.evaluate: targets must have shape \(3, 5\), a tag for each step, got \(3, 2\)"),
        (lambda: tagger().evaluate(Batch(inputs(tagger()), tags() + C)), ValueError, "targets must be in 0…2"),
        (lambda: tagger().loss_and_gradients(Batch(inputs(tagger()), tags()), needs={"x0"}), ValueError,
         "Tagger.backward: needs must name some of x, rnn.weight_ih_l0"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_brackets_that_are_closed_have_an_inside():
    texts, right, lengths = brackets(50, 12, seed=3)
    for tokens, row, n in zip(texts, right, lengths, strict=True):
        said = "".join(TOKENS[k] for k in tokens[:n])
        inside = np.zeros(12, int)
        for end in (k for k, letter in enumerate(said) if letter == ")"):
            start = max(said.rfind(bracket, 0, end) for bracket in "()")
            if start >= 0 and said[start] == "(":
                inside[start + 1 : end] = 1
        np.testing.assert_array_equal(row, inside, err_msg=said)


def test_the_example_runs(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["tagger.py", "--epochs", "1", "--hidden-size", "2"])
    main()
    assert capsys.readouterr().out.startswith("right: ")


def test_a_loss_of_numbers_is_not_counted_as_right_or_wrong():
    model = Tagger(2, 3, input_size=2, seed=0)
    model.loss = SquaredError()
    with pytest.raises(TypeError, match="Tagger: loss must be of classes.*got SquaredError; override _logits and _sc"):
        model.predict(np.zeros((3, 3, 2), np.float32))
