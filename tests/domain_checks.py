"""Checks of losses between domains, each of which fails with an AssertionError where the code is wrong.

Gradients are held against the complex step, values against loops written from the equations.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import exp, log, log1p, tanh

import numpy as np

from rnn_core import SequenceClassifier, SequenceTagger, gradcheck
from rnn_core.checking import Problem
from rnn_core.checking.complex_step import EPSILON, reference
from rnn_core.data import Batch, Examples
from tests.checks import accept
from transfer.domains.batches import DomainBatch, SideBySide, Unlabelled
from transfer.domains.calibration import calibrate, calibration_error
from transfer.domains.losses.adversarial import DomainAdversarial
from transfer.domains.losses.conditional import ConditionalAdversarial
from transfer.domains.losses.confusion import ClassConfusion
from transfer.domains.losses.correlation import DeepCORAL
from transfer.domains.losses.discrepancy import MMD
from transfer.domains.losses.entropy import EntropyMinimisation
from transfer.domains.losses.loss import DomainLoss, Seen
from transfer.domains.losses.pseudo_labels import PseudoLabels
from transfer.domains.losses.reversal import reversal_strength
from transfer.domains.model import DomainAdapted

LOSSES: dict[str, DomainLoss] = {
    "MMD": MMD(),
    "MMD unbiased": MMD(unbiased=True),
    "MMD, one kernel": MMD((1.0,), bandwidth=1.3),
    "CORAL": DeepCORAL(),
    "adversarial": DomainAdversarial(hidden=3),
    "conditional": ConditionalAdversarial(hidden=3),
    "conditional, drawn": ConditionalAdversarial(hidden=3, entropy=False, dimensions=5),
    "confusion": ClassConfusion(),
    "entropy": EntropyMinimisation(),
    "pseudo-labels": PseudoLabels(temperature=1.2, threshold=0.4),
}
PROGRESS = 0.13
"""Of the training: the reversal's strength is then λ = tanh(0.65)."""
F, K = 3, 3


def seen(n: int = 4, m: int = 3, features: int = F, classes: int = K, seed: int = 0, dtype: type = np.float64) -> Seen:
    """Return rows of two domains that lie apart."""
    rng = np.random.default_rng(seed)
    rows = (
        rng.standard_normal((n, features)), 0.5 + rng.standard_normal((m, features)),
        rng.standard_normal((n, classes)), 2 * rng.standard_normal((m, classes)),
    )  # fmt: skip
    return Seen(*(array.astype(dtype) for array in rows))


def pulls_below(loss: DomainLoss) -> float:
    """Return by how much the gradient below a loss is multiplied."""
    return -tanh(5 * PROGRESS) if isinstance(loss, DomainAdversarial | ConditionalAdversarial) else 1.0


def problem(loss: DomainLoss, at: Seen) -> Problem:
    """Return a loss as a function of what it reads and of its own parameters; a reversal is taken off the claims."""
    layers = loss.layers(at.target_logits.shape[1] if at.target is None else at.target.shape[1],
                         at.target_logits.shape[1], backend="numpy", dtype=np.float64, seed=1)  # fmt: skip
    _, tape = loss.forward(at, layers, PROGRESS)

    def twin(dtype: np.dtype):
        values = {name: np.array(getattr(at, name), dtype) for name in loss.reads}
        others = {name: layer.astype(dtype) for name, layer in layers.items()}
        own = {f"{name}.{key}": array for name, layer in others.items() for key, array in layer.parameters.items()}
        return values | own, lambda: {"loss": np.asarray(loss.forward(Seen(**values), others, PROGRESS)[0])}

    def gradients(upstreams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        pull, u = loss.backward(tape), upstreams["loss"]
        below = {name: u * getattr(pull, name) / pulls_below(loss) for name in loss.reads}
        return below | {name: u * gradient for name, gradient in pull.parameters.items()}

    return Problem(type(loss).__name__, np.dtype(np.float64), twin, gradients)


def loss_gradients(name: str, n: int = 4, m: int = 3) -> None:
    """Every element of every gradient of a loss, to 1e-12.

    What measures itself, a bandwidth or a weight by entropy, is a constant to its gradient, and to the complex step,
    which decides by real parts; not to the central differences by which `gradcheck` sees that a forward is analytic.
    """
    if name in WITHOUT_CONSTANTS:
        accept(gradcheck(problem(LOSSES[name], seen(n, m))))
    gradients_are_exact(LOSSES[name], seen(n, m))


WITHOUT_CONSTANTS = ("MMD, one kernel", "CORAL", "adversarial", "conditional, drawn", "entropy")


def gradients_are_exact(loss: DomainLoss, at: Seen) -> None:
    """Every gradient of a loss is that of the complex step, to 1e-12 of the largest element."""
    its, one = problem(loss, at), {"loss": np.ones(())}
    expected, claimed = reference(its, one).gradients["loss"], its.gradients(one)
    assert expected.keys() == claimed.keys()
    for name, gradient in expected.items():
        difference = np.abs(claimed[name] - gradient).max()
        assert difference <= 1e-12 * max(np.abs(gradient).max(), 1e-3), (name, difference)


def domain_batch(kind: str, few: bool = True, dtype: type = np.float64) -> DomainBatch:
    """Return rows of both domains, which differ in number and in length."""
    rng = np.random.default_rng(2)
    x: np.ndarray = rng.standard_normal((4, 3, 2)).astype(dtype)
    y: np.ndarray = (0.7 + rng.standard_normal((3, 4, 2))).astype(dtype)
    targets = rng.integers(0, K, (4, 3) if kind == "tagger" else 4)
    known = Batch(y[:2], rng.integers(0, K, (2, 4) if kind == "tagger" else 2))
    source = Batch(x, targets, np.array([3, 1, 2, 3]))
    return DomainBatch(source, Unlabelled(y, np.array([2, 4, 3])), known if few else None, PROGRESS)


def adapted(kind: str, cell: str, loss: DomainLoss, weight: float = 0.6, **options: object) -> DomainAdapted:
    """Return a small network that learns from two domains."""
    options = {"input_size": 2, "cell": cell, "dtype": np.float64, "backend": "numpy", "seed": 3, **options}
    if kind == "tagger":
        return DomainAdapted(SequenceTagger(K, 1, **options), loss, weight=weight, seed=5)
    return DomainAdapted(SequenceClassifier(K, 2, **{"pooling": "mean", **options}), loss, weight=weight, seed=5)


def model_gradients(kind: str, cell: str, name: str, **options: object) -> None:
    """Every gradient of a recurrent network with a loss between domains, through core, head and critic, to 1e-12."""
    loss, batch = LOSSES[name], domain_batch(kind, dtype=np.complex128)
    model = adapted(kind, cell, loss, **options)
    twin, below = model.astype(np.complex128), pulls_below(loss)
    claimed = model.loss_and_gradients(domain_batch(kind), rng=4).gradients
    for key, array in twin.parameters.items():
        expected, size = np.zeros(array.shape), 0.0
        for place in np.ndindex(array.shape):
            exact = array[place]
            array[place] = exact + 1j * EPSILON
            whole = twin.loss_and_gradients(batch, needs=(), rng=4).loss.imag / EPSILON
            reversed_by = 1.0 if key.startswith("domain.") else below
            domain = 0.0 if reversed_by == 1 else twin.weight * twin.domain_value(batch, rng=4).imag / EPSILON
            array[place] = exact
            expected[place] = whole + (reversed_by - 1) * domain
            size = max(size, abs(whole), abs(domain))
        difference = np.abs(claimed[key] - expected).max()
        assert difference <= 1e-12 * max(size, 1e-3), (key, difference)


def value(loss: DomainLoss, at: Seen, layers: object = None) -> float:
    """Return a loss."""
    found, _ = loss.forward(at) if layers is None else loss.forward(at, layers, PROGRESS)
    return float(found)


def discrepancy_by_hand(unbiased: bool) -> None:
    """MMD is what (DA3) to (DA5) say, pair by pair, with the median over the pairs of different rows."""
    at, loss = seen(4, 3), MMD(unbiased=unbiased)
    rows = [*at.source, *at.target]
    distances = sorted(sum((a - b) ** 2) for i, a in enumerate(rows) for b in rows[:i])
    variance = distances[len(distances) // 2]

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return sum(exp(-sum((a - b) ** 2) / (2 * c * variance)) for c in loss.factors) / len(loss.factors)

    def mean(xs: np.ndarray, ys: np.ndarray, all_pairs: bool) -> float:
        terms = [k(x, y) for (i, x), (j, y) in product(enumerate(xs), enumerate(ys)) if all_pairs or i != j]
        return sum(terms) / len(terms)

    own = sum(mean(xs, xs, not unbiased) for xs in (at.source, at.target))
    np.testing.assert_allclose(value(loss, at), own - 2 * mean(at.source, at.target, True), rtol=1e-12)


def a_domain_is_no_distance_from_itself() -> None:
    """The biased discrepancy and CORAL of one set of rows with itself are 0, and pull at nothing."""
    rows = seen(5, 5).source
    for loss in (MMD(), DeepCORAL()):
        found, tape = loss.forward(Seen(rows, rows[::-1]))
        assert abs(found) < 1e-15, loss
        pull = loss.backward(tape)
        assert max(np.abs(pull.source).max(), np.abs(pull.target).max()) < 1e-15, loss


def correlation_by_hand() -> None:
    """CORAL is the distance of NumPy's covariances, and knows nothing of means."""
    at = seen(5, 4)
    difference = np.cov(at.source.T) - np.cov(at.target.T)
    expected = (difference**2).sum() / (4 * F**2)
    np.testing.assert_allclose(value(DeepCORAL(), at), expected, rtol=1e-12)
    np.testing.assert_allclose(value(DeepCORAL(), Seen(at.source + 7, at.target)), expected, rtol=1e-12)


def critic_by_hand(n: int = 4, m: int = 2) -> None:
    """The critic's loss is ½ mean + ½ mean of the domains, however many rows each has."""
    at, loss = seen(n, m), DomainAdversarial(hidden=3)
    layers = loss.layers(F, K, backend="numpy", dtype=np.float64, seed=1)

    def d(f: np.ndarray) -> float:
        (W, b), (w, c) = (layer.parameters.values() for layer in layers.values())
        return float(w[0] @ np.maximum(0, W @ f + b) + c[0])

    expected = sum(log1p(exp(-d(f))) for f in at.source) / (2 * n) + sum(log1p(exp(d(f))) for f in at.target) / (2 * m)
    np.testing.assert_allclose(value(loss, at, layers), expected, rtol=1e-12)


def what_is_below_a_reversal_is_pushed_up() -> None:
    """A step along the gradient given to the features makes the critic worse; along its own, better."""
    at, loss = seen(), DomainAdversarial(hidden=3)
    layers = loss.layers(F, K, backend="numpy", dtype=np.float64, seed=1)
    before, tape = loss.forward(at, layers, 1.0)
    pull, rate = loss.backward(tape), 1e-3
    moved = at._replace(source=at.source - rate * pull.source, target=at.target - rate * pull.target)
    assert loss.forward(moved, layers, 1.0)[0] > before
    for name, gradient in pull.parameters.items():
        layer, key = name.split(".")
        layers[layer].parameters[key][...] -= rate * gradient
    assert loss.forward(at, layers, 1.0)[0] < before


def reversal_rises() -> None:
    """λ is 2 / (1 + e^(−γp)) − 1: 0 at the beginning, almost 1 at the end, and never falls."""
    for p in (0.0, 0.1, 0.5, 1.0):
        np.testing.assert_allclose(reversal_strength(p), 2 / (1 + exp(-10 * p)) - 1, rtol=1e-14, atol=1e-16)
    at, loss = seen(), DomainAdversarial(hidden=3)
    layers = loss.layers(F, K, backend="numpy", dtype=np.float64, seed=1)
    whole = DomainAdversarial(hidden=3, steepness=float("inf"))
    pulls = [kind.backward(kind.forward(at, layers, p)[1]) for kind, p in ((loss, 0.2), (whole, 0.0))]
    np.testing.assert_allclose(pulls[0].source, reversal_strength(0.2) * pulls[1].source, rtol=1e-12)
    for name, gradient in pulls[0].parameters.items():
        np.testing.assert_array_equal(gradient, pulls[1].parameters[name])  # the critic learns at once


def softmax(z: np.ndarray, T: float = 1.0) -> np.ndarray:
    e = np.exp(z / T)
    return e / e.sum(axis=-1, keepdims=True)


def entropies(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(p)).sum(axis=-1)


def conditional_by_hand(drawn: bool) -> None:
    """The critic sees f ⊗ p, or the drawn products of the same length, and sure rows count more."""
    at = seen()
    loss = ConditionalAdversarial(hidden=3, dimensions=5 if drawn else None, entropy=not drawn)
    layers = loss.layers(F, K, backend="numpy", dtype=np.float64, seed=1)
    total = 0.0
    for f, z, sign in ((at.source, at.source_logits, -1), (at.target, at.target_logits, 1)):
        p = softmax(z)
        v = np.ones(len(f)) if drawn else 1 + np.exp(-entropies(p))
        for row, q, share in zip(f, p, v / v.sum(), strict=True):
            h = np.outer(row, q).reshape(-1)
            if drawn:
                rng = np.random.default_rng(loss.seed)
                A, B = rng.standard_normal((F, 5)), rng.standard_normal((K, 5))
                h = (row @ A) * (q @ B) / 5**0.5
            d = layers["output"](np.maximum(0, layers["hidden"](h)))[0]
            total += 0.5 * share * log1p(exp(sign * d))
    np.testing.assert_allclose(value(loss, at, layers), total, rtol=1e-12)


def drawn_products_keep_lengths() -> None:
    """On average over draws, the product of two rows' h is that of f and of p: (f·f′)(p·p′)."""
    at = seen()
    f, p = at.source, softmax(at.source_logits)
    wanted, found = (f @ f.T) * (p @ p.T), 0.0
    for seed in range(60):
        loss = ConditionalAdversarial(dimensions=64, seed=seed)
        _, tape = loss.forward(at, loss.layers(F, K, backend="numpy", dtype=np.float64, seed=1))
        h = tape.critic.hidden.x[:4]
        found = found + h @ h.T / 60
    np.testing.assert_allclose(found, wanted, atol=0.15 * np.abs(wanted).max())


def confusion_by_hand() -> None:
    """MCC is the share of a class's correlation that it has with others, loop by loop."""
    z = seen(m=5).target_logits
    p, m = softmax(z, 2.5), len(z)
    w = 1 + np.exp(-entropies(p))
    w = m * w / w.sum()
    C = [[sum(p[i, k] * w[i] * p[i, j] for i in range(m)) for j in range(K)] for k in range(K)]
    expected = sum(C[k][j] / sum(C[k]) for k in range(K) for j in range(K) if j != k) / K
    np.testing.assert_allclose(value(ClassConfusion(), Seen(target_logits=z)), expected, rtol=1e-12)


def entropy_by_hand() -> None:
    """The mean entropy in nats: log K of equal logits, 0 of a row that is sure."""
    z = seen(m=5).target_logits
    at = Seen(target_logits=z)
    np.testing.assert_allclose(value(EntropyMinimisation(), at), entropies(softmax(z)).mean(), rtol=1e-12)
    np.testing.assert_allclose(value(EntropyMinimisation(), Seen(target_logits=np.zeros((2, K)))), log(K), rtol=1e-15)
    assert value(EntropyMinimisation(), Seen(target_logits=np.array([[1e4, 0.0, -1e4]]))) == 0


def pseudo_labels_by_hand() -> None:
    """Rows whose calibrated confidence reaches the threshold are learned as they are; the others count 0, and in m."""
    z, loss = seen(m=8).target_logits, PseudoLabels(temperature=1.7, threshold=0.6)
    sure = softmax(z, 1.7).max(axis=1) >= 0.6
    assert 0 < sure.sum() < (softmax(z).max(axis=1) >= 0.6).sum() < len(z)
    expected = -np.log(softmax(z).max(axis=1))[sure].sum() / len(z)
    np.testing.assert_allclose(value(loss, Seen(target_logits=z)), expected, rtol=1e-12)


def labels_of_the_target_are_not_read(name: str = "MMD") -> None:
    """Targets of the target's rows that no class has change no bit: they never come as far as the network."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 6, 4, 2))
    source = Examples(x, rng.integers(0, K, 6), batch_size=3)
    found = []
    for targets in (rng.integers(0, K, 6), np.full(6, -999), np.full(6, np.iinfo(np.int64).max)):
        model = adapted("classifier", "gru", LOSSES[name])
        batches = SideBySide(source, Examples(y, targets, batch_size=3), updates=4)
        steps = [model.loss_and_gradients(batches.batch(0, k)) for k in range(len(batches))]
        assert all("targets" not in batches.batch(0, k).target._fields for k in range(len(batches)))
        found.append(steps)
    for steps in found[1:]:
        for step, other in zip(steps, found[0], strict=True):
            assert step.loss == other.loss
            assert all(np.array_equal(step.gradients[key], other.gradients[key]) for key in other.gradients)


def padding_says_nothing(name: str) -> None:
    """What stands past a row's length is in no loss between domains: neither as a row nor as a number."""
    batch, model = domain_batch("tagger", few=False), adapted("tagger", "gru", LOSSES[name])
    step = model.loss_and_gradients(batch)
    y, lengths = batch.target
    longer = np.concatenate([y, np.full((3, 2, 2), 9.0)], axis=1)
    longer[0, 2:] = -7
    again = model.loss_and_gradients(batch._replace(target=Unlabelled(longer, lengths)))
    np.testing.assert_allclose(again.loss, step.loss, rtol=1e-14)
    for key, gradient in step.gradients.items():
        np.testing.assert_allclose(again.gradients[key], gradient, rtol=0, atol=1e-14)


def calibration_is_a_minimum() -> None:
    """At the temperature found, the network expects the logit of the right class; the error falls where it was sure."""
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((4000, 4)) * 2
    targets = np.array([rng.choice(4, p=p) for p in softmax(truth)])
    found = calibrate(3 * truth, targets)  # three times as sure as it may be
    assert abs(found.temperature - 3) < 0.2
    p = softmax(3 * truth, found.temperature)
    assert abs(((p * truth).sum(axis=1) - truth[np.arange(4000), targets]).mean()) < 1e-9
    assert found.after < 0.03 < 0.1 < found.before


def calibration_error_by_hand() -> None:
    """Two rows in one bin, one of them right, and one row apart that is wrong."""
    p = np.array([[0.9, 0.1], [0.88, 0.12], [0.45, 0.55]])
    expected = (2 * abs(0.5 - 0.89) + abs(0.0 - 0.55)) / 3
    np.testing.assert_allclose(calibration_error(p, np.array([0, 1, 0]), bins=5), expected, rtol=1e-12)
