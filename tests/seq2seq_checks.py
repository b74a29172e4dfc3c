"""Checks of attention and of what writes: each fails with an AssertionError where the code is wrong.

The tests run them on the code as it is, `tests/mutations/seq2seq.py` on code with a bug planted in it.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from rnn_core import Seq2Seq, gradcheck
from rnn_core.data import Batch
from rnn_core.layers import Attention
from rnn_core.models.seq2seq.beams import Beams
from tests import by_hand
from tests.checks import accept

SCORES = ("dot", "general", "additive")
V, B, TX, TY = 4, 3, 5, 4
LENGTHS = np.array([5, 2, 1])
TARGETS = np.array([[1, 2, 3, 0], [2, 0, 1, 3], [3, 1, 1, 2]])
"""A row that is full, one that ends early with something behind its end, and one that does not end."""
WEIGHTS = np.array([[1.0, 0.5, 2.0, 1.5], [0.0, 3.0, 1.0, 1.0], [0.7, 0.1, 0.0, 1.1]])

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "fed": {"input_feeding": True, "num_layers": 2, "attention": "additive"},
    "dropout": {"dropout": 0.3, "num_layers": 2, "vocab_size": 6},
    "fed dropout": {"dropout": 0.3, "num_layers": 2, "input_feeding": True, "vocab_size": 6},
    "no attention": {"attention": None, "bidirectional": False},
    "dot, as it is": {"attention": "dot", "decoder_size": 6},
    "tied": {"tied": True, "vocab_size": 6, "embedding_size": 4, "decoder_size": 4, "input_feeding": True},
    "shared": {"shared": True, "vocab_size": V, "embedding_size": 2, "dropout": 0.2},
    "convolutions": {"front": {"kind": "over time", "input_size": 2, "channels": [3]}, "dropout": 0.2},
    "shared and tied": {"shared": True, "tied": True, "vocab_size": V, "bidirectional": False, "attention": "dot"},
}
"""Options that each take another way through the model."""


def seq2seq(cell: str = "lstm", **options: Any) -> Seq2Seq:
    """Return a small model whose parameters are large enough for attention to look at something."""
    reads = {} if "vocab_size" in options or "front" in options else {"input_size": 2}
    model = Seq2Seq(V, 3, cell=cell, **{"dtype": np.float64, "seed": 1, **reads, **options})
    for array in model.parameters.values():
        array *= 1.5
    return model


def source(model: Seq2Seq, seed: int = 0) -> np.ndarray:
    """Return what the model reads: tokens or features, (B, TX) or (B, TX, 2)."""
    rng = np.random.default_rng(seed)
    if model.embedding is not None:
        return rng.integers(0, model.embedding.num_embeddings, (B, TX))
    return rng.standard_normal((B, TX, 2))


def model_gradients(cell: str, variant: str) -> None:
    """The whole model by the complex step: lengths on both sides, weights, dropout."""
    model = seq2seq(cell, **VARIANTS[variant])
    report = gradcheck(model, Batch(source(model), TARGETS, LENGTHS, WEIGHTS))
    accept(report)
    assert {row.name for row in report.rows} == set(model.parameters)


def attention(score: str, own_values: bool = False, **options: Any) -> tuple[Attention, dict[str, np.ndarray]]:
    """Return a layer and what comes in."""
    sizes = (3, 3 if score == "dot" else 5, 4 if own_values else None)
    layer = Attention(*sizes, score=score, **{"output_size": 2, "dtype": np.float64, "seed": 1, **options})
    rng = np.random.default_rng(0)
    values = {"values": rng.standard_normal((B, TX, 4))} if own_values else {}
    return layer, {
        "queries": rng.standard_normal((B, TY, 3)),
        "keys": rng.standard_normal((B, TX, layer.key_size)),
        **values,
    }


def attention_gradients(score: str, own_values: bool) -> None:
    """Every gradient of the layer by the complex step, from the output and from the weights, with lengths."""
    layer, inputs = attention(score, own_values)
    accept(gradcheck(layer, tuple(inputs.values()), lengths=LENGTHS))


def attention_looks_at_what_is_there(score: str) -> None:
    """Rows of weights add up to 1, and are exactly 0 past the length, whatever stands there."""
    layer, inputs = attention(score)
    y, alpha = layer(**inputs, lengths=LENGTHS)
    inside = np.arange(TX) < LENGTHS[:, None, None]
    np.testing.assert_allclose(alpha.sum(axis=2), 1, rtol=1e-14)
    assert (alpha[np.broadcast_to(~inside, alpha.shape)] == 0).all()
    assert (alpha[np.broadcast_to(inside, alpha.shape)] > 0).all()
    keys = np.where(inside.swapaxes(1, 2), inputs["keys"], np.nan)
    again, beta = layer(inputs["queries"], keys, lengths=LENGTHS)
    np.testing.assert_array_equal(again, y)
    np.testing.assert_array_equal(beta, alpha)


def _softmax(scores: list[float]) -> list[float]:
    e = [np.exp(s) for s in scores]
    return [one / sum(e) for one in e]


def attention_by_hand(score: str) -> None:
    """The forward equals loops over numbers, written from the papers."""
    layer, inputs = attention(score, own_values=True)
    y, alpha = layer(**inputs, lengths=LENGTHS)
    p = layer.parameters
    for b in range(B):
        for t in range(TY):
            q, scores = inputs["queries"][b, t], []
            for j in range(LENGTHS[b]):
                k = inputs["keys"][b, j]
                if score == "dot":
                    s = sum(q[i] * k[i] for i in range(3))
                elif score == "general":
                    s = sum(q[i] * p["weight_k"][i, n] * k[n] for i in range(3) for n in range(5))
                else:
                    s = 0.0
                    for a in range(3):
                        inner = p["bias_q"][a] + p["weight_q"][a] @ q + p["weight_k"][a] @ k
                        s += p["vector"][a] * np.tanh(inner)
                scores.append(s)
            weights = _softmax(scores)
            np.testing.assert_allclose(alpha[b, t, : LENGTHS[b]], weights, rtol=1e-12)
            c = sum(w * inputs["values"][b, j] for j, w in enumerate(weights))
            expected = np.tanh(p["weight_c"] @ np.array([*c, *q]) + p["bias_c"])
            np.testing.assert_allclose(y[b, t], expected, rtol=1e-12)


def model_by_hand(variant: str) -> None:
    """Logits equal those of scalar loops: both directions, the bridge, each step after the one before, attention."""
    model = seq2seq("lstm", **{**VARIANTS[variant], "num_layers": 1, "dropout": 0.0})
    x, p = source(model), model.parameters
    z, _ = model(x, TARGETS, LENGTHS)
    for b, (n, steps) in enumerate(zip(LENGTHS, (4, 2, 4), strict=True)):
        read = x[b, :n] if model.embedding is None else p["embedding.weight"][x[b, :n]]
        ways = (("", 1), ("_reverse", -1))[: model.rnn.directions]
        states = [_run(p, "rnn", suffix, read[::way], None) for suffix, way in ways]
        y = np.concatenate([h[::way] for (h, _), (_, way) in zip(states, ways, strict=True)], axis=1)
        h, c = np.concatenate([h[-1] for h, _ in states]), np.concatenate([c for _, c in states])
        if "bridge.weight_h_l0" in p:
            h, c = (p[f"bridge.weight_{k}_l0"] @ s + p[f"bridge.bias_{k}_l0"] for k, s in (("h", h), ("c", c)))
        table, feed = p[model.decoder.table], np.zeros(len(h))
        for t in range(steps):
            e = table[0 if t == 0 else TARGETS[b, t - 1]]
            one = np.concatenate([e, feed]) if model.decoder.fed else e
            (h,), c = _run(p, "decoder", "", one[None], (h, c))
            feed = h if model.attention is None else _look(p, model.attention.score, h, y)
            head = table if model.tied else p["head.weight"]
            np.testing.assert_allclose(z[b, t], head @ feed + p["head.bias"], rtol=1e-10)


def _run(p: Any, part: str, suffix: str, x: np.ndarray, state: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return h of each step and the last c of an LSTM's layer, in scalar loops."""
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    weights = {name: p[f"{part}.{name}{suffix}"] for name in names}
    H = weights["weight_hh_l0"].shape[1]
    h, c = ([0.0] * H, [0.0] * H) if state is None else (state[0].tolist(), state[1].tolist())
    hs, c = by_hand.lstm(weights, x, h, c)
    return np.array(hs), np.array(c)


def _look(p: Any, score: str, q: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return what a query finds."""
    if score == "additive":
        read = [p["attention.weight_q"] @ q + p["attention.bias_q"] + p["attention.weight_k"] @ k for k in y]
        scores = [float(p["attention.vector"] @ np.tanh(a)) for a in read]
    else:
        scores = [float(q @ (k if score == "dot" else p["attention.weight_k"] @ k)) for k in y]
    c = sum(weight * k for weight, k in zip(_softmax(scores), y, strict=True))
    return np.tanh(p["attention.weight_c"] @ np.concatenate([c, q]) + p["attention.bias_c"])


def log_probability(model: Seq2Seq, x: np.ndarray, tokens: Any) -> float:
    """Return log p of a sequence, its end included if it has one, by the network as it is trained."""
    z = model(x[None], np.array([tokens]))[0][0]
    log_p = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
    return float(sum(log_p[t, token] for t, token in enumerate(tokens)))


def everything(model: Seq2Seq, x: np.ndarray, most: int, alpha: float) -> list[tuple[float, tuple[int, ...]]]:
    """Return every sequence that ends within so many steps, with its score, the best first."""
    found = []
    for n in range(most):
        for tokens in itertools.product(range(1, V), repeat=n):
            log_p = log_probability(model, x, (*tokens, 0))
            found.append((log_p / ((5 + n + 1) / 6) ** alpha, tokens))
    return sorted(found, reverse=True)


def eager(**options: Any) -> Seq2Seq:
    """Return a model that is not sure of when to end."""
    model = seq2seq("gru", seed=5, **options)
    model.parameters["head.bias"][0] -= 1
    return model


def full_beam_is_brute_force(alpha: float, variant: str) -> None:
    """A beam that drops nothing finds the best of all sequences, and the next best, with their scores."""
    model, most = eager(**VARIANTS[variant]), 4
    x = source(model)[:, :3]
    rows = model.decode(x, beam=200, max_length=most, length_penalty=alpha, n_best=5)
    for row, found in zip(x, rows, strict=True):
        expected = everything(model, row, most, alpha)[:5]
        assert [tuple(one.tokens) for one in found] == [tokens for _, tokens in expected]
        np.testing.assert_allclose([one.score for one in found], [score for score, _ in expected], rtol=1e-10)
        assert all(one.ended for one in found)


def a_row_goes_on_while_it_may_get_better() -> None:
    """What is less likely now is the best in the end, by the penalty of its length."""
    beams = Beams(1, 2, 1, np.array([1.0, 1.0, 1.0, 4.0]))
    for tokens, totals in (([0, 3], [-1.0, -1.5]), ([2], [-1.8]), ([0], [-2.0])):
        assert not beams.done
        n = len(tokens)
        beams.advance(np.full((1, n), int(len(beams.tokens) == 1)), np.array([tokens]), np.array([totals]), None)
    assert beams.done
    ((best,),) = beams.found()
    assert best.tokens.tolist() == [3, 2, 0]
    assert best.score == -0.5


def narrow_beam_is_greedy(variant: str) -> None:
    """A beam of 1 takes the likeliest token at each step, found here by asking the whole network again each time."""
    model = eager(**VARIANTS[variant])
    x = source(model)
    for row, n, (found,) in zip(x, LENGTHS, model.decode(x, LENGTHS, max_length=6), strict=True):
        written: list[int] = []
        while len(written) < 6 and 0 not in written:
            z = model(row[None, :n], np.array([[*written, 1]]))[0]
            written.append(int(z[0, -1].argmax()))
        assert found.ended == (written[-1] == 0)
        assert [*found.tokens, *([0] if found.ended else [])] == written
        assert np.isclose(found.log_probability, log_probability(model, row[:n], written), rtol=1e-10)


def padding_counts_nothing(variant: str) -> None:
    """What stands past a length, in what is read and behind the end of what is written, reaches nothing."""
    model = seq2seq(**VARIANTS[variant])
    batch = Batch(source(model), TARGETS, LENGTHS)
    inputs, targets = batch.inputs.copy(), batch.targets.copy()
    for row, n in enumerate(LENGTHS):
        inputs[row, n:] = -7 if model.embedding is not None else np.nan
    targets[1, 2:] = -3, 99
    other = batch._replace(inputs=inputs, targets=targets)
    one, two = (model.loss_and_gradients(some, rng=0) for some in (batch, other))
    assert one.loss == two.loss
    assert one.count == two.count == 4 + 2 + 4
    for name, gradient in one.gradients.items():
        np.testing.assert_array_equal(gradient, two.gradients[name])
    assert model.evaluate(batch) == model.evaluate(other)
    alone = [
        model.evaluate(Batch(batch.inputs[k : k + 1, :n], TARGETS[k : k + 1, :m]))
        for k, (n, m) in enumerate(zip(LENGTHS, (4, 2, 4), strict=True))
    ]
    assert np.isclose(model.evaluate(batch).loss, sum(one.loss for one in alone), rtol=1e-12)
