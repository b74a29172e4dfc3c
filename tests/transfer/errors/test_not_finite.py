"""Numbers that are none."""

# mypy: disable-error-code="arg-type,call-arg,misc"
# Wrong types are what is tried here.

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import save
from rnn_core.data import Batch
from rnn_core.training import SGD, fit
from tests.transfer.errors.world import WITH_NAN, Error, X, Y, check, client, data, named, of_file, words
from transfer import (
    MAML,
    Episode,
    Head,
    HeadOf,
    LinearMap,
    MultiTask,
    Plan,
    RNNFeatures,
    Scale,
    SequenceLearner,
    SharedMap,
    Task,
    TaskBatch,
    adapt,
    average,
    cached_features,
    choose_strength,
    copy_parameters,
    copy_recurrent,
    effective_size,
    matched,
    rotated,
    scrambled,
    set_shared,
    shared_arrays,
    step_saliency,
)

HH = "rnn.weight_hh_l0 must be finite, got nan at index (0, 1) (1 of 36 values are NaN or infinite)"
WEIGHTS = "weights must be finite and at least 0, got nan at index (3,)"

NAN = (
    *(
        Error(where, call, f"{where}: {HH}")
        for where, call in (
            ("copy_parameters", lambda w: copy_parameters(w["bad"], w["lstm"])),
            ("LinearMap", lambda w: LinearMap(w["bad"], {"*": Scale()})),
            ("scrambled", lambda w: scrambled(w["bad"], seed=0)),
            ("matched", lambda w: matched(w["bad"], seed=0)),
            ("rotated", lambda w: rotated(w["bad"], seed=0)),
            ("cached_features", lambda w: cached_features(w["bad"], data())),
            ("HeadOf", lambda w: HeadOf(w["bad"])),
            ("set_shared", lambda w: set_shared(w["lstm"], "rnn.*", shared_arrays(w["bad"]))),
            ("LocalClient.fit", lambda w: client(w["lstm"]).fit(shared_arrays(w["bad"]))),
            ("SequenceClassifier.load_state_dict", lambda w: w["lstm"].load_state_dict(w["bad"].state_dict())),
            ("save", lambda w: save(w["bad"], w.path("lstm.safetensors"))),
            ("fit", lambda w: fit(w["bad"], data(), optimizer=SGD(0.1), epochs=1, progress=False)),
        )
    ),
    Error(
        "copied into several tasks",
        lambda w: copy_parameters(w["bad words"], w["tasks"], include="rnn.*"),
        f"copy_parameters: {HH}",
    ),
    Error(
        "copied where they overlap",
        lambda w: copy_parameters(w["bad"].state_dict(), w["lstm"], on_mismatch="overlap"),
        f"copy_parameters: {HH}",
    ),
    Error("the recurrent weights", lambda w: copy_recurrent(w["bad"], w["lstm"]), f"copy_parameters: {HH}"),
    Error("as features", lambda w: RNNFeatures(w["bad"]).fit(X), f"RNNFeatures…: {HH}"),
    Error(
        "an anchor's source",
        lambda w: Plan(anchors={"rnn.*": 1.0}).resolve(w["lstm"], w["bad"]),
        f"Plan.resolve: reference['rnn.weight_hh_l0'] {HH.partition(' ')[2]}",
    ),
    Error(
        "a source to be held to",
        lambda w: choose_strength(
            w["lstm"], data(), data(), optimizer=SGD(0.1), epochs=1, anchored="rnn.*", alphas=[1.0], reference=w["bad"]
        ),
        f"…reference['rnn.weight_hh_l0'] {HH.partition(' ')[2]}",
    ),
    Error(
        "one of two sources", lambda w: SharedMap({"a": w["lstm"], "b": w["bad"]}, {"*": Scale()}), f"LinearMap: {HH}"
    ),
    Error(
        "averaged",
        lambda w: average([shared_arrays(w["lstm"]), shared_arrays(w["bad"])], [1, 1]),
        f"average: parts[1]['rnn.weight_hh_l0'] {HH.partition(' ')[2]}",
    ),
    Error("a file of arrays", lambda w: copy_parameters(of_file(w, "bad"), w["lstm"]), f"copy_parameters: {HH}"),
    Error("adapted", lambda w: adapt(w["bad"], [data().batch(0, 0)], SGD(0.1)), "…must be finite, got nan…"),
    Error(
        "meta-learned",
        lambda w: MAML(w["bad"], 0.1).loss_and_gradients(Episode((Task([data().batch(0, 0)], data().batch(0, 0)),))),
        "…must be finite, got nan…",
    ),
    Error("interpreted", lambda w: step_saliency(w["bad"], X), "…must be finite, got nan…"),
    # weights of examples
    Error(
        "Examples",
        lambda w: data(weights=WITH_NAN),
        "Examples: weights must be finite, got nan at index (3,) (1 of 8 values …",
    ),
    *(
        Error(f"weights, {name}", call, f"SoftmaxCrossEntropy.forward: {WEIGHTS}")
        for name, call in (
            ("a step", lambda w: w["lstm"].loss_and_gradients(Batch(X, Y, None, WITH_NAN))),
            ("an evaluation", lambda w: w["lstm"].evaluate(Batch(X, Y, None, WITH_NAN))),
            (
                "several tasks",
                lambda w: MultiTask({"a": Head(2)}, 3, input_size=2, dtype=np.float64).loss_and_gradients(
                    TaskBatch({"a": Batch(X, Y, None, WITH_NAN)})
                ),
            ),
            ("a map", lambda w: LinearMap(w["lstm"], {"*": Scale()}).loss_and_gradients(Batch(X, Y, None, WITH_NAN))),
            ("a head", lambda w: HeadOf(w["lstm"]).loss_and_gradients(Batch(np.ones((8, 3)), Y, None, WITH_NAN))),
        )
    ),
    Error(
        "weights, a language model",
        lambda w: w["six"].loss_and_gradients(Batch(words().inputs, words().inputs, None, WITH_NAN[:4])),
        "SoftmaxCrossEntropy.forward: weights must be finite and at least 0, got nan at index (3, 0)",
    ),
    Error(
        "weights, a learner",
        lambda w: SequenceLearner(w["lstm"], optimizer=SGD(0.1), epochs=1).fit(X, Y, sample_weight=WITH_NAN),
        "Examples: weights must be finite, got nan at index (3,) (1 of 8 values are NaN or infinite)",
    ),
    Error(
        "weights, their worth",
        lambda w: effective_size(WITH_NAN),
        "effective_size: weights must be finite, got nan at index (3,) …",
    ),
    Error(
        "weights, a task's",
        lambda w: Head(2, weight=np.nan),
        "Head: weight must be above 0 and finite, got nan; leave the task out instead",
    ),
    Error(
        "weights, a client's",
        lambda w: average([shared_arrays(w["lstm"])], [np.nan]),
        "average: counts[0] must be above 0 and finite, got nan; leave out a client without examples",
    ),
    Error(
        "a strength", lambda w: Plan(anchors={"*": np.nan}), "Plan: anchors['*'] must be at least 0 and finite, got nan"
    ),
)


@pytest.mark.parametrize("error", named("NaN", NAN))
def test_the_message_says_what_is_wrong_and_nothing_is_overwritten(error, world):
    check(error, world)
