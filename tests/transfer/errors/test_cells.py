"""Source and target of different cells."""

# mypy: disable-error-code="arg-type,call-arg,misc"
# Wrong types are what is tried here.

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import SequenceClassifier, load
from rnn_core.training import SGD, fit
from tests.training_cases import bits
from tests.transfer.errors.world import SHAPES, Error, check, classifier, client, data, named, of_file
from transfer import (
    LowRank,
    Plan,
    SharedMap,
    average,
    copy_parameters,
    copy_recurrent,
    set_shared,
    shared_arrays,
)

GATES = f"{SHAPES}rnn.weight_ih_l0 12×2 for 9×2 (gates: 4 for 3), …; on_mismatch='skip' takes what fits, …"
WIDE = f"{SHAPES}rnn.weight_ih_l0 12×2 for 12×2 (gates: 4 for 3), …; on_mismatch='skip' takes what fits, …"
SHAPE = "rnn.weight_ih_l0 must have shape (9, 2), "


CELLS = (
    *(
        Error(
            f"{what}, {mode}",
            lambda w, source=source, mode=mode: copy_parameters(source(w), w["gru"], on_mismatch=mode),
            GATES,
        )
        for mode in ("error", "overlap")
        for what, source in (
            ("a model", lambda w: w["lstm"]),
            ("arrays", lambda w: w["lstm"].state_dict()),
            ("a file", lambda w: load(w.path("lstm.safetensors"))),
            ("a file's arrays", of_file),
        )
    ),
    *(
        Error(
            f"{what} of equal rows, {mode}",
            lambda w, source=source, mode=mode: copy_parameters(
                source(w), w["wide"], include="rnn.*", on_mismatch=mode
            ),
            WIDE,
        )
        for mode in ("error", "overlap")
        for what, source in (("a model", lambda w: w["lstm"]), ("a file's arrays", of_file))
    ),
    Error(
        "RNN → LSTM",
        lambda w: copy_parameters(w["rnn"], w["lstm"]),
        f"{SHAPES}rnn.weight_ih_l0 3×2 for 12×2 (gates: 1 for 4), …",
    ),
    Error(
        "GRU → RNN, of a file",
        lambda w: copy_parameters(of_file(w, "gru"), w["rnn"], on_mismatch="overlap"),
        f"{SHAPES}rnn.weight_ih_l0 9×2 for 3×2 (gates: 3 for 1), …",
    ),
    Error(
        "one parameter alone",
        lambda w: copy_parameters(of_file(w), w["wide"], include="rnn.bias_ih_l0"),
        f"{SHAPES}rnn.bias_ih_l0 12 for 12 (gates: 4 for 3); on_mismatch='skip' takes what fits, …",
    ),
    Error(
        "renamed",
        lambda w: copy_parameters(
            {name.replace("rnn", "lstm"): a for name, a in of_file(w).items()},
            w["wide"],
            rename={"lstm.*": "rnn.*"},
            include="rnn.*",
            on_mismatch="overlap",
        ),
        WIDE,
    ),
    Error(
        "the recurrent weights",
        lambda w: copy_recurrent(w["lstm"], w["gru"]),
        "copy_recurrent: source must have the target's cell, GRU, got LSTM; build the target with the source's cell",
    ),
    Error(
        "the recurrent weights, of a file",
        lambda w: copy_recurrent(of_file(w), w["gru"]),
        f"{SHAPES}rnn.weight_hh_l0 12×3 for 9×3 (gates: 4 for 3); …",
    ),
    Error(
        "loaded",
        lambda w: w["gru"].load_state_dict(of_file(w)),
        f"SequenceClassifier.load_state_dict: {SHAPE}got (12, 2)",
    ),
    Error(
        "an anchor's source",
        lambda w: Plan(anchors={"rnn.*": 1.0}).resolve(w["gru"], w["lstm"]),
        "Plan.resolve: reference['rnn.weight_ih_l0'] must have shape (9, 2), got (12, 2)",
    ),
    Error(
        "a shared core",
        lambda w: set_shared(w["gru"], "rnn.*", shared_arrays(w["lstm"])),
        f"set_shared: {SHAPE}as in this model, got (12, 2); what is shared must be of one size on all sides",
    ),
    Error(
        "a round of a client",
        lambda w: client(w["gru"], path=w.path("gru head.safetensors")).fit(shared_arrays(w["lstm"])),
        f"LocalClient.fit: {SHAPE}as in this model, got (12, 2); …",
    ),
    Error(
        "clients of two cells",
        lambda w: average([shared_arrays(w["lstm"]), shared_arrays(w["gru"])], [1, 1]),
        "average: …",
    ),
    Error(
        "one map for both",
        lambda w: SharedMap({"a": w["lstm"], "b": w["gru"]}, {"rnn.weight_*": LowRank(1)}),
        "SharedMap: T must have the same tensors for all models, got rnn.weight_ih_l0.U of shape (12, 1) for 'a' and …",
    ),
    Error(
        "a run of another cell",
        lambda w: fit(
            w["gru"], data(), optimizer=SGD(0.1), epochs=2, checkpoint=w.path("run"), resume=True, progress=False
        ),
        "fit: to resume, a run must be the one that wrote '…last.safetensors', but model.cell was 'lstm' and is 'gru'…",
    ),
)


@pytest.mark.parametrize("error", named("cell", CELLS))
def test_the_message_says_what_is_wrong_and_nothing_is_overwritten(error, world):
    check(error, world)


def test_skipping_what_does_not_fit_skips_another_cell():
    """Nothing of the core: also where rows happen to be as many."""
    for source in (classifier(), classifier().state_dict()):
        target = SequenceClassifier(2, 4, input_size=2, cell="gru", dtype=np.float64, seed=3)
        before = bits(target)
        report = copy_parameters(source, target, on_mismatch="skip")
        copied = {row.name for row in report.rows if row.taken}
        assert copied == {"head.bias"}
        after = bits(target)
        assert {name for name in before if before[name] != after[name]} == {"head.bias"}
