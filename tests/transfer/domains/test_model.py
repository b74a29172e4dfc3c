"""`DomainAdapted`: a recurrent network with a loss between domains, by the complex step, and what it never reads."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import LanguageModel, SequenceClassifier, SequenceTagger, load, save
from rnn_core.data import Batch, Examples
from rnn_core.training import Adam, fit
from tests import domain_checks as checks
from tests.domain_checks import LOSSES, adapted, domain_batch
from transfer import Plan, fit_plan, freeze
from transfer.domains.batches import SideBySide, Unlabelled
from transfer.domains.losses.correlation import DeepCORAL
from transfer.domains.losses.discrepancy import MMD
from transfer.domains.losses.entropy import EntropyMinimisation
from transfer.domains.model import DomainAdapted

CELLS = ("rnn", "lstm", "gru")


@pytest.mark.parametrize("name", [name for name in LOSSES if "," not in name])
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_through_pooled_states(cell, name):
    checks.model_gradients("classifier", cell, name)


PER_STEP = [(cell, name) for cell in CELLS for name in ("MMD", "conditional", "entropy")]
PER_STEP += [("gru", name) for name in ("MMD unbiased", "CORAL", "adversarial", "confusion", "pseudo-labels")]


@pytest.mark.parametrize(("cell", "name"), PER_STEP)
def test_gradients_through_the_states_of_each_step(cell, name):
    checks.model_gradients("tagger", cell, name)


def test_gradients_with_dropout_layers_and_the_last_state():
    checks.model_gradients("classifier", "gru", "entropy", num_layers=2, dropout=0.3, pooling="last")


@pytest.mark.parametrize("name", ["MMD", "conditional", "entropy"])
def test_padding_says_nothing(name):
    checks.padding_says_nothing(name)


@pytest.mark.parametrize("name", [name for name in LOSSES if "," not in name])
def test_labels_of_the_target_are_not_read(name):
    checks.labels_of_the_target_are_not_read(name)


def test_two_runs_and_a_resumed_one_have_the_same_bits(tmp_path):
    def run(folder, epochs, resume=False):
        model = trained_on(MMD(), cell="gru", dropout=0.2, dtype=np.float32)
        fit(
            model, pair(np.float32), optimizer=Adam(0.01), epochs=epochs, checkpoint=folder, resume=resume,
            validation=Examples(*task(np.float32), batch_size=4), progress=False,
        )  # fmt: skip
        return model.state_dict()

    whole = run(tmp_path / "whole", 3)
    run(tmp_path / "parts", 2)
    with pytest.raises(ValueError, match="loss"):  # another loss is another run
        fit(trained_on(MMD(unbiased=True), cell="gru", dropout=0.2, dtype=np.float32), pair(np.float32),
            optimizer=Adam(0.01), epochs=3, checkpoint=tmp_path / "parts", resume=True, progress=False,
            validation=Examples(*task(np.float32), batch_size=4))  # fmt: skip
    parts = run(tmp_path / "parts", 3, resume=True)
    assert all(np.array_equal(array, parts[name]) for name, array in whole.items())
    best = load(tmp_path / "whole" / "best.safetensors")
    assert isinstance(best, DomainAdapted)
    assert best.domain_loss == MMD()
    assert best.model.parameters["rnn.weight_hh_l0"].any()


def task(dtype=np.float64, n=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 4, 2)).astype(dtype), rng.integers(0, 3, n)


def pair(dtype=np.float64, updates=6, **sizes):
    (x, t), (y, _) = task(dtype), task(dtype, seed=1)
    here = Examples(y, np.zeros(len(y), int), batch_size=sizes.get("here", 3))
    return SideBySide(Examples(x, t, batch_size=sizes.get("there", 3)), here, updates=updates)


def trained_on(loss, **options):
    return DomainAdapted(SequenceClassifier(3, 4, input_size=2, backend="numpy", seed=0, **options), loss, seed=1)


@pytest.mark.parametrize("name", [name for name in LOSSES if "," not in name])
def test_a_plan_for_the_model_is_one_for_this(name):
    model = trained_on(LOSSES[name], dtype=np.float64)
    before, plan = model.state_dict(), Plan(frozen="rnn.weight_hh_*", rates={"rnn.*": 1e-3, "head": 1e-2})
    with pytest.raises(ValueError, match="rules for a parameter must agree"):
        plan.resolve(model)
    fit_plan(model, pair(), Plan(frozen="rnn.weight_hh_*", rates={"head": 1e-2}), optimizer=Adam(0.01), epochs=3,
             progress=False)  # fmt: skip
    changed = {key for key, array in model.parameters.items() if not np.array_equal(array, before[key])}
    assert changed == {key for key in before if key != "rnn.weight_hh_l0"}
    assert model.parameters["head.weight"] is model.model.parameters["head.weight"]


@pytest.mark.parametrize("name", ["MMD", "adversarial", "conditional", "entropy"])
def test_with_a_frozen_core_the_head_alone_learns_and_with_the_same_gradients(name):
    batch = domain_batch("classifier")
    whole = adapted("classifier", "gru", LOSSES[name]).loss_and_gradients(batch).gradients
    model = adapted("classifier", "gru", LOSSES[name])
    freeze(model, "rnn.*")
    some = model.loss_and_gradients(batch).gradients
    assert set(some) == {key for key in whole if not key.startswith("rnn.")}
    for key, gradient in some.items():
        np.testing.assert_allclose(gradient, whole[key], rtol=0, atol=1e-15)


def test_weight_0_is_the_task_alone():
    batch = domain_batch("classifier", few=False)
    model = adapted("classifier", "lstm", MMD(), weight=0.0)
    step, alone = model.loss_and_gradients(batch), model.model.loss_and_gradients(batch.source)
    assert step.loss == alone.loss
    assert step.count == alone.count == 4
    for key, gradient in alone.gradients.items():
        np.testing.assert_allclose(step.gradients[key], gradient, rtol=0, atol=1e-16)


def test_one_sigmoid_is_two_classes():
    """The logits z of yes and 0 of no: the entropy is that of σ(z)."""
    x, y = task()[0], task(seed=1)[0]
    one = SequenceClassifier(1, 3, input_size=2, dtype=np.float64, backend="numpy", seed=0)
    two = SequenceClassifier(2, 3, input_size=2, dtype=np.float64, backend="numpy", seed=0)
    for key, array in one.parameters.items():
        two.parameters[key][...] = np.concatenate([0 * array, array]) if key.startswith("head") else array
    answers = np.array([0, 1, 0, 1, 1, 0])
    batch = SideBySide(Examples(x, answers, batch_size=6), Examples(y, answers, batch_size=6), updates=1).batch(0, 0)
    for loss in (EntropyMinimisation(), LOSSES["confusion"], LOSSES["conditional"]):
        first, second = (DomainAdapted(model, loss, seed=1).loss_and_gradients(batch) for model in (one, two))
        np.testing.assert_allclose(first.loss, second.loss, rtol=1e-12)
        for key in ("rnn.weight_ih_l0", "rnn.weight_hh_l0"):
            np.testing.assert_allclose(first.gradients[key], second.gradients[key], rtol=0, atol=1e-14)


def test_a_batch_with_too_few_rows_trains_on_the_task_alone():
    batches = pair(here=5)
    model = trained_on(DeepCORAL(), dtype=np.float64)
    lone = batches.batch(0, 1)
    assert len(lone.target.inputs) == 1
    step, alone = model.loss_and_gradients(lone), model.model.loss_and_gradients(lone.source)
    assert step.loss == alone.loss
    assert all(np.array_equal(step.gradients[key], gradient) for key, gradient in alone.gradients.items())
    enough = batches.batch(0, 0)
    assert model.loss_and_gradients(enough).loss > model.model.loss_and_gradients(enough.source).loss


def test_progress_is_of_all_updates_and_a_batch_of_its_place_alone():
    batches = pair(updates=4, here=2)
    assert len(batches) == 3
    told = [batches.batch(epoch, index).progress for epoch in range(2) for index in range(3)]
    assert told == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    once, again = batches.batch(1, 2), batches.batch(1, 2)
    np.testing.assert_array_equal(once.target.inputs, again.target.inputs)
    np.testing.assert_array_equal(once.source.targets, again.source.targets)


def test_domains_come_together():
    """On rows that are moved, training with MMD brings the states together, and without it doesn't."""
    (x, t), (y, _) = task(n=40), task(n=40, seed=1)
    data = SideBySide(Examples(x, t, batch_size=40), Examples(y + 2, 0 * t, batch_size=40), updates=40)
    apart = []
    for weight in (0.0, 5.0):
        model = DomainAdapted(trained_on(MMD(), dtype=np.float64, cell="gru").model, MMD(bandwidth=1.0), weight=weight)
        fit(model, data, optimizer=Adam(0.02), epochs=40, progress=False)
        apart.append(model.domain_value(data.batch(0, 0)))
    assert apart[1] < apart[0] / 4


def test_evaluation_is_of_labels():
    model = trained_on(MMD(), dtype=np.float64)
    batch = pair().batch(0, 0)
    assert model.evaluate(batch) == model.model.evaluate(batch.source) == model.evaluate(batch.source)


def test_what_it_refuses(tmp_path):
    classifier = SequenceClassifier(3, 4, input_size=2, backend="numpy", dtype=np.float64, seed=0)
    chain = SequenceTagger(3, 4, input_size=2, crf=True, backend="numpy", seed=0)
    DomainAdapted(chain, MMD())
    cases = [
        (lambda: DomainAdapted(LanguageModel(5, 4, seed=0), MMD()), TypeError, "must be a SequenceClassifier or a Se"),
        (lambda: DomainAdapted(classifier, "MMD"), TypeError, "loss must be a DomainLoss, such as MMD"),
        (lambda: DomainAdapted(classifier, {"kind": "mmd"}), ValueError, "loss must be of a kind out of"),
        (lambda: DomainAdapted(classifier, MMD(), weight=-1.0), ValueError, "weight must be at least 0"),
        (lambda: DomainAdapted(chain, EntropyMinimisation()), ValueError, "must read features alone with a CRF"),
        (lambda: DomainAdapted(classifier, MMD()).loss_and_gradients(Batch(*task())), TypeError, "SideBySide makes"),
        (lambda: pair(updates=0), ValueError, "SideBySide: updates must be at least 1"),
        (lambda: pair().batch(0, 9), ValueError, r"SideBySide\.batch"),
    ]
    for call, error, message in cases:
        with pytest.raises(error, match=message):
            call()
    with pytest.raises(ValueError, match="must have shape"):
        DomainAdapted(classifier, MMD()).loss_and_gradients(
            domain_batch("classifier")._replace(target=Unlabelled(np.ones((2, 3, 5))))
        )
    save(trained_on(LOSSES["conditional"]), tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").own["hidden"].in_features == 12
