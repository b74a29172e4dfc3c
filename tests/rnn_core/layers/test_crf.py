"""`CRF`: loops over all sequences of tags, the softmax that it is at first, accuracy where it is sure, and errors."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core import gradcheck
from rnn_core.layers import CRF
from rnn_core.layers.crf import Constraints, constraints_of
from rnn_core.training import SoftmaxCrossEntropy
from tests import tagging_checks as checks
from tests.tagging_checks import LENGTHS, TAGS, UNKNOWN, WAYS, B, Everything, K, T, batch, chain


@given(
    K=st.integers(1, 4),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=2),
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([0.0, 1.0, 30.0]),
    ruled=st.booleans(),
    way=st.sampled_from(WAYS),
)
@settings(max_examples=25)
def test_everything_is_what_a_loop_over_all_paths_finds(K, lengths, seed, scale, ruled, way):
    rng = np.random.default_rng(seed)
    rules = None
    if ruled:  # every tag may stand beside itself, so that there is a path of every length
        rules = Constraints(rng.random((K, K)) < 0.4, rng.random(K) < 0.5, rng.random(K) < 0.5)
        np.fill_diagonal(rules.transitions, True)
        rules.starts[0] = rules.ends[0] = True
    layer = chain(K, seed, constraints=rules, backend=way)
    z = scale * rng.standard_normal((len(lengths), max(lengths), K))
    checks.partition_and_best_path(layer, z, np.array(lengths))
    checks.marginals_are_sums_over_paths(layer, z, np.array(lengths))


@given(
    K=st.integers(1, 3),
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    seed=st.integers(0, 2**32 - 1),
    unknown=st.floats(0, 0.9),
    way=st.sampled_from(WAYS),
)
@settings(max_examples=25)
def test_losses_and_gradients_with_tags_that_are_known_or_not(K, lengths, seed, unknown, way):
    rng = np.random.default_rng(seed)
    lengths, layer = np.array(lengths), chain(K, seed, backend=way)
    shape = (len(lengths), lengths.max())
    z, tags = rng.standard_normal((*shape, K)), rng.integers(0, K, shape)
    weights = rng.uniform(0.5, 2, (shape[0], 1)) * (rng.random(shape) >= unknown)
    weights[0, 0] = weights[0].max() or 1
    checks.loss_is_the_surprise(layer, z, tags, lengths, weights)
    loss, tape = layer.forward(z, tags, lengths, weights)
    demissions, grads = layer.backward(tape)
    twin, moving = layer.astype(np.complex128), z.astype(complex)
    for array, gradient in [(moving, demissions), *((twin.parameters[name], g) for name, g in grads.items())]:
        way = rng.standard_normal(array.shape)
        array += 1e-30j * way
        slope = twin.forward(moving, tags, lengths, weights)[0].imag / 1e-30
        array.imag = 0
        np.testing.assert_allclose((gradient * way).sum(), slope, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("kind", ["known", "unknown", "constrained"])
def test_gradients(kind):
    checks.chain_gradients(kind)


@pytest.mark.parametrize("way", WAYS)
def test_what_stands_in_the_padding_reaches_nothing(way):
    checks.chain_padding(way)


@given(
    K=st.integers(1, 7),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([1.0, 30.0, 1000.0]),
    ruled=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@settings(max_examples=40)
def test_the_kernels_compute_what_the_equations_do(K, lengths, seed, scale, ruled, dtype):
    """Also where sums of exponentials vanish: at 1000 most of them do, and all that is left are the logarithms."""
    rng, lengths = np.random.default_rng(seed), np.array(lengths)
    shape = (len(lengths), lengths.max())
    rules = Constraints(rng.random((K, K)) < 0.5, np.ones(K, bool), np.ones(K, bool)) if ruled else None
    if rules is not None:
        np.fill_diagonal(rules.transitions, True)
    z = (scale * rng.standard_normal((*shape, K))).astype(dtype)
    weights = np.where(rng.random(shape) < 0.3, 0.0, 1.0)
    weights[0, 0] = 1
    results = []
    for way in WAYS:
        layer = chain(K, seed, backend=way, dtype=dtype, constraints=rules, constrained_training=ruled)
        for array in layer.parameters.values():
            array *= scale
        tags = layer.decode(z, lengths)[0]
        loss, tape = layer.forward(z, tags, lengths, weights)
        demissions, grads = layer.backward(tape)
        results.append(
            [loss, demissions, *grads.values(), layer.marginals(z, lengths), layer.log_partition(z, lengths)]
        )
    eps = 2 * scale * lengths.max() * np.finfo(dtype).eps
    for found, expected in zip(*results, strict=True):
        assert found.dtype == expected.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=20 * eps, atol=20 * eps)


@pytest.mark.parametrize("way", WAYS)
def test_needs_and_another_batch_change_no_bit(way):
    layer, (z, tags) = chain(backend=way), batch()
    loss, tape = layer.forward(z, tags, LENGTHS)
    first = layer.backward(tape)
    layer.forward(2 * z, tags, LENGTHS)
    again = layer.backward(tape)
    np.testing.assert_array_equal(first[0], again[0])
    for name, gradient in first[1].items():
        np.testing.assert_array_equal(gradient, again[1][name])


def test_constraints_hold():
    checks.chain_rules()


def test_gradients_of_one_step_and_of_one_tag():
    z, tags = batch()
    assert gradcheck(chain(), z[:, :1], targets=tags[:, :1]).rows[0].passed
    loss, tape = chain(1).forward(z[..., :1], np.zeros_like(tags))
    assert loss == 0
    assert not layer_gradients(chain(1), tape).any()


def layer_gradients(layer, tape):
    """Return all gradients in one array."""
    demissions, grads = layer.backward(tape)
    return np.concatenate([demissions.ravel(), *(gradient.ravel() for gradient in grads.values())])


def test_with_parameters_of_zero_it_is_a_softmax_at_every_step():
    layer, (z, tags) = CRF(K, dtype=np.float64), batch()
    loss, tape = layer.forward(z, tags, weights=UNKNOWN)
    other = SoftmaxCrossEntropy()
    expected, theirs = other.forward(z, tags, UNKNOWN)
    assert loss == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(layer.backward(tape)[0], other.backward(theirs), rtol=1e-12, atol=1e-16)
    e = np.exp(z)
    np.testing.assert_allclose(layer.marginals(z), e / e.sum(axis=-1, keepdims=True), rtol=1e-12)
    np.testing.assert_array_equal(layer.decode(z)[0], z.argmax(axis=-1))


def test_a_whole_weight_counts_as_that_many_copies():
    layer, (z, tags) = chain(), batch()
    times = np.array([2, 0, 3])
    loss, tape = layer.forward(z, tags, LENGTHS, times)
    again, copies = layer.forward(*(np.repeat(a, times, axis=0) for a in (z, tags, LENGTHS)))
    assert loss == pytest.approx(again, rel=1e-13)
    for name, gradient in layer.backward(tape)[1].items():
        np.testing.assert_allclose(gradient, layer.backward(copies)[1][name], rtol=1e-11, atol=1e-15)


def test_a_row_without_weight_counts_nothing_whatever_it_holds():
    layer, (z, tags) = chain(constraints=constraints_of(TAGS), constrained_training=True), batch()
    tags[1, 0] = 2  # the rules forbid it
    loss, tape = layer.forward(z, tags, LENGTHS, np.array([1.0, 0, 1]))
    assert np.isfinite(loss)
    demissions, grads = layer.backward(tape)
    assert not demissions[1].any()
    assert all(np.isfinite(gradient).all() for gradient in grads.values())


@pytest.mark.parametrize("way", WAYS)
def test_sure_of_itself_it_keeps_its_relative_accuracy(way):
    """exp(−40) beside 1: a difference of log Z and score, or p − 1, would be 0 or noise."""
    layer, z = CRF(2, dtype=np.float64, backend=way), np.zeros((1, 3, 2))
    z[..., 0] = 40
    loss, tape = layer.forward(z, np.zeros((1, 3), int))
    tiny = np.exp(-40.0)
    assert loss == pytest.approx(tiny, rel=1e-12)
    demissions, grads = layer.backward(tape)
    np.testing.assert_allclose(demissions, np.broadcast_to([-tiny, tiny], (1, 3, 2)) / 3, rtol=1e-12)
    np.testing.assert_allclose(grads["transitions"][0, 0], -4 * tiny / 3, rtol=1e-12)


@pytest.mark.parametrize("way", WAYS)
def test_float32_is_as_good_after_a_thousand_steps(way):
    rng = np.random.default_rng(0)
    z, tags = 10 + 5 * rng.standard_normal((1, 1000, 4)), rng.integers(0, 4, (1, 1000))
    wide, narrow = chain(4, backend=way), chain(4, dtype=np.float32, backend=way)
    assert narrow.forward(z.astype(np.float32), tags)[0] == pytest.approx(wide.forward(z, tags)[0], rel=3e-7)
    np.testing.assert_allclose(narrow.marginals(z.astype(np.float32)), wide.marginals(z), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(narrow.decode(z.astype(np.float32))[0], wide.decode(z)[0])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_the_dtype_stays_and_inputs_do(dtype, way):
    layer, (z, tags) = chain(dtype=dtype, backend=way), batch()
    z = z.astype(dtype)
    kept = z.copy(), tags.copy(), UNKNOWN.copy(), layer.state_dict()
    loss, tape = layer.forward(z, tags, LENGTHS, UNKNOWN)
    demissions, grads = layer.backward(tape)
    found = [loss, demissions, *grads.values(), layer.marginals(z, LENGTHS), layer.log_partition(z, LENGTHS)]
    found += [layer.pair_marginals(z), layer.score(z, tags)]
    assert {np.asarray(a).dtype for a in found} == {np.dtype(dtype)}
    for before, after in zip(kept[:3], (z, tags, UNKNOWN), strict=True):
        np.testing.assert_array_equal(before, after)
    for name, array in layer.parameters.items():
        np.testing.assert_array_equal(array, kept[3][name])


@pytest.mark.parametrize("way", WAYS)
def test_a_tape_can_be_used_again_and_only_what_is_needed_is_there(way):
    layer, (z, tags) = chain(backend=way), batch()
    _, tape = layer.forward(z, tags, LENGTHS, UNKNOWN)
    full, (demissions, none) = layer.backward(tape)[1], layer.backward(tape, {"emissions"})
    assert none == {}
    np.testing.assert_array_equal(demissions, layer.backward(tape)[0])
    for name, gradient in full.items():
        nothing, alone = layer.backward(tape, {name})
        assert nothing is None
        assert list(alone) == [name]
        np.testing.assert_array_equal(alone[name], gradient)
    assert layer.backward(tape, ()) == (None, {})


# ── Schemes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def allowed(tags, scheme, length):
    """Return every sequence of that length that a scheme allows."""
    rules = constraints_of(tags, scheme)
    found = set()
    for path in product(range(len(tags)), repeat=length):
        steps = all(rules.transitions[i, j] for i, j in pairwise(path))
        if steps and rules.starts[path[0]] and rules.ends[path[-1]]:
            found.add(" ".join(tags[k] for k in path))
    return found


def test_rules_by_hand():
    checks.rules_by_hand()


def test_what_the_schemes_allow():
    bio = ("O", "B-a", "I-a", "B-b", "I-b")
    assert "O B-a I-a" in allowed(bio, "BIO", 3)
    assert not {"I-a", "B-b"} & {path for path in allowed(bio, "BIO", 1) if path.startswith("I")}
    assert not any("O I-" in path or "a I-b" in path or "b I-a" in path for path in allowed(bio, "BIO", 3))
    assert "B-a B-b I-b" in allowed(bio, "BIO", 3)
    assert {"I-a B-a I-a", "I-a I-b O"} <= allowed(bio, "IOB1", 3)
    assert not any(path.startswith("B") or "O B" in path or "a B-b" in path for path in allowed(bio, "IOB1", 3))
    iobes = ("O", "B-a", "I-a", "E-a", "S-a", "B-b", "E-b")
    assert allowed(iobes, "IOBES", 1) == {"O", "S-a"}
    assert allowed(iobes, "IOBES", 2) == {
        "O O", "O S-a", "S-a O", "S-a S-a", "B-a E-a", "B-b E-b",
    }  # fmt: skip
    bilou = tuple(tag.replace("E-", "L-").replace("S-", "U-") for tag in iobes)
    for one, other in zip(constraints_of(iobes, "IOBES"), constraints_of(bilou, "IOBES"), strict=True):
        np.testing.assert_array_equal(one, other)
    assert allowed(("B", "I", "O"), "BIO", 2) == {"B B", "B I", "B O", "O B", "O O"}


def test_constraints_are_kept_by_a_twin_and_by_the_config():
    layer = chain(constraints=constraints_of(TAGS), constrained_training=True)
    z = batch()[0]
    for twin in (layer.astype(np.float64), CRF(**layer.config)):
        twin.load_state_dict(layer.state_dict())
        np.testing.assert_array_equal(twin.decode(z)[0], layer.decode(z)[0])
        np.testing.assert_array_equal(twin.marginals(z), layer.marginals(z))


def test_constrained_training_gives_no_weight_to_what_is_forbidden():
    layer, (z, tags) = chain(constraints=constraints_of(TAGS), constrained_training=True), batch()
    loss, tape = layer.forward(z, tags, LENGTHS)
    expected = sum(
        Everything(layer, z[b, :n]).surprise(tuple(tags[b, :n]), np.ones(n, bool)) for b, n in enumerate(LENGTHS)
    )
    assert loss == pytest.approx(expected / LENGTHS.sum(), rel=1e-12)
    grads = layer.backward(tape)[1]
    assert not grads["transitions"][~layer.constraints.transitions].any()
    assert grads["start"][2] == 0
    free = chain()
    assert free.forward(z, tags, LENGTHS)[0] > loss


# ── What does not fit ────────────────────────────────────────────────────────────────────────────────────────────────


def forward(tags=None, lengths=None, weights=None, z=None, **options):
    """Call a chain with something wrong."""
    right_z, right = batch()
    return chain(**options).forward(right_z if z is None else z, right if tags is None else tags, lengths, weights)


RULES = constraints_of(TAGS)
STRICT = {"constraints": RULES, "constrained_training": True}


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: CRF(0), ValueError, "CRF: num_tags must be at least 1, got 0"),
        (lambda: CRF(2, constraints=RULES), ValueError, r"constraints must have transitions of shape \(2, 2\)"),
        (lambda: CRF(3, constraints=[1]), TypeError, "constraints must be a Constraints or a mapping.*constraints_of"),
        (lambda: CRF(3, constraints=RULES._replace(starts=np.ones(3))), TypeError, "starts of shape .* got float64"),
        (lambda: CRF(3, constraints=RULES._replace(ends=np.zeros(3, bool))), ValueError, "ends that let .* got none"),
        (lambda: CRF(3, constrained_training=True), ValueError, "constraints must be given with constrained_training"),
        (lambda: forward(z=batch()[0][0]), ValueError, r"emissions must have shape \(B, T, 3\).*got \(4, 3\)"),
        (lambda: forward(z=batch()[0].astype(np.float32)), TypeError, "emissions must be float64, as the transitions"),
        (lambda: forward(z=batch()[0] * np.nan), ValueError, "emissions must be finite, got nan at index"),
        (lambda: forward(tags=batch()[1][:, :2]), ValueError, r"tags must have shape \(3, 4\).*got \(3, 2\)"),
        (lambda: forward(tags=batch()[1] + 1), ValueError, r"tags must be in 0…2, got 3 at .*; num_tags is 3"),
        (lambda: forward(tags=batch()[1] * 1.0), TypeError, "tags must be integers, the tags' numbers, got float64"),
        (lambda: forward(lengths=[4, 0, 1]), ValueError, "lengths must be between 1 and T = 4, got 0 in row 1"),
        (lambda: forward(weights=np.ones(4)), ValueError, r"weights must have shape \(3,\) or \(3, 4\)"),
        (lambda: forward(weights=-np.ones(3)), ValueError, "weights must be finite and at least 0, got -1.0 at"),
        (lambda: forward(weights=np.zeros(3)), ValueError, "weights must not all be zero; leave this batch out"),
        (lambda: forward(weights=np.arange(1.0, 13).reshape(3, 4)), ValueError,
         "weights must be alike within a row, or 0 where the tag is not known, got 1.0 and 4.0 in row 0"),
        (lambda: forward(tags=np.array([[0] * 4, [0, 2, 0, 0], [0] * 4]), **STRICT), ValueError,
         "tags must be a sequence that the constraints allow, got 0 before 2 from step 0 to 1 of row 1; mend"),
        (lambda: forward(tags=np.array([[0] * 4, [0] * 4, [2] * 4]), **STRICT), ValueError, "2 at the beginning of"),
        (lambda: chain().backward(forward()[1], {"x"}), ValueError, "needs must name some of emissions, transitions"),
        (lambda: constraints_of(TAGS, "BIOX"), ValueError, "scheme must be one of BIO, IOB1, IOBES, got 'BIOX'"),
        (lambda: constraints_of(["O", "NOUN"]), ValueError, "O or one of B, I with a kind behind a dash.*NOUN"),
        (lambda: constraints_of(["O", "S-a"]), ValueError, "one of B, I with a kind"),
        (lambda: constraints_of(["B-"]), ValueError, "got 'B-'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_a_length_for_which_the_constraints_allow_nothing_is_named():
    rules = Constraints(np.array([[False, True], [False, False]]), np.array([True, False]), np.array([False, True]))
    layer = chain(2, constraints=rules)
    assert layer.decode(np.zeros((1, 2, 2)))[0].tolist() == [[0, 1]]
    with pytest.raises(ValueError, match="constraints must allow a sequence of 1 steps, that of row 1"):
        layer.decode(np.zeros((2, 2, 2)), [2, 1])


def test_the_cases_have_something_to_find():
    assert (B, T, K) == (3, 4, 3)
    assert (UNKNOWN == 0).any()
    rules = constraints_of(TAGS)
    for row, n in zip(batch()[1], LENGTHS, strict=True):
        assert rules.starts[row[0]]
        assert rules.transitions[row[: n - 1], row[1:n]].all()
