"""Methods of a comparison that learn from a target's inputs: what they begin with, and what they never look at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.transfer.study_cases import BUDGET, labelled, start_of, state, study_of
from transfer import Arm, Plan
from transfer.comparing.runs import pretrained, trained
from transfer.domains.losses.discrepancy import MMD
from transfer.domains.losses.entropy import EntropyMinimisation
from transfer.methods.catalogue import arms_for
from transfer.methods.unlabelled import Adapted, HeldOut, SelfTrained, logits_of, parted, take_head

NAMES = ("one head", "MMD", "deep CORAL", "domain-adversarial", "conditional adversarial", "class confusion",
         "entropy minimisation", "pseudo-labels")  # fmt: skip


def poisoned(data, rng):
    """Return examples whose labels are wrong, behind the back of all checks."""
    data = replace(data)
    object.__setattr__(data, "targets", rng.integers(-(2**40), 2**40, len(data)))
    return data


def without_labels(arm):
    return replace(arm, method=replace(arm.method, few=False))


@pytest.mark.parametrize("name", NAMES)
def test_no_label_of_the_target_is_looked_at(name):
    """Labels that no class has, in the target and in the test, change no bit and raise no error."""
    (arm,) = (without_labels(a) for a in arms_for(study_of(), [name])[0] if a.name == name)
    found = []
    for k in range(2):
        study = study_of()
        if k:
            rng = np.random.default_rng(0)
            object.__setattr__(study, "target", poisoned(study.target, rng))
            object.__setattr__(study, "test", poisoned(study.test, rng))
        source = pretrained(study, 0, [arm])[arm.source]
        found.append(state(trained(study, arm, 12, 0, source).model))
    assert all(np.array_equal(array, found[1][key]) for key, array in found[0].items())


@pytest.mark.parametrize("name", NAMES)
def test_of_few_labels_those_of_the_run_alone(name):
    """What is poisoned here are the labels that the run has not drawn."""
    (arm,) = (a for a in arms_for(study_of(), [name])[0] if a.name == name)
    found = []
    for k in range(2):
        study = study_of()
        few = study.examples(12, 0)
        object.__setattr__(study, "examples", lambda size, seed, few=few: few)
        if k:
            object.__setattr__(study, "target", poisoned(study.target, np.random.default_rng(0)))
        source = pretrained(study, 0, [arm])[arm.source]
        found.append(state(trained(study, arm, 12, 0, source).model))
    assert all(np.array_equal(array, found[1][key]) for key, array in found[0].items())


def test_a_loss_changes_what_is_learned():
    study = study_of(budget=replace(BUDGET, target_updates=12))
    states = {}
    for arm in arms_for(study, NAMES)[0]:
        if arm.method is not None:
            source = pretrained(study, 0, [arm])[arm.source]
            states[arm.name] = trained(study, arm, 12, 0, source).model.parameters["rnn.weight_hh_l0"]
    distinct = {array.tobytes() for array in states.values()}
    assert len(distinct) >= len(states) - 1  # of pseudo-labels none may be sure
    assert not np.array_equal(states["one head"], states["MMD"])


def test_it_begins_with_the_head_unless_the_plan_freezes_it():
    study = study_of()
    start = start_of(study)
    take_head(start)
    np.testing.assert_array_equal(start.model.parameters["head.weight"], start.source.parameters["head.weight"])
    start = start_of(study)._replace(plan=Plan(frozen="head.weight"))
    before = start.model.parameters["head.weight"].copy()
    take_head(start)
    np.testing.assert_array_equal(start.model.parameters["head.weight"], before)
    np.testing.assert_array_equal(start.model.parameters["head.bias"], start.source.parameters["head.bias"])
    arm = Arm("frozen", "trained", plan=Plan(frozen=("head.*", "rnn.weight_hh_*")), method=Adapted(MMD()))
    trained(study, arm, 12, 0, study.pretrain(0, False))  # looks whether what is frozen has stayed


def test_what_is_held_out_teaches_nothing():
    """Other inputs in its place change no bit of what is trained, before and after the calibration."""
    study = study_of()
    rest, held_out = parted(study, 0.2, 0)
    assert len(rest) == 48
    assert len(held_out) == 12
    places = [np.flatnonzero((study.source.inputs == row).all(axis=(1, 2)))[0] for row in held_out.inputs]
    inputs = study.source.inputs.copy()
    inputs[places] = 9
    other = study_of(replace(study.source, inputs=inputs))
    first, second = (HeldOut().pretrain(s, 0) for s in (study, other))
    assert all(np.array_equal(array, second.parameters[key]) for key, array in first.parameters.items())


def test_calibration_is_told():
    study = study_of(budget=replace(BUDGET, source_updates=60))
    arm = Arm("pseudo-labels", HeldOut(), method=SelfTrained(threshold=0.5))
    source = pretrained(study, 0, [arm])[arm.source]
    record = trained(study, arm, 12, 0, source).record
    assert record["held out"] == 12
    assert 0.02 <= record["temperature"] <= 50
    assert all(0 <= record[key] <= 1 for key in ("calibration error", "calibrated", "after training"))
    assert 0 < record["sure of the target's inputs"] <= 1


def test_logits_are_those_of_the_model_with_lengths_and_of_unequal_sequences():
    data = labelled(0, lengths=True)
    model = study_of().build(0)
    np.testing.assert_allclose(logits_of(model, data), model(data.inputs, data.lengths), rtol=1e-6)


def test_what_it_refuses():
    one = study_of(replace(labelled(0), targets=np.array([0] + [1, 2] * 29 + [1])))
    assert HeldOut().why_not(one) == "a class of the source has but 1 example"
    cases = [
        (lambda: Adapted("MMD"), TypeError, "Adapted: loss must be a DomainLoss"),
        (lambda: Adapted(MMD(), weight=-1), ValueError, "Adapted: weight must be at least 0"),
        (lambda: Adapted(EntropyMinimisation(), few=1), TypeError, "Adapted: few must be"),
        (lambda: HeldOut(1.0), ValueError, "HeldOut: share must be below 1"),
        (lambda: SelfTrained(threshold=2.0), ValueError, "threshold must be at most 1"),
        (lambda: SelfTrained(share=0.0), ValueError, "SelfTrained: share must be above 0"),
    ]
    for call, error, message in cases:
        with pytest.raises(error, match=message):
            call()
