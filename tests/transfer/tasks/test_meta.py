"""Meta-learning: its gradients against the whole inner loop on complex numbers, and against what it must reduce to."""

from __future__ import annotations

import numpy as np
import pytest

from examples.reptile_sines import MLP, errors, joint, main, wave, waves
from rnn_core import LanguageModel, SequenceClassifier
from rnn_core.checking.complex_step import EPSILON
from rnn_core.data import Batch
from rnn_core.training import SGD, Adam, fit
from tests.training_cases import Line
from transfer import freeze
from transfer.tasks.adaptation import adapt, hessian_vector_product
from transfer.tasks.episodes import Episode, Task, Tasks
from transfer.tasks.meta import MAML, Reptile

CELLS = ("rnn", "lstm", "gru")
RATE = 0.5
RNG = np.random.default_rng(1)
TASKS = tuple(
    Task(
        [Batch(RNG.standard_normal((4, 3, 2)), RNG.integers(0, 2, 4), np.array([3, 1, 2, 3])) for _ in range(2)],
        Batch(RNG.standard_normal((3, 3, 2)), RNG.integers(0, 2, 3)),
    )
    for _ in range(2)
)


def classifier(cell="lstm", **options):
    return SequenceClassifier(2, 3, input_size=2, cell=cell, **{"dtype": np.float64, "seed": 2, **options})


def widened(batch):
    return batch._replace(inputs=batch.inputs.astype(np.complex128))


def after_adapting(model, task, rate=RATE):
    """Return the query's loss after the inner loop, written out once more, in the model's own numbers."""
    if model.dtype.kind == "c":
        task = Task([widened(batch) for batch in task.support], widened(task.query))
    start = model.state_dict()
    for batch in task.support:
        gradients = model.loss_and_gradients(batch).gradients
        for name, gradient in gradients.items():
            model.parameters[name][...] = model.parameters[name] - rate * gradient
    loss = model.loss_and_gradients(task.query, needs=()).loss
    model.load_state_dict(start)
    return loss


def places(model):
    return [(name, place) for name, array in model.parameters.items() for place in np.ndindex(array.shape)]


@pytest.mark.parametrize("cell", CELLS)
def test_maml_against_the_complex_step_of_the_whole_inner_loop(cell):
    model, task = classifier(cell), TASKS[0]
    step = MAML(model, RATE).loss_and_gradients(Episode((task,)))
    twin = model.astype(np.complex128)
    np.testing.assert_allclose(step.loss, after_adapting(twin, task).real, rtol=1e-14)
    for name, place in places(model):
        exact = twin.parameters[name][place]
        twin.parameters[name][place] = exact + 1j * EPSILON
        derivative = after_adapting(twin, task).imag / EPSILON
        twin.parameters[name][place] = exact
        assert abs(step.gradients[name][place] - derivative) < 1e-10 * max(1e-2, abs(derivative)), (name, place)


@pytest.mark.parametrize("cell", CELLS)
def test_maml_against_central_differences_of_the_whole_inner_loop(cell):
    model, task, h = classifier(cell), TASKS[1], 1e-5
    step = MAML(model, RATE).loss_and_gradients(Episode((task,)))
    for name, place in places(model):
        exact = model.parameters[name][place]
        losses = []
        for sign in (1, -1):
            model.parameters[name][place] = exact + sign * h
            losses.append(after_adapting(model, task))
        model.parameters[name][place] = exact
        assert abs(step.gradients[name][place] - (losses[0] - losses[1]) / (2 * h)) < 1e-6 * 1e-2, (name, place)


def test_maml_with_dropout_draws_each_mask_again():
    model, h = classifier(num_layers=2, dropout=0.4), 1e-5
    learner, rng = MAML(model, RATE), np.random.default_rng(3)
    way = {name: rng.standard_normal(array.shape) for name, array in model.parameters.items()}
    gradients = learner.loss_and_gradients(Episode(TASKS), rng=5).gradients
    losses = []
    for sign in (1, -1):
        for name, array in model.parameters.items():
            array += sign * h * way[name]
        losses.append(learner.loss_and_gradients(Episode(TASKS), rng=5).loss)
        for name, array in model.parameters.items():
            array -= sign * h * way[name]
    slope = sum(float((gradients[name] * way[name]).sum()) for name in way)
    assert abs(slope - (losses[0] - losses[1]) / (2 * h)) < 1e-8
    assert losses[0] != learner.loss_and_gradients(Episode(TASKS), rng=6).loss


@pytest.mark.parametrize("cell", CELLS)
def test_first_order_is_the_second_without_its_hessians(cell):
    model, task = classifier(cell), Task(TASKS[0].support[:1], TASKS[0].query)
    first = MAML(model, RATE, first_order=True).loss_and_gradients(Episode((task,))).gradients
    second = MAML(model, RATE).loss_and_gradients(Episode((task,))).gradients
    product = hessian_vector_product(model, task.support[0], first)
    assert max(abs(RATE * hv).max() for hv in product.values()) > 1e-3
    for name, gradient in second.items():
        np.testing.assert_array_equal(gradient, first[name] - RATE * product[name])
    adapt(model, task.support, SGD(RATE))
    for name, gradient in model.loss_and_gradients(task.query).gradients.items():
        np.testing.assert_array_equal(gradient, first[name])


@pytest.mark.parametrize("cell", CELLS)
def test_a_hessian_is_symmetric_and_linear(cell):
    model, batch = classifier(cell), TASKS[0].support[0]
    rng = np.random.default_rng(0)
    u, v = ({name: rng.standard_normal(a.shape) for name, a in model.parameters.items()} for _ in range(2))
    hu, hv = hessian_vector_product(model, batch, u), hessian_vector_product(model, batch, v)
    inner = lambda a, b: sum(float((a[name] * b[name]).sum()) for name in a)
    assert abs(inner(u, hv) - inner(v, hu)) < 1e-12
    both = hessian_vector_product(model, batch, {name: 3 * u[name] - v[name] for name in u})
    for name in both:
        np.testing.assert_allclose(both[name], 3 * hu[name] - hv[name], rtol=0, atol=1e-13)


def test_a_hessian_of_tokens_with_dropout_against_central_differences():
    model = LanguageModel(5, 4, num_layers=2, tied=True, dropout=0.3, dtype=np.float64, seed=0)
    tokens = np.array([[0, 1, 2, 3], [4, 2, 0, 0]])
    batch, rng = Batch(tokens, (tokens + 1) % 5, np.array([4, 2])), np.random.default_rng(0)
    v = {name: rng.standard_normal(array.shape) for name, array in model.parameters.items()}
    product, sides, h = hessian_vector_product(model, batch, v, rng=7), [], 1e-5
    for sign in (1, -1):
        for name, array in model.parameters.items():
            array += sign * h * v[name]
        sides.append(model.loss_and_gradients(batch, rng=7).gradients)
        for name, array in model.parameters.items():
            array -= sign * h * v[name]
    for name in v:
        np.testing.assert_allclose(product[name], (sides[0][name] - sides[1][name]) / (2 * h), rtol=0, atol=1e-8)


def test_a_float32_model_has_the_product_of_its_float64_twin():
    model, batch = classifier(dtype=np.float32), TASKS[0].support[0]
    small = {name: np.full(array.shape, 1e-12, np.float32) for name, array in model.parameters.items()}
    product = hessian_vector_product(model, batch._replace(inputs=batch.inputs.astype(np.float32)), small)
    batch = batch._replace(inputs=batch.inputs.astype(np.float32).astype(np.float64))
    exact = hessian_vector_product(model.astype(np.float64), batch, {n: v.astype(float) for n, v in small.items()})
    for name in product:
        assert product[name].dtype == np.float32
        np.testing.assert_allclose(product[name], exact[name], rtol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_reptile_with_one_step_is_joint_training(cell):
    def draw(rng):
        return Task([Batch(rng.standard_normal((4, 3, 2)), rng.integers(0, 2, 4))])

    class Joint(Tasks):
        def batch(self, epoch, index):
            return super().batch(epoch, index).tasks[0].support[0]

    reptile, joint = classifier(cell), classifier(cell)
    fit(Reptile(reptile, SGD(0.2)), Tasks(draw, 10), optimizer=SGD(0.5), epochs=2, progress=False)
    fit(joint, Joint(draw, 10), optimizer=SGD(0.2 * 0.5), epochs=2, progress=False)
    for name, array in joint.parameters.items():
        np.testing.assert_allclose(reptile.parameters[name], array, rtol=0, atol=1e-14)


def test_reptile_goes_where_its_tasks_lead():
    model = classifier()
    start = model.state_dict()
    step = Reptile(model, Adam(0.1)).loss_and_gradients(Episode(TASKS))
    assert all((array == start[name]).all() for name, array in model.parameters.items())
    ends, losses = [], []
    for task in TASKS:
        losses += adapt(model, task.support, Adam(0.1))
        ends.append(model.state_dict())
        model.load_state_dict(start)
    assert step.loss == pytest.approx(np.mean(losses), rel=1e-15)
    for name, gradient in step.gradients.items():
        np.testing.assert_allclose(start[name] - gradient, (ends[0][name] + ends[1][name]) / 2, atol=1e-15)


@pytest.mark.parametrize("learner", [lambda m: Reptile(m, SGD(0.3)), lambda m: MAML(m, 0.3)])
def test_an_episode_is_the_mean_of_its_tasks(learner):
    model = classifier()
    whole = learner(model).loss_and_gradients(Episode(TASKS))
    parts = [learner(model).loss_and_gradients(Episode((task,))) for task in TASKS]
    assert whole.loss == pytest.approx(np.mean([part.loss for part in parts]), rel=1e-15)
    assert whole.count == sum(part.count for part in parts)
    for name, gradient in whole.gradients.items():
        mean = (parts[0].gradients[name] + parts[1].gradients[name]) / 2
        np.testing.assert_allclose(gradient, mean, rtol=0, atol=1e-15)


@pytest.mark.parametrize("learner", [lambda m: Reptile(m, SGD(0.3)), lambda m: MAML(m, 0.3)])
def test_what_is_frozen_neither_adapts_nor_trains(learner):
    model = classifier(num_layers=2)
    freeze(model, "rnn.l0")
    start = model.state_dict()
    tasks = Tasks(lambda rng: TASKS[rng.integers(2)], 3)
    fit(learner(model), tasks, optimizer=SGD(0.1), epochs=1, validation=tasks, progress=False)
    changed = {name for name, array in model.parameters.items() if (array != start[name]).any()}
    assert changed == {name for name in start if "l0" not in name}


@pytest.mark.parametrize("learner", [lambda m: Reptile(m, Adam(0.02)), lambda m: MAML(m, 0.3)])
def test_a_run_is_resumed_to_the_same_bits(learner, tmp_path):
    def run(epochs, **options):
        model = classifier(dropout=0.2)
        tasks = Tasks(lambda rng: TASKS[rng.integers(2)], 3, tasks_per_step=2)
        history = fit(
            learner(model), tasks, optimizer=Adam(0.02), epochs=epochs, validation=tasks, progress=False, **options
        )
        return model, history

    whole, history = run(3)
    run(1, checkpoint=tmp_path)
    parts, resumed = run(3, checkpoint=tmp_path, resume=True)
    assert all((array == parts.parameters[name]).all() for name, array in whole.parameters.items())
    assert history == resumed


def test_evaluation_is_after_adapting():
    model = classifier()
    start = model.state_dict()
    found = MAML(model, RATE).evaluate(Episode(TASKS))
    assert found.loss == pytest.approx(sum(3 * after_adapting(model, task) for task in TASKS), rel=1e-14)
    assert found.count == 6
    assert all((array == start[name]).all() for name, array in model.parameters.items())


def test_parameters_are_put_back_when_a_task_fails():
    model = classifier()
    start = model.state_dict()
    bad = Task([TASKS[0].support[0], Batch(np.full((1, 3, 2), np.nan), np.array([0]))])
    with pytest.raises(ValueError, match="must be finite"):
        Reptile(model, SGD(0.1)).loss_and_gradients(Episode((bad,)))
    assert all((array == start[name]).all() for name, array in model.parameters.items())


def test_anything_with_two_names_will_do():
    model = Line()
    x = np.eye(3)
    task = Task([Batch(x, x @ [1.0, 2.0, 3.0])] * 5, Batch(x, x @ [1.0, 2.0, 3.0]))
    for learner in (Reptile(model, SGD(0.1)), MAML(model, 0.1, first_order=True)):
        history = fit(learner, Tasks(lambda rng: task, 50), optimizer=SGD(0.2), epochs=2, progress=False)
        assert history[1].loss < history[0].loss
    with pytest.raises(TypeError, match="MAML: model must have astype, got Line; first_order=True does without"):
        MAML(model, 0.1)


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda m: Reptile(3, SGD(1.0)), TypeError, "Reptile: model must have parameters and loss_and_gradients, got"),
        (lambda m: Reptile(m, 0.1), TypeError, r"Reptile: inner must be an optimizer, such as SGD\(0.01\), got float"),
        (lambda m: MAML(m, 0.0), ValueError, "MAML: rate must be above 0 and finite, got 0"),
        (lambda m: MAML(m, "1"), TypeError, "MAML: rate must be a number, got '1'"),
        (lambda m: adapt(m, TASKS[0].support, None), TypeError, "adapt: optimizer must be an optimizer"),
        (lambda m: adapt(m, TASKS[0].support, SGD(1.0), needs={"w"}), ValueError, "adapt: needs must name some of"),
        (
            lambda m: MAML(m, 0.1).loss_and_gradients(Episode((TASKS[0]._replace(query=None),))),
            ValueError,
            r"MAML\.loss_and_gradients: task must have a query, got None; Task\(support, query\) has one",
        ),
        (
            lambda m: Reptile(m, SGD(0.1)).loss_and_gradients(Episode((Task([]),))),
            ValueError,
            r"Reptile\.loss_and_gradients: support must have a batch for each step, got none",
        ),
        (
            lambda m: MAML(m, 0.1).loss_and_gradients(TASKS[0].query),
            TypeError,
            r"MAML\.loss_and_gradients: batch must be an Episode, got Batch; Tasks makes them",
        ),
        (
            lambda m: hessian_vector_product(m, TASKS[0].query, {"head.bias": np.zeros(3)}),
            ValueError,
            r"hessian_vector_product: vector\['head\.bias'\] must have shape \(2,\), got \(3,\)",
        ),
        (lambda m: hessian_vector_product(m, TASKS[0].query, {"b": 0}), ValueError, "must name some of"),
        (lambda m: Tasks(None, 3), TypeError, "Tasks: draw must be a function of a generator, got NoneType"),
        (lambda m: Tasks(print, 0), ValueError, "Tasks: length must be at least 1, got 0"),
        (
            lambda m: Tasks(np.random.Generator.random, 2).batch(0, 0),
            TypeError,
            r"Tasks\.batch: draw must return a Task, got float",
        ),
        (lambda m: Tasks(lambda rng: TASKS[0], 2).batch(0, 2), ValueError, "Tasks.batch: index must be below 2"),
    ],
)
def test_bad_arguments(call, error, says):
    with pytest.raises(error, match=says):
        call(classifier())


def test_the_perceptron_of_the_example():
    model, batch = MLP(3, seed=0), wave(np.random.default_rng(0))[1]
    claimed, twin = model.loss_and_gradients(batch).gradients, model.astype(np.complex128)
    for name, place in places(model):
        twin.parameters[name][place] += 1j * EPSILON
        derivative = twin.loss_and_gradients(widened(batch)).loss.imag / EPSILON
        twin.parameters[name][place] -= 1j * EPSILON
        assert abs(claimed[name][place] - derivative) <= 1e-12 * max(1, abs(derivative))
    step = MAML(model, 0.02).loss_and_gradients(Episode((Task([batch], batch),)))
    assert step.loss < model.loss_and_gradients(batch).loss


def test_reptile_learns_to_learn_waves():
    """At higher rates than the example's a short run will do."""
    fresh, learned = MLP(32, seed=0), MLP(32, seed=0)
    history = fit(
        Reptile(learned, SGD(0.05)), waves(600, 5, seed=0), optimizer=SGD(0.5), epochs=1, progress=False,
        validation=waves(5, 1, seed=1),
    )  # fmt: skip
    before, after = (errors(model, 0.05, (1, 32), 20) for model in (fresh, learned))
    assert after[0] < 0.75 * before[0]
    assert after[1] < 0.5 * before[1]
    assert history[0].validation_loss < before[0]


def test_the_example_runs(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["reptile_sines.py", "--iterations", "3", "--seeds", "1", "--tests", "2"])
    main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [["Reptile", "seed", "0"], ["joint", "seed", "0"]]


def test_joint_training_has_the_same_batches_in_the_same_order():
    batches = joint(4, 5, seed=3)
    tasks = waves(4, 5, seed=3)
    assert len(batches) == 20
    assert (batches[13].inputs == tasks.batch(0, 2).tasks[0].support[3].inputs).all()
