"""Checks of chains and taggers, each of which fails with an AssertionError where the code is wrong.

Whatever a chain says of all sequences of tags is compared with a loop over all of them.
"""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path

import numpy as np

from rnn_core import SequenceTagger, gradcheck
from rnn_core.data import Batch
from rnn_core.data.files.tagged import universal
from rnn_core.data.files.tagged.sentences import Word, sentences_of
from rnn_core.inputs.words import Sentences, vocabulary
from rnn_core.layers import CRF
from rnn_core.layers.crf import constraints_of
from rnn_core.scores.spans import spans_of
from rnn_core.tasks.tag import Learned, Tag
from tests.checks import accept

WAYS = ("numpy", "cpu")
"""Who computes a chain: the equations, or the kernels."""

TAGS = ("O", "B-x", "I-x")
LENGTHS = np.array([4, 1, 3])
B, T, K = 3, 4, 3
UNKNOWN = np.array([[2.0, 0, 2, 0], [1, 1, 1, 1], [0.5, 0.5, 0.5, 0.5]])
"""Weights: row 0 has two unknown tags."""


def chain(K: int = K, seed: int = 0, **options: object) -> CRF:
    """Return a chain with drawn parameters."""
    layer, rng = CRF(K, **{"dtype": np.float64, **options}), np.random.default_rng(seed)
    for array in layer.parameters.values():
        array[...] = rng.standard_normal(array.shape)
    return layer


def batch(K: int = K, T: int = T, B: int = B, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return emissions and tags; with the first constraints of `TAGS` the tags are allowed."""
    rng = np.random.default_rng(seed)
    tags = np.array([[0, 1, 2, 0], [1, 2, 0, 0], [1, 2, 2, 2]]) if (B, T, K) == (3, 4, 3) else None
    return 2 * rng.standard_normal((B, T, K)), rng.integers(0, K, (B, T)) if tags is None else tags


class Everything:
    """A loop over all sequences of tags of one row, as the equations' own definitions have it."""

    def __init__(self, layer: CRF, z: np.ndarray) -> None:
        A, start, end = (array.tolist() for array in layer.parameters.values())
        n, K = z.shape
        rules = layer.constraints
        self.paths, self.K = [], K
        scores = []
        for path in product(range(K), repeat=n):
            score = start[path[0]] + end[path[-1]] + sum(z[t, k] for t, k in enumerate(path))
            score += sum(A[i][j] for i, j in pairwise(path))
            if rules is not None:
                steps = all(rules.transitions[i, j] for i, j in pairwise(path))
                if not (steps and rules.starts[path[0]] and rules.ends[path[-1]]):
                    continue
            self.paths.append(path)
            scores.append(score)
        self.scores = np.array(scores)
        self.weights = np.exp(self.scores - self.scores.max())
        self.log_z = self.scores.max() + np.log(self.weights.sum())
        self.p = self.weights / self.weights.sum()

    def marginals(self) -> np.ndarray:
        """Return how likely each tag is at each step."""
        found = np.zeros((len(self.paths[0]), self.K))
        for path, p in zip(self.paths, self.p, strict=True):
            found[np.arange(len(path)), path] += p
        return found

    def pairs(self) -> np.ndarray:
        """Return how likely each pair of neighbours is."""
        found = np.zeros((len(self.paths[0]) - 1, self.K, self.K))
        for path, p in zip(self.paths, self.p, strict=True):
            found[np.arange(len(path) - 1), path[:-1], path[1:]] += p
        return found

    def surprise(self, tags: tuple[int, ...], known: np.ndarray) -> float:
        """Return −log of the probability of all paths that have the known tags."""
        fitting = [
            p for path, p in zip(self.paths, self.p, strict=True) if all(np.array(path)[known] == np.array(tags)[known])
        ]
        return -np.log(sum(fitting))


def partition_and_best_path(layer: CRF, z: np.ndarray, lengths: np.ndarray) -> None:
    """log Z, every score, and the best path with its score equal those of a loop over all paths."""
    log_z, (best, scores) = layer.log_partition(z, lengths), layer.decode(z, lengths)
    assert best.shape == z.shape[:2]
    for b, n in enumerate(lengths):
        every = Everything(layer, z[b, :n])
        np.testing.assert_allclose(log_z[b], every.log_z, rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(scores[b], every.scores.max(), rtol=1e-13, atol=1e-13)
        rows = np.repeat(z[b : b + 1, :n], len(every.paths), axis=0)
        np.testing.assert_allclose(layer.score(rows, np.array(every.paths)), every.scores, rtol=1e-12, atol=1e-12)
        at = every.paths.index(tuple(best[b, :n].tolist()))
        np.testing.assert_allclose(every.scores[at], every.scores.max(), rtol=1e-13, atol=1e-13)
        assert not best[b, n:].any()


def marginals_are_sums_over_paths(layer: CRF, z: np.ndarray, lengths: np.ndarray) -> None:
    """p and q equal those of a loop over all paths, sum to 1, and are zero in the padding."""
    p, q = layer.marginals(z, lengths), layer.pair_marginals(z, lengths)
    for b, n in enumerate(lengths):
        every = Everything(layer, z[b, :n])
        np.testing.assert_allclose(p[b, :n], every.marginals(), rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(q[b, : n - 1], every.pairs(), rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(p[b, :n].sum(axis=-1), 1, rtol=1e-14)
        assert not p[b, n:].any()
        assert not q[b, n - 1 :].any()


def loss_is_the_surprise(layer: CRF, z: np.ndarray, tags: np.ndarray, lengths: np.ndarray, weights: np.ndarray) -> None:
    """The loss is the weighted mean of −log p of the known tags, by a loop over all paths."""
    total = count = 0.0
    for b, n in enumerate(lengths):
        known = weights[b, :n] > 0
        if known.any():
            w = weights[b, :n].max()
            total += w * Everything(layer, z[b, :n]).surprise(tuple(tags[b, :n]), known)
            count += w * known.sum()
    loss, _ = layer.forward(z, tags, lengths, weights)
    np.testing.assert_allclose(loss, total / count, rtol=1e-12, atol=1e-14)


def chain_partition() -> None:
    """`partition_and_best_path` of an ordinary case."""
    for way in WAYS:
        partition_and_best_path(chain(backend=way), batch()[0], LENGTHS)


def chain_marginals() -> None:
    """`marginals_are_sums_over_paths` of an ordinary case."""
    for way in WAYS:
        marginals_are_sums_over_paths(chain(backend=way), batch()[0], LENGTHS)


def chain_loss() -> None:
    """`loss_is_the_surprise` of an ordinary case with unknown tags."""
    for way in WAYS:
        loss_is_the_surprise(chain(backend=way), *batch(), LENGTHS, UNKNOWN)


def chain_rules() -> None:
    """What is decoded, and what has weight, keeps to the constraints."""
    for way in WAYS:
        layer = chain(constraints=constraints_of(TAGS), backend=way)
        for seed in range(8):
            z = batch(seed=seed)[0]
            partition_and_best_path(layer, z, LENGTHS)
            marginals_are_sums_over_paths(layer, z, LENGTHS)
        closed = chain(constraints=constraints_of(("O", "B-x", "E-x"), "IOBES"), backend=way)
        partition_and_best_path(closed, batch()[0], LENGTHS)


def rules_by_hand() -> None:
    """What the three schemes allow from one tag to the next, and at either end."""
    bio = constraints_of(("O", "B-x", "I-x", "I-y"))
    expected = [[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 0, 1]]
    np.testing.assert_array_equal(bio.transitions, expected)
    np.testing.assert_array_equal(bio.starts, [1, 1, 0, 0])
    assert bio.ends.all()
    iob1 = constraints_of(("O", "B-x", "I-x", "I-y"), "IOB1")
    np.testing.assert_array_equal(iob1.transitions, [[1, 0, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 0, 1, 1]])
    np.testing.assert_array_equal(iob1.starts, [1, 0, 1, 1])
    iobes = constraints_of(("O", "B-x", "I-x", "E-x", "S-y"), "IOBES")
    outside, inside = [1, 1, 0, 0, 1], [0, 0, 1, 1, 0]
    np.testing.assert_array_equal(iobes.transitions, [outside, inside, inside, outside, outside])
    np.testing.assert_array_equal(iobes.starts, outside)
    np.testing.assert_array_equal(iobes.ends, [1, 0, 0, 1, 1])


def chain_gradients(kind: str) -> None:
    """Every gradient by the complex step: all tags known, some unknown, or constrained."""
    options = {"constraints": constraints_of(TAGS), "constrained_training": True} if kind == "constrained" else {}
    weights = UNKNOWN if kind != "known" else np.array([0.5, 2, 1])
    z, tags = batch()
    for way in WAYS:
        accept(gradcheck(chain(**options, backend=way), z, targets=tags, lengths=LENGTHS, weights=weights))


def chain_padding(way: str) -> None:
    """Whatever stands past a row's length reaches nothing, and rows are together what they are alone."""
    layer, (z, tags) = chain(backend=way), batch()
    past = np.arange(T) >= LENGTHS[:, None]
    junk, others = np.where(past[..., None], np.nan, z), np.where(past, -7, tags)
    weights = np.where(past, np.nan, UNKNOWN)
    (loss, tape), (loss_2, tape_2) = (
        layer.forward(z, tags, LENGTHS, UNKNOWN),
        layer.forward(junk, others, LENGTHS, weights),
    )
    assert loss == loss_2
    (dz, grads), (dz_2, grads_2) = layer.backward(tape), layer.backward(tape_2)
    np.testing.assert_array_equal(dz, dz_2)
    assert not dz[past].any()
    for name, gradient in grads.items():
        np.testing.assert_array_equal(gradient, grads_2[name])
    for function in (layer.marginals, layer.pair_marginals, layer.log_partition):
        np.testing.assert_array_equal(function(z, LENGTHS), function(junk, LENGTHS))
    for found, other in zip(layer.decode(z, LENGTHS), layer.decode(junk, LENGTHS), strict=True):
        np.testing.assert_array_equal(found, other)
    for b, n in enumerate(LENGTHS):
        np.testing.assert_array_equal(layer.decode(z[b : b + 1, :n])[0][0], layer.decode(z, LENGTHS)[0][b, :n])
        np.testing.assert_allclose(layer.log_partition(z[b : b + 1, :n]), layer.log_partition(z, LENGTHS)[[b]])


def tagger(**options: object) -> SequenceTagger:
    """Return a small tagger of tokens, its chain with drawn parameters."""
    model = SequenceTagger(K, 3, **{"vocab_size": 5, "dtype": np.float64, "seed": 1, "crf": True, **options})
    rng = np.random.default_rng(2)
    for name, array in model.parameters.items():
        if name.startswith("crf."):
            array[...] = rng.standard_normal(array.shape)
    return model


def sentences() -> Batch:
    """Return tokens with their tags; some tags are unknown."""
    return Batch(np.random.default_rng(3).integers(0, 5, (B, T)), batch()[1], LENGTHS, UNKNOWN)


def tagger_gradients(**options: object) -> None:
    """A tagger's gradients by the complex step, the chain's among them."""
    model = tagger(**options)
    report = gradcheck(model, sentences())
    accept(report)
    assert {row.name for row in report.rows} == set(model.parameters)


def tagger_counts() -> None:
    """What a tagger says of a batch is what its chain says of the emissions; right is counted where tags are known."""
    model, data = tagger(), sentences()
    z = model(data.inputs, LENGTHS)
    loss, _ = model.crf.forward(z, data.targets, LENGTHS, UNKNOWN)
    counts = UNKNOWN * (np.arange(T) < LENGTHS[:, None])
    found, step = model.evaluate(data), model.loss_and_gradients(data)
    best = model.crf.decode(z, LENGTHS)[0]
    np.testing.assert_array_equal(model.predict(data.inputs, LENGTHS), best)
    np.testing.assert_allclose(step.loss, loss, rtol=1e-13)
    np.testing.assert_allclose([found.count, step.count], counts.sum(), rtol=1e-13)
    np.testing.assert_allclose(found.loss, loss * counts.sum(), rtol=1e-13)
    np.testing.assert_allclose(found.correct, (counts * (best == data.targets)).sum(), rtol=1e-13)


def spans_by_hand() -> None:
    """Spans of tags that follow the rules, and of tags that break them, counted as conlleval counts."""
    cases = {
        "O B-a I-a O": [(1, 3, "a")],
        "B-a B-a I-a": [(0, 1, "a"), (1, 3, "a")],
        "I-a I-a O I-b": [(0, 2, "a"), (3, 4, "b")],
        "B-a I-b I-b": [(0, 1, "a"), (1, 3, "b")],
        "I-a B-a": [(0, 1, "a"), (1, 2, "a")],
        "S-a B-a I-a E-a I-a": [(0, 1, "a"), (1, 4, "a"), (4, 5, "a")],
        "B-a S-a E-a": [(0, 1, "a"), (1, 2, "a"), (2, 3, "a")],
        "E-a E-a": [(0, 1, "a"), (1, 2, "a")],
        "O O": [],
        "B I O I": [(0, 2, ""), (3, 4, "")],
        "U-a B-a L-a O": [(0, 1, "a"), (1, 3, "a")],
    }
    for tags, expected in cases.items():
        assert spans_of(tags.split()) == expected, tags


def universal_by_hand() -> None:
    """CoNLL-U: words, and neither tokens of several words nor empty nodes."""
    rows = [["1-2", "du"], ["1", "de"], ["2", "le"], ["2.1", "x"]]
    found = universal.words_alone("here", Path("a.conllu"), iter(enumerate(rows)))
    assert [row[1] for _, row in found if row is not None] == ["de", "le"]


def sentences_by_hand() -> None:
    """A blank line ends a sentence, and so does another name of one."""
    words = [Word(1, "a", "X", "s1"), Word(2, "b", "X", ""), Word(3, "c", "X", "s2"), None, Word(5, "d", "X", "")]
    found = sentences_of(words)
    assert [[word.token for word in sentence] for sentence in found] == [["a", "b"], ["c"], ["d"]]


def batches_of_sentences() -> None:
    """Words become ids and tags numbers; long sentences come in parts, and words without a tag weigh nothing."""
    sentences = Sentences([["a", "b", "a", "c"], ["d"]], [["X", None, "Y", "X"], [None]], ("line 1", "line 2"))
    how = Learned(vocabulary(sentences.tokens), ("X", "Y"), None, False, steps=3)
    source = Tag().batches(how, sentences, 8, 0, training=False)
    batch = source.batch(0, 0)
    assert batch.inputs.tolist() == [[2, 1, 2], [1, 0, 0]]  # what comes once is unknown
    assert batch.targets.tolist() == [[0, 0, 1], [0, 0, 0]]
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [3, 1]  # the sentence without tags is left out
    assert batch.weights is not None
    assert np.asarray(batch.weights)[0].tolist() == [1, 0, 1]
