"""Optimizers and clipping: first steps by hand, everything in place, and nothing that depends on how arrays lie.

test_torch_training.py compares many steps with torch.optim.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest

from rnn_core.layers.embedding import RowGradient
from rnn_core.training import SGD, Adam, AdamW, clip_by_global_norm
from rnn_core.training.blocks import BLOCK, SHORT, blocks, flush

OPTIMIZERS = [
    SGD(0.1),
    SGD(0.1, weight_decay=0.3),
    SGD(0.1, momentum=0.9),
    SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.3),
    Adam(0.1),
    Adam(0.1, weight_decay=0.3),
    AdamW(0.1),
]


def run(optimizer, parameters, gradients, steps=3, rates=None):
    state = optimizer.init(parameters)
    for _ in range(steps):
        optimizer.update(parameters, gradients, state, rates)
    return state


def problem(dtype=np.float64, shape=(3, 2)):
    rng = np.random.default_rng(0)
    return (
        {name: rng.standard_normal(shape).astype(dtype) for name in "ab"},
        {name: rng.standard_normal(shape).astype(dtype) for name in "ab"},
    )


@pytest.mark.parametrize(
    "optimizer, after_two",
    [
        (SGD(0.5), 1 - 0.5 * 2 - 0.5 * 2),
        (SGD(0.5, momentum=0.5), 1 - 0.5 * 2 - 0.5 * 3),
        (SGD(0.5, momentum=0.5, nesterov=True), 1 - 0.5 * 3 - 0.5 * 3.5),
        (SGD(0.5, weight_decay=0.5), 1 - 0.5 * 2.5 - 0.5 * (2 + 0.5 * -0.25)),
        (Adam(0.5, eps=0), 1 - 0.5 - 0.5),  # a constant gradient gives steps of the rate
        (Adam(0.5, eps=2), 1 - 0.25 - 0.25),
        (Adam(0.5, betas=(0, 0), eps=0), 1 - 0.5 - 0.5),
        (AdamW(0.5, eps=0, weight_decay=0.5), (1 * 0.75 - 0.5) * 0.75 - 0.5),
    ],
)
def test_two_steps_by_hand(optimizer, after_two):
    parameters = {"w": np.array([1.0])}
    run(optimizer, parameters, {"w": np.array([2.0])}, steps=2)
    assert parameters["w"][0] == pytest.approx(after_two, rel=1e-14)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
class TestEveryOptimizer:
    def test_updates_in_place_and_leaves_gradients_alone(self, optimizer):
        parameters, gradients = problem()
        state = optimizer.init(parameters)
        live, kept, before = dict(parameters), dict(state), copy.deepcopy(gradients)
        for _ in range(2):
            optimizer.update(parameters, gradients, state)
        assert all(parameters[name] is live[name] for name in live)
        assert all(state[name] is kept[name] for name in kept)
        for name in before:
            np.testing.assert_array_equal(gradients[name], before[name])

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_dtype_stays(self, optimizer, dtype):
        parameters, gradients = problem(dtype)
        state = run(optimizer, parameters, gradients, rates={"a": np.float64(0.1)})
        assert {p.dtype for p in parameters.values()} == {np.dtype(dtype)}
        assert {array.dtype for key, array in state.items() if not key.endswith("/step")} <= {np.dtype(dtype)}

    def test_without_a_gradient_nothing_changes(self, optimizer):
        parameters, gradients = problem()
        before = parameters["b"].copy()
        state = run(optimizer, parameters, {"a": gradients["a"]})
        np.testing.assert_array_equal(parameters["b"], before)
        assert not any(array.any() for key, array in state.items() if key.startswith("b/"))

    def test_a_late_parameter_steps_as_if_it_were_new(self, optimizer):
        parameters, gradients = problem()
        alone = {"b": parameters["b"].copy()}
        state = run(optimizer, parameters, {"a": gradients["a"]})
        optimizer.update(parameters, gradients, state)
        run(optimizer, alone, {"b": gradients["b"]}, steps=1)
        np.testing.assert_array_equal(parameters["b"], alone["b"])

    def test_rates_by_name(self, optimizer):
        parameters, gradients = problem()
        slow = copy.deepcopy(parameters)
        run(optimizer, parameters, gradients, rates={"a": 0.0})
        run(type(optimizer)(**{**vars(optimizer), "lr": 0.0}), slow, gradients, rates={"b": 0.1})
        for name in parameters:
            np.testing.assert_array_equal(parameters[name], slow[name])

    def test_stopping_and_going_on_changes_no_bit(self, optimizer):
        parameters, gradients = problem(np.float32)
        stopped = copy.deepcopy(parameters)
        run(optimizer, parameters, gradients, steps=5)
        state = run(optimizer, stopped, gradients, steps=2)
        state = {key: np.array(array.tolist(), dtype=array.dtype) for key, array in state.items()}
        for _ in range(3):
            optimizer.update(stopped, gradients, state)
        for name in parameters:
            np.testing.assert_array_equal(parameters[name], stopped[name])

    def test_a_row_gradient_is_a_dense_one_with_zeros(self, optimizer):
        rng = np.random.default_rng(1)
        sparse = {"w": rng.standard_normal((6, 2))}
        dense = copy.deepcopy(sparse)
        gradient = RowGradient(np.array([1, 4]), rng.standard_normal((2, 2)), (6, 2))
        run(optimizer, sparse, {"w": gradient})
        run(optimizer, dense, {"w": gradient.to_dense()})
        np.testing.assert_array_equal(sparse["w"], dense["w"])

    def test_long_arrays_step_as_short_ones_do(self, optimizer):
        rng = np.random.default_rng(2)
        p, g = rng.standard_normal((2, BLOCK // 100 + 3, 200))
        whole, rows, turned = {"w": p.copy()}, {str(k): row.copy() for k, row in enumerate(p)}, {"w": p.copy().T}
        run(optimizer, whole, {"w": g})
        run(optimizer, rows, {str(k): row for k, row in enumerate(g)})
        run(optimizer, turned, {"w": g.T})
        np.testing.assert_array_equal(whole["w"], np.array(list(rows.values())))
        np.testing.assert_array_equal(whole["w"], turned["w"].T)

    @pytest.mark.parametrize(
        "gradients, forget, message",
        [
            ({"c": np.ones((3, 2))}, "", "gradients must be of parameters, got 'c'; there are a, b"),
            ({"a": np.ones((3, 2)), "b": np.ones((2, 3))}, "", r"of b must have shape \(3, 2\), got \(2, 3\)"),
            ({"a": np.ones((3, 2)), "b": np.ones((3, 2))}, "b/", "state must hold b/"),
        ],
    )
    def test_a_mistake_is_named_before_anything_changes(self, optimizer, gradients, forget, message):
        parameters, _ = problem()
        before = copy.deepcopy(parameters)
        state = {k: v for k, v in optimizer.init(parameters).items() if not (forget and k.startswith(forget))}
        if forget and not optimizer.slots:
            return
        with pytest.raises(ValueError, match=f"{type(optimizer).__name__}.update: .*{message}"):
            optimizer.update(parameters, gradients, state)
        for name in before:
            np.testing.assert_array_equal(parameters[name], before[name])


@pytest.mark.parametrize("backend", ["numpy", None])
@pytest.mark.parametrize(
    "rows, error, message",
    [
        ([5, 1, 3, 0], ValueError, "ascending, each once, got 1 after 5"),
        ([1, 1, 2, 3], ValueError, "ascending, each once, got 1 after 1"),
        ([0, 1, 2, 99], ValueError, "rows in 0…7, got 0…99"),
        ([-1, 1, 2, 3], ValueError, "rows in 0…7, got -1…3"),
        ([0.0, 1, 2, 3], TypeError, "integers, in one axis, got float64"),
    ],
)
def test_rows_are_ascending_and_there(rows, error, message, backend):
    p = {"w": np.ones((8, 2))}
    state = Adam().init(p)
    with pytest.raises(error, match=f"Adam.update: the gradient of w must have .*{message}"):
        Adam().update(p, {"w": RowGradient(np.array(rows), np.ones((4, 2)), (8, 2))}, state, backend=backend)
    assert (p["w"] == 1).all()
    assert state["w/step"] == 0


def test_plain_sgd_touches_only_the_rows_of_a_row_gradient():
    parameters = {"w": np.full((4, 2), np.nan)}  # a dense step would have to read these
    parameters["w"][2] = 1
    SGD(0.5).update(parameters, {"w": RowGradient(np.array([2]), np.array([[2.0, 4.0]]), (4, 2))}, {})
    np.testing.assert_array_equal(parameters["w"][2], [0, -1])


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: SGD(-0.1), ValueError, "SGD: lr must be at least 0 and finite, got -0.1"),
        (lambda: SGD(np.nan), ValueError, "SGD: lr must be at least 0 and finite, got nan"),
        (lambda: SGD("fast"), TypeError, "SGD: lr must be a number, got 'fast'"),
        (lambda: SGD(0.1, momentum=1.0), ValueError, "SGD: momentum must be at least 0 and below 1, got 1.0"),
        (lambda: SGD(0.1, nesterov=True), ValueError, "SGD: momentum must be above 0 with nesterov=True"),
        (lambda: Adam(betas=(0.9, 1)), ValueError, r"Adam: betas\[1\] must be at least 0 and below 1, got 1"),
        (lambda: Adam(betas=(0.9,)), ValueError, "Adam: betas must be a pair"),
        (lambda: Adam(eps=-1), ValueError, "Adam: eps must be at least 0"),
        (lambda: AdamW(weight_decay=np.inf), ValueError, "AdamW: weight_decay must be at least 0 and finite, got inf"),
    ],
)
def test_settings_out_of_range_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


# ── subnormal numbers ─────────────────────────────────────────────────────────────────────────────────────────


MOVING = [SGD(0.1, momentum=0.9), SGD(0.1, momentum=0.9, nesterov=True), Adam(0.1), AdamW(0.1, betas=(0.9, 0.95))]


def subnormal(array):
    """How many numbers are below the smallest normal one, zero apart."""
    return np.count_nonzero((abs(array) < np.finfo(array.dtype).tiny) & (array != 0))


def seldom_seen(optimizer, steps, dtype=np.float32, state=None, p=None, begin=0):
    """Rows of a table that have a gradient in every step, and rows that have one in the first alone."""
    rng = np.random.default_rng(0)
    p = {"w": rng.standard_normal((200, 33)).astype(dtype)} if p is None else p
    state = optimizer.init(p) if state is None else state
    for step in range(begin, begin + steps):
        g = np.random.default_rng(step).standard_normal((200, 33)).astype(dtype)
        g[:, 1:] *= 1e-3
        if step:
            g[7:] = 0
        optimizer.update(p, {"w": g}, state)
    return p, state


@pytest.mark.parametrize("optimizer", MOVING, ids=repr)
def test_moments_that_sink_end_at_zero_and_no_parameter_knows(optimizer, monkeypatch):
    p, state = seldom_seen(optimizer, 1000)
    with monkeypatch.context() as patch:
        patch.setattr("rnn_core.training.blocks.flush", lambda array: None)
        sunk_p, sunk = seldom_seen(optimizer, 1000)
    kept = [slot for slot in optimizer.slots if slot != "step" and (slot != "v" or optimizer.betas[1] < 0.99)]
    for slot in kept:
        array = state[f"w/{slot}"]
        assert subnormal(sunk[f"w/{slot}"]) > 1000 or slot == "v"
        assert subnormal(array) < array.size / 100  # less than a sample can see
        assert np.count_nonzero(array[7:]) < array.size / 100 or slot == "v"
        np.testing.assert_array_equal(array[:7], sunk[f"w/{slot}"][:7])
    np.testing.assert_array_equal(p["w"], sunk_p["w"])


@pytest.mark.parametrize("optimizer", MOVING, ids=repr)
def test_a_run_that_stops_among_sinking_moments_ends_in_the_same_bits(optimizer):
    whole, state = seldom_seen(optimizer, 860)
    for stop in (819, 824, 831):
        p, half = seldom_seen(optimizer, stop)
        half = {key: np.array(array) for key, array in half.items()}
        p, half = seldom_seen(optimizer, 860 - stop, state=half, p=p, begin=stop)
        np.testing.assert_array_equal(p["w"], whole["w"])
        for key, array in state.items():
            np.testing.assert_array_equal(half[key], array)


@pytest.mark.parametrize("eps", [0.0, 1e-25])
def test_a_second_moment_that_counts_is_left_alone(eps):
    """Without ε a v of zero would be an infinite step."""
    p, g = {"w": np.ones((200, 33), np.float32)}, {"w": np.full((200, 33), 1e-20, np.float32)}
    state = run(Adam(1e-3, eps=eps), p, g, steps=20)
    assert subnormal(state["w/v"]) == p["w"].size
    np.testing.assert_allclose(p["w"], 1 - 20 * 1e-3, rtol=1e-2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_flushing_takes_what_is_subnormal_and_nothing_else(dtype):
    tiny = np.finfo(dtype).tiny
    array = np.resize(np.array([1, -1, tiny, -tiny, tiny / 2, -tiny / 4, 0, 5e-30], dtype), (100, 81))
    expected = np.where(abs(array) < tiny, 0, array)
    assert subnormal(array)
    flush(array)
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("turn", [lambda a: a, lambda a: a.T, lambda a: a[::2, ::2]])
@pytest.mark.parametrize("shape", [(2 * BLOCK // 256, 256), (640, 480), (512, 512), (SHORT + 1,)])
def test_a_row_or_column_that_sinks_is_found(shape, turn):
    for place in [(slice(4, 8),), (..., 6), (..., -2)]:
        array = np.ones(shape, np.float32)
        if array.ndim == 1:
            array[: array.size // 2] = 1e-40
        else:
            array[place] = 1e-40
        array = turn(array) if array.ndim > 1 else array
        assert subnormal(array)
        flush(array)
        assert subnormal(array) == 0


def test_short_arrays_are_not_looked_at():
    array = np.full(SHORT, 1e-40, np.float32)
    flush(array)
    assert (array == np.float32(1e-40)).all()


# ── clipping ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_clipping_scales_everything_by_one_factor():
    a, b = np.array([3.0, 0.0]), RowGradient(np.array([1]), np.array([[0.0, 4.0]]), (3, 2))
    clipped, norm = clip_by_global_norm({"a": a, "b": b}, 1.0)
    assert norm == 5
    np.testing.assert_allclose(clipped["a"], [0.6, 0], rtol=1e-15)
    np.testing.assert_allclose(clipped["b"].to_dense(), [[0.0, 0.0], [0.0, 0.8], [0.0, 0.0]], rtol=1e-15)
    np.testing.assert_array_equal(a, [3, 0])
    np.testing.assert_array_equal(b.values, [[0, 4]])


@pytest.mark.parametrize("max_norm", [5.0, 6, np.inf])
def test_short_gradients_are_left_as_they_are(max_norm):
    gradients = {"a": np.array([3.0]), "b": np.array([[4.0]])}
    clipped, norm = clip_by_global_norm(gradients, max_norm)
    assert norm == 5
    assert clipped is not gradients
    assert all(clipped[name] is gradients[name] for name in gradients)


@pytest.mark.parametrize("dtype, size", [(np.float32, 1e30), (np.float64, 1e200), (np.float64, 1e-150)])
def test_no_square_overflows_or_vanishes(dtype, size):
    gradients = {"a": np.array([3 * size], dtype), "b": np.array([0, 4 * size], dtype)}
    clipped, norm = clip_by_global_norm(gradients, size)
    assert norm == pytest.approx(5 * size, rel=1e-6)
    assert clipped["a"].dtype == dtype
    np.testing.assert_allclose(clipped["b"] / size, [0, 0.8], rtol=1e-6)


def test_the_norm_of_a_long_gradient():
    g = np.random.default_rng(0).standard_normal((3, BLOCK)).astype(np.float32)
    expected = np.linalg.norm(g.astype(np.float64))
    assert clip_by_global_norm({"g": g}, 1.0)[1] == pytest.approx(expected, rel=1e-6)
    assert clip_by_global_norm({"g": g.T}, 1.0)[1] == pytest.approx(expected, rel=1e-6)


def test_no_gradients_and_zero_gradients_have_no_length():
    assert clip_by_global_norm({}, 1.0) == ({}, 0.0)
    assert clip_by_global_norm({"a": np.zeros(2)}, 1.0)[1] == 0


@pytest.mark.parametrize(
    "gradients, max_norm, error, message",
    [
        ({"a": np.ones(2), "b": np.array([[1, np.nan]])}, 1, ValueError, r"got nan in that of b at index \(0, 1\)"),
        ({"a": np.array([1, -np.inf])}, 1, ValueError, r"got -inf in that of a at index \(1,\)"),
        ({"a": np.ones(2)}, 0, ValueError, "max_norm must be above 0, got 0"),
        ({"a": np.ones(2)}, np.nan, ValueError, "max_norm must be above 0, got nan"),
        ({"a": np.ones(2)}, "1", TypeError, "max_norm must be a number, got '1'"),
        ({"a": None}, 1, TypeError, "the gradient of a must be an array or a RowGradient, got NoneType"),
        ({"a": [1.0, 2.0]}, 1, TypeError, "the gradient of a must be an array or a RowGradient, got list"),
    ],
)
def test_what_cannot_be_clipped_is_named(gradients, max_norm, error, message):
    with pytest.raises(error, match=f"clip_by_global_norm: .*{message}"):
        clip_by_global_norm(gradients, max_norm)


def test_blocks_cover_an_array_once_and_are_views():
    a, b = np.zeros((2, BLOCK)), np.zeros((2, BLOCK))
    for part, _ in blocks(a, b):
        part += 1
    assert (a == 1).all()
    assert len(list(blocks(a, b))) == 2
    assert len(list(blocks(a, b.T))) == 1


@pytest.mark.parametrize(
    "g, options, error, message",
    [
        (None, {}, TypeError, "the gradient of a must be an array or a RowGradient, got NoneType"),
        ([1.0, 2.0], {}, TypeError, "the gradient of a must be an array or a RowGradient, got list"),
        (np.ones(2), {"scale": -1}, ValueError, "scale must be at least 0 and finite, got -1"),
        (np.ones(2), {"scale": np.nan}, ValueError, "scale must be at least 0 and finite, got nan"),
        (np.ones(2), {"scale": np.inf}, ValueError, "scale must be at least 0 and finite, got inf"),
        (np.ones(2), {"scale": None}, TypeError, "scale must be a number, got None"),
        (np.ones(2), {"scale": "a"}, TypeError, "scale must be a number, got 'a'"),
        (np.ones(2), {"backend": "foo"}, ValueError, "backend must be one of .*, got 'foo'"),
    ],
)
def test_a_step_that_cannot_be_taken_names_the_argument(g, options, error, message):
    parameters = {"a": np.ones(2)}
    optimizer = SGD(0.1)
    with pytest.raises(error, match=f"^SGD.update: {message}"):
        optimizer.update(parameters, {"a": g}, optimizer.init(parameters), **options)
    assert (parameters["a"] == 1).all()


def test_clipping_by_an_unknown_backend_names_itself():
    with pytest.raises(ValueError, match="^clip_by_global_norm: backend must be one of .*, got 'foo'"):
        clip_by_global_norm({"a": np.ones(2)}, 1.0, backend="foo")
