"""`MultiTask` and `Mixture`: one core for several tasks, against models of one task each and the complex step."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from rnn_core import SequenceClassifier, load, save
from rnn_core.checking.complex_step import EPSILON
from rnn_core.data import Batch, Examples, TextStream
from rnn_core.training import SGD, Adam, fit
from transfer import copy_parameters, freeze
from transfer.tasks.heads import Head
from transfer.tasks.mixture import Mixture, TaskBatch
from transfer.tasks.multitask import MultiTask

CELLS = ("rnn", "lstm", "gru")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((5, 4, 3))
LENGTHS = np.array([4, 2, 3, 1, 4])
CLASSES, ANSWERS = RNG.integers(0, 3, 5), RNG.integers(0, 2, 5)


def two_tasks(cell="lstm", weights=(0.7, 2.5), **options):
    heads = {"many": Head(3, weight=weights[0]), "one": Head(1, "binary", weight=weights[1])}
    return MultiTask(heads, 4, input_size=3, cell=cell, dtype=np.float64, seed=1, **options)


def both() -> TaskBatch:
    return TaskBatch({"many": Batch(X, CLASSES, LENGTHS), "one": Batch(X[:3] + 1, ANSWERS[:3])})


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
def test_the_gradient_of_the_core_is_the_weighted_sum_of_the_tasks(cell, options):
    model = two_tasks(cell, **options)
    expected: dict[str, np.ndarray] = {}
    for task, count, weight in (("many", 3, 0.7), ("one", 1, 2.5)):
        single = SequenceClassifier(count, 4, input_size=3, cell=cell, dtype=np.float64, seed=9, **options)
        for name, array in single.parameters.items():
            array[...] = model.parameters[name.replace("head.", f"heads.{task}.")]
        step = single.loss_and_gradients(both().tasks[task])
        for name, gradient in step.gradients.items():
            name = name.replace("head.", f"heads.{task}.")
            expected[name] = expected.get(name, 0) + weight * gradient
        expected["loss"] = expected.get("loss", 0) + weight * step.loss
    step = model.loss_and_gradients(both())
    assert abs(step.loss - expected.pop("loss")) < 1e-12
    assert list(step.gradients) == list(model.parameters)
    assert expected.keys() == step.gradients.keys()
    for name, gradient in step.gradients.items():
        np.testing.assert_allclose(gradient, expected[name], rtol=0, atol=1e-12, err_msg=name)
    assert step.count == 8


HEADS = {
    "classes": Head(3, pooling="mean"),
    "numbers": Head(2, "squared", pooling="last", weight=0.3),
    "number": Head(1, "squared", pooling="max"),
    "labels": Head(2, "binary", pooling="mean", weight=2),
    "next": Head(4, pooling=None),
    "signal": Head(1, "squared", pooling=None),
    "pair": Head(2, "squared", pooling=None),
}


def every_kind() -> TaskBatch:
    rng, inputs = np.random.default_rng(3), np.array([[1, 2, 3, 0], [2, 5, 0, 0], [4, 4, 1, 2]])
    lengths, weights = np.array([3, 2, 4]), np.array([1.0, 0.5, 2.0])
    targets = {
        "classes": rng.integers(0, 3, 3),
        "numbers": rng.standard_normal((3, 2)),
        "number": rng.standard_normal(3),
        "labels": rng.integers(0, 2, (3, 2)),
        "next": rng.integers(0, 4, (3, 4)),
        "signal": rng.standard_normal((3, 4)),
        "pair": rng.standard_normal((3, 4, 2)),
    }
    targets["signal"][0, 3] = np.nan  # padding
    targets["pair"][1, 2:] = np.inf
    return TaskBatch({task: Batch(inputs, target, lengths, weights) for task, target in targets.items()})


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_every_kind_of_head_by_the_complex_step(cell):
    model = MultiTask(HEADS, 3, vocab_size=6, embedding_size=2, cell=cell, dtype=np.float64, seed=2, dropout=0.2)
    claimed, twin = model.loss_and_gradients(every_kind(), rng=4).gradients, model.astype(np.complex128)
    for name, array in twin.parameters.items():
        for place in np.ndindex(array.shape):
            exact = array[place]
            array[place] = exact + 1j * EPSILON
            derivative = twin.loss_and_gradients(every_kind(), needs=(), rng=4).loss.imag / EPSILON
            array[place] = exact
            assert abs(claimed[name][place] - derivative) <= 1e-12 * max(1, abs(derivative)), (name, place)


def test_only_what_is_needed_is_computed():
    model = two_tasks()
    every = model.loss_and_gradients(both()).gradients
    freeze(model, "rnn.*")
    some = model.loss_and_gradients(both()).gradients
    assert set(some) == {name for name in model.parameters if name.startswith("heads.")}
    assert all((some[name] == every[name]).all() for name in some)
    with pytest.raises(ValueError, match=r"MultiTask\.loss_and_gradients: needs must name"):
        model.loss_and_gradients(both(), needs={"head.weight"})


def test_a_head_without_its_turn_has_no_gradient():
    model = two_tasks()
    step = model.loss_and_gradients(TaskBatch({"many": Batch(X, CLASSES)}))
    assert set(step.gradients) == set(model.parameters)
    assert not step.gradients["heads.one.weight"].any()
    assert step.gradients["rnn.weight_hh_l0"].any()


def test_one_task_is_a_classifier_bit_by_bit():
    single = SequenceClassifier(3, 4, input_size=3, seed=5)
    model = MultiTask({"only": Head(3)}, 4, input_size=3, seed=5)
    assert (model.parameters["rnn.weight_hh_l0"] == single.parameters["rnn.weight_hh_l0"]).all()
    copy_parameters(single, model, rename={"head.*": "heads.only.*"})
    data = Examples(X.astype(np.float32), CLASSES, batch_size=2)
    fit(single, data, optimizer=Adam(0.01), epochs=3, progress=False)
    fit(model, Mixture({"only": data}, sampling="together"), optimizer=Adam(0.01), epochs=3, progress=False)
    for name, array in single.parameters.items():
        assert (array == model.parameters[name.replace("head.", "heads.only.")]).all(), name
    assert (model("only", data.inputs) == single(data.inputs)).all()


def test_evaluation_is_over_all_targets():
    model = MultiTask(HEADS, 3, vocab_size=6, dtype=np.float64, seed=2)
    batch = every_kind()
    loss = correct = count = 0.0
    for task, part in batch.tasks.items():
        found = model.evaluate(TaskBatch({task: part}))
        step = model.loss_and_gradients(TaskBatch({task: part}), rng=0)
        np.testing.assert_allclose(step.loss, model.heads[task].weight * found.loss / found.count, rtol=1e-14)
        assert step.count == found.count == (3.5 if HEADS[task].pooling else 12)
        loss, count, correct = loss + found.loss, count + found.count, correct + found.correct
    found = model.evaluate(batch)
    np.testing.assert_allclose((found.loss, found.count, found.correct), (loss, count, correct))
    logits = model("labels", batch.tasks["labels"].inputs, batch.tasks["labels"].lengths)
    right = ((logits > 0) == batch.tasks["labels"].targets).all(axis=1)
    assert model.evaluate(TaskBatch({"labels": batch.tasks["labels"]})).correct == right @ [1, 0.5, 2]


def test_a_model_is_saved_and_trains_on(tmp_path):
    model = MultiTask(HEADS, 3, vocab_size=6, seed=2, backend="numpy")
    save(model, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors", backend="numpy")
    assert again.heads == model.heads
    tokens = every_kind().tasks["next"].inputs
    assert all((again(task, tokens) == model(task, tokens)).all() for task in HEADS)
    assert list(model.groups) == ["embedding", "rnn.l0", *(f"heads.{task}" for task in HEADS)]


def test_a_run_is_resumed_to_the_same_bits(tmp_path):
    def run(epochs, **options):
        model = two_tasks()
        tasks = {"many": Examples(X, CLASSES, batch_size=2), "one": Examples(X + 1, ANSWERS, batch_size=3)}
        mixture = Mixture(tasks, sampling="uniform")
        history = fit(
            model, mixture, optimizer=Adam(0.02), epochs=epochs, validation=mixture, clip_norm=1.0, progress=False,
            **options,
        )  # fmt: skip
        return model, history

    whole, history = run(4)
    run(2, checkpoint=tmp_path)
    parts, resumed = run(4, checkpoint=tmp_path, resume=True)
    assert all((array == parts.parameters[name]).all() for name, array in whole.parameters.items())
    assert history == resumed
    assert history[-1].loss < history[0].loss


def data(batches: int) -> Examples:
    return Examples(np.zeros((batches, 1, 1)), np.arange(batches), batch_size=1)


@pytest.mark.parametrize(
    "sampling, steps",
    [
        ("proportional", [81, 9, 1]),
        (1.0, [81, 9, 1]),
        (2.0, [63, 21, 7]),
        (1e9, [31, 30, 30]),
        ("uniform", [31, 30, 30]),
    ],
)
def test_tasks_have_their_share(sampling, steps):
    mixture = Mixture({"a": data(81), "b": data(9), "c": data(1)}, sampling=sampling)
    assert len(mixture) == 91
    drawn = [next(iter(mixture.batch(0, k).tasks)) for k in range(91)]
    assert sorted(Counter(drawn).values()) == sorted(steps)
    assert list(mixture.steps.values()) in (steps, [30, 31, 30], [30, 30, 31])
    assert drawn != [next(iter(mixture.batch(1, k).tasks)) for k in range(91)]


def test_a_share_is_at_least_one_step():
    assert Mixture({"a": data(500), "b": data(1), "c": data(1)}, length=5).steps == {"a": 3, "b": 1, "c": 1}
    assert Mixture({"a": data(2), "b": data(2)}, length=2).steps == {"a": 1, "b": 1}


@pytest.mark.parametrize("sampling", ["proportional", "uniform", "together", 3.0])
def test_every_batch_has_its_turn(sampling):
    mixture = Mixture({"a": data(5), "b": data(3)}, sampling=sampling, length=7)
    seen: dict[str, list[int]] = {"a": [], "b": []}
    for epoch in range(9):
        for index in range(7):
            for task, batch in mixture.batch(epoch, index).tasks.items():
                seen[task].append(int(batch.targets[0]))
    for task, size in (("a", 5), ("b", 3)):
        times = Counter(seen[task])
        assert len(times) == size
        assert max(times.values()) - min(times.values()) <= 1
        whole = len(seen[task]) // size
        assert all(sorted(seen[task][k * size :][:size]) == list(range(size)) for k in range(whole))


def test_a_batch_depends_on_its_place_alone():
    mixture, other = (Mixture({"a": data(5), "b": data(3)}, seed=3) for _ in range(2))
    places = [(epoch, index) for epoch in range(3) for index in range(8)]
    forwards = [mixture.batch(*place) for place in places]
    backwards = [other.batch(*place) for place in reversed(places)][::-1]
    assert [repr(batch) for batch in forwards] == [repr(batch) for batch in backwards]


@pytest.mark.parametrize(
    "arguments, error, says",
    [
        ({"sources": {}}, ValueError, "sources must be batches by the name of their task"),
        ({"sources": {"a": [1]}}, TypeError, r"sources\['a'\] must be batches, such as .*, got list"),
        ({"sampling": "often"}, ValueError, "sampling must be 'proportional', 'uniform', 'together' or a temperature"),
        ({"sampling": 0}, ValueError, "sampling must be .* above 0, got 0"),
        ({"sampling": float("nan")}, ValueError, "sampling must be .* above 0, got nan"),
        ({"length": 1}, ValueError, "length must be at least 2, a step for each task, got 1"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
    ],
)
def test_a_mixture_checks_its_arguments(arguments, error, says):
    with pytest.raises(error, match=f"Mixture: {says}"):
        Mixture(**{"sources": {"a": data(2), "b": data(2)}, **arguments})


def test_a_mixture_has_no_batch_beyond_its_length():
    with pytest.raises(ValueError, match=r"Mixture\.batch: index must be below 2"):
        Mixture({"a": data(2)}).batch(0, 2)


def test_no_state_is_carried():
    stream = TextStream(np.arange(9) % 4, batch_size=2, steps=2)
    mixture = Mixture({"text": stream})
    assert any(stream.batch(0, k).carry for k in range(len(stream)))
    assert not any(mixture.batch(0, k).carry for k in range(len(mixture)))
    model = MultiTask({"text": Head(4, pooling=None)}, 3, vocab_size=4)
    assert len(fit(model, mixture, optimizer=SGD(0.1), epochs=2, progress=False)) == 2


@pytest.mark.parametrize(
    "arguments, error, says",
    [
        ({"outputs": 0}, ValueError, "outputs must be at least 1, got 0"),
        ({"outputs": 1}, ValueError, "outputs must be at least 2 with loss='softmax', got 1; loss='binary'"),
        ({"loss": "hinge"}, ValueError, "loss must be one of 'softmax', 'binary', 'squared', got 'hinge'"),
        ({"weight": 0}, ValueError, "weight must be above 0 and finite, got 0; leave the task out"),
        ({"weight": "1"}, TypeError, "weight must be a number, got '1'"),
    ],
)
def test_a_head_checks_its_arguments(arguments, error, says):
    with pytest.raises(error, match=f"Head: {says}"):
        Head(**{"outputs": 3, **arguments})


@pytest.mark.parametrize(
    "arguments, error, says",
    [
        ({"heads": {}}, ValueError, "heads must be at least one Head"),
        ({"heads": {"a.b": Head(2)}}, ValueError, "heads must have names of letters, digits and _, got 'a.b'"),
        ({"heads": {"a": 3}}, TypeError, r"heads\['a'\] must be a Head, got int"),
        ({"vocab_size": 4}, ValueError, "one of input_size .for features. and vocab_size"),
        ({"padding_idx": 0}, ValueError, "embedding_size and padding_idx must be left out with input_size"),
        ({"cell": "tree"}, ValueError, "cell must be one of"),
        ({"hidden_size": 0}, ValueError, "hidden_size must be at least 1"),
    ],
)
def test_a_model_checks_its_arguments(arguments, error, says):
    with pytest.raises(error, match=f"MultiTask: {says}"):
        MultiTask(**{"heads": {"a": Head(2)}, "hidden_size": 3, "input_size": 2, **arguments})


@pytest.mark.parametrize(
    "batch, error, says",
    [
        (Batch(X, CLASSES), TypeError, "batch must be a TaskBatch .* got Batch; a Mixture makes them"),
        (TaskBatch({}), TypeError, "batch must be a TaskBatch with a batch for at least one task"),
        (TaskBatch({"other": Batch(X, CLASSES)}), ValueError, "task must be one of many, one, got 'other'"),
        (TaskBatch({"many": Batch(X, CLASSES[:2])}), ValueError, r"targets of many must have shape \(5,\), got \(2,\)"),
        (TaskBatch({"many": Batch(X[..., :2], CLASSES)}), ValueError, r"x must have shape \(B, T, 3\)"),
    ],
)
def test_a_batch_must_fit(batch, error, says):
    for method in ("loss_and_gradients", "evaluate"):
        with pytest.raises(error, match=rf"MultiTask\.({method}|__call__): {says}"):
            getattr(two_tasks(), method)(batch)


def test_each_head_of_a_bidirectional_core_can_be_copied():
    model = two_tasks(bidirectional=True)
    for task, count in (("many", 3), ("one", 1)):
        single = SequenceClassifier(count, 4, input_size=3, bidirectional=True, dtype=np.float64, seed=9)
        copy_parameters(model, single, rename={f"heads.{task}.*": "head.*"})
        assert (single(X) == model(task, X)).all()
