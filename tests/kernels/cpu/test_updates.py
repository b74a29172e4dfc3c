"""Norms, optimizers and sums of rows in compiled loops: optimizers to NumPy's bits, all on any number of threads."""

from __future__ import annotations

import copy
import math

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import cpu
from kernels.cpu.running import threads
from kernels.cpu.updates import table
from rnn_core import Embedding, LanguageModel, SequenceClassifier
from rnn_core.data import TextStream
from rnn_core.data.batches import Batch
from rnn_core.layers.embedding import RowGradient
from rnn_core.training import SGD, Adam, AdamW, fit
from rnn_core.training.clipping import clip_by_global_norm, clipping_factor
from tests.kernels.cpu.setup import in_a_process
from tests.kernels.cpu.test_threads import FOUR, observe

B = table.BLOCK
OPTIMIZERS = [
    SGD(0.1),
    SGD(0.1, weight_decay=0.3),
    SGD(0.1, momentum=0.9),
    SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.3),
    Adam(0.1),
    Adam(0.1, betas=(0, 0), eps=0.1, weight_decay=0.3),
    Adam(0.1, eps=0.0),
    AdamW(0.1),
]
DTYPES = ("float32", "float64")
SHAPES = ((3,), (), (0, 4), (1, 1), (B,), (B - 1, 3), (2 * B + 5,), (7, 16, 9))
"""Of one number, of none, of a block, and of some more."""


def same(one, other):
    """Whether two dictionaries of arrays hold the same bits."""
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
        np.testing.assert_array_equal(np.signbit(one[name]), np.signbit(other[name]), err_msg=name)


def drawn(shapes, dtype, seed=0):
    """Parameters and gradients of these shapes, by number."""
    rng = np.random.default_rng(seed)
    return [{str(k): rng.standard_normal(shape).astype(dtype) for k, shape in enumerate(shapes)} for _ in range(2)]


def some_rows(shape, rows, dtype, seed=0):
    """A gradient of some rows."""
    values = np.random.default_rng(seed).standard_normal((len(rows), shape[1])).astype(dtype)
    return RowGradient(np.array(rows, np.int64), values, shape)


def stepped(optimizer, parameters, gradients, backend, steps=3, **options):
    """The parameters after some steps, and what is kept of them. Every step has other gradients."""
    parameters = copy.deepcopy(parameters)
    state = optimizer.init(parameters)
    for step in range(steps):
        now = gradients(step) if callable(gradients) else gradients
        optimizer.update(parameters, now, state, backend=backend, **options)
    return parameters | state


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("dtype", DTYPES)
def test_steps_have_numpys_bits(optimizer, dtype):
    parameters, gradients = drawn(SHAPES, dtype)
    kept = copy.deepcopy(gradients)
    for options in ({}, {"scale": 0.37, "rates": {"0": 0.0, "4": 1e-3}}):
        ours, numpys = (stepped(optimizer, parameters, gradients, backend, **options) for backend in ("cpu", "numpy"))
        same(ours, numpys)
    same(gradients, kept)


@given(
    shapes=st.lists(st.lists(st.integers(1, 70), min_size=1, max_size=2), min_size=1, max_size=4),
    optimizer=st.one_of(
        st.builds(
            SGD, st.floats(0, 1), momentum=st.just(0.0) | st.floats(0.1, 0.99),
            weight_decay=st.just(0.0) | st.floats(0, 1),
        ),
        st.builds(
            SGD, st.floats(0, 1), momentum=st.floats(0.1, 0.99), nesterov=st.booleans(), weight_decay=st.just(0.0)
        ),
        st.builds(
            Adam, st.floats(0, 1),
            betas=st.tuples(st.floats(0, 0.99), st.floats(0, 0.999)), eps=st.floats(1e-12, 1),
            weight_decay=st.just(0.0) | st.floats(0, 1),
        ),
        st.builds(AdamW, st.floats(0, 1), weight_decay=st.floats(0, 1)),
    ),
    dtype=st.sampled_from(DTYPES),
    scale=st.just(1.0) | st.floats(0, 1),
    missing=st.integers(0, 4),
    seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_any_shapes_and_options_have_numpys_bits(shapes, optimizer, dtype, scale, missing, seed):
    parameters, gradients = drawn(shapes, dtype, seed)
    gradients.pop(str(missing), None)  # a parameter that is frozen
    for name, g in list(gradients.items()):
        if g.ndim == 2 and seed % 2:
            rows = np.flatnonzero(np.random.default_rng(seed).integers(0, 2, len(g)))
            gradients[name] = some_rows(g.shape, rows, dtype, seed)
    rates = {name: 0.1 * int(name) for name in list(parameters)[1:]}
    ours, numpys = (
        stepped(optimizer, parameters, gradients, backend, rates=rates, scale=scale) for backend in ("cpu", "numpy")
    )
    same(ours, numpys)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(9, 4), (700, 33), (5, 2 * B)])
def test_rows_step_as_a_dense_gradient_does(optimizer, dtype, shape):
    """Rows that have never had a gradient, that have one now, and that had one once."""
    if isinstance(optimizer, Adam) and optimizer.eps == 0:
        return  # 0/0 where a gradient has always been zero
    parameters, _ = drawn([shape], dtype)
    V = shape[0]
    seen = [[0, 2, V - 1], [], [1, 2], list(range(V)) if V < 10 else [V // 2], [0]]

    def rows(step):
        return {"0": some_rows(shape, seen[step], dtype, step)}

    def whole(step):
        return {"0": rows(step)["0"].to_dense()}

    by_rows = stepped(optimizer, parameters, rows, "cpu", steps=len(seen))
    for backend in ("cpu", "numpy"):
        same(by_rows, stepped(optimizer, parameters, whole, backend, steps=len(seen)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_without_epsilon_no_row_is_passed_over(dtype):
    """Where a gradient has always been zero, 0/0 is no number, whether it comes in rows or whole."""
    p, rows = {"w": np.ones((4, 3), dtype)}, some_rows((4, 3), [1], dtype)
    for eps in (0.0, 1e-300):  # the second is 0 in float32
        found = stepped(Adam(0.1, eps=eps), p, {"w": rows}, "cpu")["w"]
        whole = stepped(Adam(0.1, eps=eps), p, {"w": rows.to_dense()}, "cpu")["w"]
        np.testing.assert_array_equal(found, whole)
        assert np.isnan(found[[0, 2, 3]]).all() == (eps == 0 or dtype == "float32")
        assert np.isfinite(found[1]).all()


def test_a_row_that_never_had_a_gradient_is_not_written_to():
    """Not even read as a number: a step on it would end in NaN."""
    p = {"w": np.full((4, 3), np.nan, np.float32)}
    p["w"][1] = 1
    for optimizer in (Adam(0.1), SGD(0.1), SGD(0.1, momentum=0.9)):
        state = optimizer.init(p)
        optimizer.update(p, {"w": some_rows((4, 3), [1], "float32")}, state, backend="cpu")
        assert np.isfinite(p["w"][1]).all()
        for array in state.values():
            assert array.ndim == 0 or not array[[0, 2, 3]].any()


def test_gradients_that_nobody_may_write_to_are_read():
    p, g = {"w": np.ones((3, 4))}, np.broadcast_to(np.arange(4.0), (3, 4)).copy()
    g.flags.writeable = False
    same(*(stepped(Adam(0.1), p, {"w": g}, backend) for backend in ("cpu", "numpy")))
    assert clipping_factor({"w": g}, 1.0, backend="cpu")[1] == pytest.approx(math.sqrt(3 * 14))


def test_what_the_loops_do_not_take_is_numpys():
    """Arrays that are not contiguous, of two dtypes, and beside them one that is taken."""
    rng = np.random.default_rng(0)
    p = {
        "turned": rng.standard_normal((6, 5)).T, "wide": rng.standard_normal((6, 5)),
        "plain": rng.standard_normal((6, 5)), "strided": rng.standard_normal((6, 10))[:, ::2],
    }  # fmt: skip
    g = {name: rng.standard_normal(array.shape) for name, array in p.items()}
    g["wide"] = g["wide"].astype(np.float32)
    optimizer = AdamW(0.1)
    plain = {name: np.array(array, order="C") for name, array in p.items()}
    state, its = optimizer.init(p), optimizer.init(plain)
    for _ in range(2):
        optimizer.update(p, g, state, backend="cpu")
        optimizer.update(plain, g, its, backend="numpy")
    same(p, plain)
    assert clipping_factor(g, 1.0, backend="cpu")[1] == pytest.approx(clipping_factor(g, 1.0, backend="numpy")[1])


def shared(backend, optimizer, which):
    """What some steps make of parameters that share memory with one another, or with a gradient."""
    rng = np.random.default_rng(0)
    memory, other, g, h = rng.standard_normal((4, 60 * B // 64, 64)).astype(np.float32)
    parameters, gradients = {
        "two names": ({"a": memory, "b": memory}, {"a": g, "b": h}),
        "another part of it": ({"a": memory[:-1], "b": memory[1:]}, {"a": g[1:], "b": h[1:]}),
        "turned": ({"a": memory, "b": memory.T}, {"a": g, "b": h.T}),
        "a gradient of its own": ({"a": memory}, {"a": memory}),
        "a gradient beside it": ({"a": memory[:-1]}, {"a": memory[1:]}),
        "the other's gradient": ({"a": memory, "b": other}, {"a": other, "b": other}),
        "rows": ({"a": memory}, {"a": RowGradient(np.arange(1, 9), memory[:8], memory.shape)}),
    }[which]
    state = optimizer.init(parameters)
    for _ in range(2):
        optimizer.update(parameters, gradients, state, backend=backend)
    return {"memory": memory, "other": other} | state


SHARED = ("two names", "another part of it", "turned", "a gradient of its own", "a gradient beside it",
          "the other's gradient", "rows")  # fmt: skip


@pytest.mark.parametrize("which", SHARED)
@pytest.mark.parametrize("optimizer", [SGD(0.1), SGD(0.1, momentum=0.9), AdamW(0.1)], ids=repr)
def test_what_shares_memory_steps_one_after_another(optimizer, which):
    same(*(shared(backend, optimizer, which) for backend in ("cpu", "numpy")))


ONE = table.Part(p=0x1000, g=0x2000, m=0x3000, v=0x4000, size=0x100)
OTHER = table.Part(p=0x5000, g=0x6000, m=0x7000, v=0x8000, size=0x100)
TOGETHER = {
    "apart": (OTHER, True),
    "one behind the other": (OTHER._replace(p=0x1400), True),
    "two names": (OTHER._replace(p=0x1000), False),
    "the last number": (OTHER._replace(p=0x13FC), False),
    "one moment": (OTHER._replace(m=0x4000), False),
    "a gradient of its own": (OTHER._replace(g=0x5000), True),
    "one gradient": (OTHER._replace(g=0x2000), True),
    "the other's parameter for a gradient": (OTHER._replace(g=0x1000), False),
    "the end of the other's moment": (OTHER._replace(g=0x33FC), False),
    "behind the other's moment": (OTHER._replace(g=0x3400), True),
    "rows before a moment": (OTHER._replace(g=0x2F00, width=16, row_count=4), True),
    "rows into a moment": (OTHER._replace(g=0x2F00, width=16, row_count=5), False),
    "without momentum": (OTHER._replace(m=0, v=0), True),
}


@pytest.mark.parametrize("which", TOGETHER)
def test_parts_step_together_if_nothing_is_shared(which):
    """Whether or not threads would have met there: an address is compared, not a result."""
    other, together = TOGETHER[which]
    for parts in ([ONE, other], [other, ONE]):
        found = list(table.in_turn(parts, np.dtype(np.float32)))
        assert found == ([parts] if together else [[part] for part in parts])


@pytest.mark.parametrize("optimizer", [SGD(0.1), AdamW(0.1)], ids=repr)
def test_what_was_apart_in_one_step_may_share_memory_in_the_next(optimizer):
    """What stays where it is, is looked at once; gradients are, in every step."""

    def steps(backend):
        memory, other, g, h = np.random.default_rng(0).standard_normal((4, 30, 64))
        parameters = {"a": memory, "b": other}
        state = optimizer.init(parameters)
        for gradients in ({"a": g, "b": h}, {"a": g, "b": h}, {"a": other, "b": h}, {"a": h, "b": memory[:]}):
            optimizer.update(parameters, gradients, state, backend=backend)
        return parameters | state

    before = table._written.cache_info()
    found = steps("cpu")
    after = table._written.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (1, 3)
    same(found, steps("numpy"))


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
@pytest.mark.parametrize("which", ["a gradient of its own", "a gradient beside it"])
def test_a_gradient_is_read_before_its_parameter_changes(backend, which):
    def apart(optimizer):
        memory = np.random.default_rng(0).standard_normal((4, 60 * B // 64, 64)).astype(np.float32)[0]
        p, g = (memory, memory) if which == "a gradient of its own" else (memory[:-1], memory[1:])
        parameters = {"a": p.copy()}
        state = optimizer.init(parameters)
        for _ in range(2):
            optimizer.update(parameters, {"a": g.copy()}, state, backend=backend)
            p[...] = parameters["a"]
        return {"memory": memory} | state

    found = shared(backend, AdamW(0.1), which)
    del found["other"]
    same(found, apart(AdamW(0.1)))


def test_rows_that_do_not_lie_side_by_side_are_read():
    p = {"w": np.ones((8, 3))}
    rows = RowGradient(np.arange(8, dtype=np.int32)[::-2][::-1], np.ones((4, 3)), (8, 3))
    same(*(stepped(Adam(0.1), p, {"w": rows}, backend) for backend in ("cpu", "numpy")))
    rows = rows._replace(rows=np.arange(8)[::2])
    same(*(stepped(Adam(0.1), p, {"w": rows}, backend) for backend in ("cpu", "numpy")))


def test_a_step_that_fails_does_not_count(monkeypatch):
    def fails(*arguments):
        raise KeyboardInterrupt

    p = {"w": np.ones((8, 3))}
    state = Adam(0.1).init(p)
    monkeypatch.setattr(table.threads, "run", fails)
    with pytest.raises(KeyboardInterrupt):
        Adam(0.1).update(p, {"w": p["w"].copy()}, state, backend="cpu")
    assert state["w/step"] == 0


# ── norms ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [1, 5, 31, 32, 33, B - 1, B, B + 1, 3 * B + 77])
def test_sums_of_squares_are_right_to_double_precision(dtype, count):
    rng = np.random.default_rng(count)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in (count, (0, 3), (2, 3))]
    for found, array in zip(cpu.update_kernels().sums_of_squares(arrays), arrays, strict=True):
        assert found == pytest.approx(math.fsum(float(x) ** 2 for x in array.ravel()), rel=1e-15)


@given(seed=st.integers(0, 999), size=st.floats(1e-30, 1e30), count=st.integers(1, 2000))
@settings(max_examples=40, deadline=None)
def test_the_norm_is_no_less_accurate_than_numpys(seed, size, count):
    g = (np.random.default_rng(seed).standard_normal(count) * size).astype(np.float32)
    right = math.sqrt(math.fsum(float(x) ** 2 for x in g))
    ours, numpys = (clipping_factor({"g": g}, 1.0, backend=backend)[1] for backend in ("cpu", "numpy"))
    assert abs(ours - right) <= max(abs(numpys - right), 1e-15 * right)


@pytest.mark.parametrize("place", [0, 40, B + 3, 2 * B])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_found_wherever_it_is(place, wrong):
    g = np.ones(2 * B + 1, np.float32)
    g[place] = wrong
    with pytest.raises(ValueError, match=rf"gradients must be finite, got .* in that of g at index \({place},\)"):
        clip_by_global_norm({"a": np.ones(3, np.float32), "g": g}, 1.0, backend="cpu")


# ── an embedding's gradient ───────────────────────────────────────────────────────────────────────────────────


@given(
    V=st.sampled_from([1, 3, 50, 70_000]),
    D=st.integers(1, 40),
    count=st.integers(1, 200),
    padding=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_sums_by_token_are_right(V, D, count, padding, dtype, seed):
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, V, count)
    dvectors = rng.standard_normal((count, D)).astype(dtype)
    found = []
    for backend in ("cpu", "numpy"):
        layer = Embedding(V, D, 0 if padding else None, dtype=dtype, backend=backend, seed=0)
        _, tape = layer.forward(tokens)
        found.append(layer.backward(tape, dvectors, sparse=True)["weight"])
    ours, numpys = found
    np.testing.assert_array_equal(ours.rows, numpys.rows)
    np.testing.assert_allclose(ours.values, numpys.values, atol=count * np.finfo(dtype).eps)  # NumPy adds up in pairs
    expected = np.zeros((V, D))
    np.add.at(expected, tokens, dvectors.astype(np.float64))
    if padding:
        expected[0] = 0
    np.testing.assert_allclose(ours.to_dense(), expected, atol=1e-4)


@pytest.mark.parametrize("count", [127, 128, 129, 256, 257, 100_000])
def test_a_token_that_comes_often_is_as_exact_as_another(count):
    vectors = np.random.default_rng(0).normal(0.5, 1, (count, 3)).astype(np.float32)
    layer = Embedding(2, 3, backend="cpu", seed=0)
    _, tape = layer.forward(np.ones(count, int))
    right = vectors.sum(0, dtype=np.float64)
    np.testing.assert_allclose(layer.backward(tape, vectors)["weight"][1], right, rtol=4e-7)


@pytest.mark.parametrize("tied", [False, True])
def test_a_model_gives_arrays_unless_it_is_asked_for_rows(tied):
    model = LanguageModel(50, 6, tied=tied, seed=0)
    tokens = np.array([[3, 7, 7], [9, 3, 1]])
    batch = Batch(tokens, tokens)
    plain = model.loss_and_gradients(batch).gradients
    rows = model.loss_and_gradients(batch, rows=True).gradients
    assert all(isinstance(g, np.ndarray) for g in plain.values())
    assert isinstance(rows["embedding.weight"], RowGradient) is not tied
    if not tied:
        np.testing.assert_array_equal(rows["embedding.weight"].rows, [1, 3, 7, 9])
        rows["embedding.weight"] = rows["embedding.weight"].to_dense()
    same(plain, rows)
    z, _, tape = model.forward(tokens)
    assert all(isinstance(g, np.ndarray) for g in model.backward(tape, z)[-1].values())


# ── threads ───────────────────────────────────────────────────────────────────────────────────────────────────


def everything():
    """What the loops make of arrays of several blocks."""
    found: dict[str, np.ndarray] = {}
    for dtype in DTYPES:
        parameters, gradients = drawn([(3 * B + 5,), (40, 17), (), (900, 33)], dtype)
        gradients["3"] = some_rows((900, 33), list(range(0, 900, 7)), dtype)
        for optimizer in OPTIMIZERS:
            if not (isinstance(optimizer, Adam) and optimizer.eps == 0):
                result = stepped(optimizer, parameters, gradients, "cpu", scale=0.7)
                found |= {f"{dtype} {optimizer} {name}": array for name, array in result.items()}
        found[f"{dtype} norm"] = np.array(clipping_factor(gradients, 1.0, backend="cpu")[1])
        layer = Embedding(90, 33, 4, dtype=dtype, backend="cpu", seed=0)
        tokens = np.random.default_rng(0).integers(0, 90, 500) * (np.arange(500) % 2)  # 0 comes often
        vectors, tape = layer.forward(tokens)
        found[f"{dtype} rows"] = layer.backward(tape, vectors)["weight"]
    found |= {f"{which} {name}": array for which in SHARED for name, array in shared("cpu", SGD(0.1), which).items()}
    return found


def same_bits():
    pool = observe()
    numba.set_num_threads(1)
    expected = everything()
    assert not pool.counts
    for count in (2, 3, 4):
        numba.set_num_threads(count)
        same(everything(), expected)
        assert max(pool.counts) == count


def test_bits_do_not_depend_on_threads():
    in_a_process(same_bits, **FOUR)


def test_little_work_stays_on_the_calling_thread(monkeypatch):
    def never(*arguments):
        raise AssertionError("the pool was asked")

    monkeypatch.setattr(threads._pool, "run", never)
    model = SequenceClassifier(2, 8, input_size=3, seed=0)
    batch = Batch(np.ones((4, 5, 3), np.float32), np.array([0, 1, 1, 0]))
    gradients = model.loss_and_gradients(batch).gradients
    scale, _ = clipping_factor(gradients, 1.0)
    Adam(0.1).update(model.parameters, gradients, Adam(0.1).init(model.parameters), scale=scale)


def test_subnormal_numbers_stay_what_they_are():
    p = {"w": np.ones(300, np.float32)}
    optimizer = Adam(1e-3, eps=0)
    state = optimizer.init(p)
    optimizer.update(p, {"w": np.full(300, 1e-20, np.float32)}, state, backend="cpu")
    assert (state["w/v"] > 0).all()
    assert (state["w/v"] < np.finfo(np.float32).tiny).all()


@pytest.mark.parametrize("optimizer", [Adam(0.01), SGD(0.1, momentum=0.9)], ids=repr)
def test_a_run_with_rows_ends_in_the_bits_of_one_without(optimizer):
    """`fit` asks for rows where a model knows the question; through a wrapper that doesn't, it gets arrays."""

    class Plain:
        def __init__(self, model):
            self.parameters, self.frozen, self.config = model.parameters, model.frozen, model.config
            self.model, self.evaluate = model, model.evaluate

        def loss_and_gradients(self, batch, *, state, needs, rng):
            step = self.model.loss_and_gradients(batch, state=state, needs=needs, rng=rng)
            assert all(isinstance(g, np.ndarray) for g in step.gradients.values())
            return step

    tokens = np.random.default_rng(0).integers(0, 300, 400)
    one, other = (LanguageModel(300, 5, seed=0) for _ in range(2))
    for model in (one, Plain(other)):
        stream = TextStream(tokens, batch_size=2, steps=10)
        fit(model, stream, optimizer=optimizer, epochs=2, clip_norm=0.5, progress=False)
    same(dict(one.parameters), dict(other.parameters))
