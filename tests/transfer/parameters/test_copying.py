"""Copying: by name, by token, by unit; a row for everything; nothing lost to an error."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_core import GRU, LSTM, RNN, LanguageModel, SequenceClassifier, quantize
from rnn_core.data import Examples, Tokenizer
from rnn_core.training import Adam, fit
from transfer import Plan, checksum, copy_parameters, freeze, unfreeze

TOKENS = np.array([[0, 1, 2, 3, 4, 2], [4, 3, 3, 0, 1, 1]])


def statuses(report):
    return {row.name: row.status for row in report.rows}


def test_a_copy_computes_the_same_bits():
    source, target = (LanguageModel(5, 4, num_layers=2, cell="gru", seed=seed) for seed in (0, 1))
    report = copy_parameters(source, target)
    np.testing.assert_array_equal(source(TOKENS)[0], target(TOKENS)[0])
    assert set(statuses(report).values()) == {"copied"}
    assert report.taken == report.numbers == sum(array.size for array in target.parameters.values())
    assert report.unused == ()


def test_arrays_keep_their_identity_and_are_copies():
    source, target = LSTM(2, 3, seed=0), LSTM(2, 3, seed=1)
    before = dict(target.parameters)
    copy_parameters(source, target)
    assert all(target.parameters[name] is array for name, array in before.items())
    target.parameters["bias_ih_l0"][:] = 9
    assert (source.parameters["bias_ih_l0"] != 9).all()


def test_a_mapping_will_do_for_a_source():
    source, target = LSTM(2, 3, seed=0), LSTM(2, 3, dtype=np.float64)
    report = copy_parameters({**source.state_dict(), "extra": np.zeros(2)}, target)
    assert all((target.parameters[name] == array).all() for name, array in source.parameters.items())
    assert report.unused == ("extra",)


def test_what_the_source_does_not_have_is_fresh():
    source, target = LSTM(2, 3, seed=0), LSTM(2, 3, num_layers=2, seed=1)
    above = target.state_dict()
    report = copy_parameters(source, target)
    assert statuses(report) == {name: "copied" if name.endswith("l0") else "fresh" for name in target.parameters}
    assert all((target.parameters[name] == above[name]).all() for name in target.groups["l1"])


def test_include_and_exclude_choose_among_the_targets_names():
    source, target = (LanguageModel(5, 4, seed=seed) for seed in (0, 1))
    report = copy_parameters(source, target, include=["rnn.l0", "head"], exclude="*.bias")
    assert [row.name for row in report.rows if row.status == "copied"] == [*target.groups["rnn.l0"], "head.weight"]
    assert report["head.bias"].status == report["embedding.weight"].status == "skipped"
    assert report["head.bias"].note == "left out"
    assert report.unused == ("embedding.weight", "head.bias")
    assert not (target.parameters["embedding.weight"] == source.parameters["embedding.weight"]).any()


def test_rename_moves_by_name_and_by_star():
    source = LSTM(2, 3, seed=0)
    target = SequenceClassifier(2, 3, input_size=2, seed=1)
    arrays = {**source.state_dict(), "out": np.ones(2, np.float32)}
    report = copy_parameters(arrays, target, rename={"weight_*": "rnn.weight_*", "out": "head.bias"})
    assert report["rnn.weight_ih_l0"].source == "weight_ih_l0"
    assert statuses(report)["rnn.bias_ih_l0"] == "fresh"
    assert (target.parameters["head.bias"] == 1).all()
    np.testing.assert_array_equal(target.parameters["rnn.weight_hh_l0"], source.parameters["weight_hh_l0"])
    assert "copied from weight_hh_l0" in str(report)


def test_a_renamed_parameter_goes_to_its_new_name_alone():
    source, target = LSTM(3, 3, num_layers=2, seed=0), LSTM(3, 3, num_layers=2, seed=1)
    report = copy_parameters(source, target, rename={"*_l0": "*_l1"})
    for name in target.groups["l1"]:
        np.testing.assert_array_equal(target.parameters[name], source.parameters[name.replace("l1", "l0")])
    assert {report[name].status for name in target.groups["l0"]} == {"fresh"}
    assert report.unused == source.groups["l1"]


# Vocabulary


def language_models(old, new, **options):
    sizes = (len(old), len(new))
    return (LanguageModel(size, 4, seed=seed, **options) for seed, size in enumerate(sizes))


@pytest.mark.parametrize("tied", [False, True])
def test_a_permuted_vocabulary_permutes_the_logits(tied):
    old, new = "abcde", "ecadb"
    source, target = language_models(old, new, tied=tied)
    report = copy_parameters(source, target, vocabulary=(old, new))
    permutation = [old.index(token) for token in new]  # of each new id, the old one
    np.testing.assert_array_equal(target(np.argsort(permutation)[TOKENS])[0], source(TOKENS)[0][..., permutation])
    assert {report[name].status for name in target.vocabulary_parameters} == {"mapped"}
    assert report["embedding.weight"].note == "5 of 5 tokens"


def test_a_new_token_gets_the_mean_row():
    old, new = ["the", "cat", "sat"], ["dog", "sat", "the"]
    source, target = language_models(old, new)
    report = copy_parameters(source, target, vocabulary=(old, new))
    for name in target.vocabulary_parameters:
        rows = source.parameters[name]
        np.testing.assert_allclose(target.parameters[name], [rows.mean(axis=0), rows[2], rows[0]], rtol=1e-6)
        assert report[name].note == "2 of 3 tokens, 1 new: mean row"
        assert report[name].taken == 2 * rows[0].size


def test_padding_is_no_token():
    texts = ["a b c", "c d"]
    old, new = Tokenizer().fit(texts[0]), Tokenizer(oov="?").fit(texts)
    source, target = (
        SequenceClassifier(2, 3, vocab_size=len(tokens), embedding_size=4, padding_idx=0, seed=seed)
        for seed, tokens in enumerate((old, new))
    )
    report = copy_parameters(source, target, vocabulary=(old, new), exclude="head")
    was, now = source.parameters["embedding.weight"], target.parameters["embedding.weight"]
    assert (now[new.tokens.index("")] == 0).all()
    for token in "abc":
        np.testing.assert_array_equal(now[new.index[token]], was[old.index[token]])
    for token in "?d":
        np.testing.assert_allclose(now[new.index[token]], was[1:].mean(axis=0), rtol=1e-6)
    assert report["embedding.weight"].note == "3 of 6 tokens, 2 new: mean row, 1 padding"


def test_a_padding_row_stays_zero_whatever_the_token_is_called():
    source = LanguageModel(3, 4, seed=0)
    target = SequenceClassifier(2, 4, vocab_size=3, padding_idx=1, seed=1)
    vocabulary = (["<pad>", "a", "b"], ["b", "<pad>", "a"])
    copy_parameters(source, target, vocabulary=vocabulary, exclude="head")
    assert (target.parameters["embedding.weight"][1] == 0).all()
    np.testing.assert_array_equal(
        target.parameters["embedding.weight"][[0, 2]], source.parameters["embedding.weight"][[2, 1]]
    )


def test_a_padding_row_stays_zero_where_rows_are_copied_as_they_stand():
    source = LanguageModel(3, 4, seed=0)
    target = SequenceClassifier(2, 4, vocab_size=3, padding_idx=0, seed=1)
    row = copy_parameters(source, target, exclude="head")["embedding.weight"]
    assert (target.parameters["embedding.weight"][0] == 0).all()
    np.testing.assert_array_equal(target.parameters["embedding.weight"][1:], source.parameters["embedding.weight"][1:])
    assert (row.note, row.taken) == ("rows as they stand, 1 padding", 8)


def test_padding_that_only_the_target_has_stays_and_that_both_have_is_mapped():
    with_slot, without = ["", "a", "b"], ["b", "a"]
    source, target = language_models(without, with_slot)
    before = target.state_dict()
    copy_parameters(source, target, vocabulary=(without, with_slot))
    np.testing.assert_array_equal(target.parameters["head.weight"][0], before["head.weight"][0])
    again = LanguageModel(3, 4, seed=7)
    copy_parameters(target, again, vocabulary=(with_slot, with_slot))
    np.testing.assert_array_equal(again(TOKENS % 3)[0], target(TOKENS % 3)[0])


def test_one_vocabulary_is_copied_as_it_stands_and_the_report_says_so():
    source, target = language_models("abc", "abc")
    assert copy_parameters(source, target)["embedding.weight"].note == "rows as they stand"


def test_tokens_and_columns_both_give_way():
    source, target = LanguageModel(3, 2, seed=0), LanguageModel(4, 5, seed=1)
    before = target.state_dict()
    report = copy_parameters(source, target, vocabulary=("abc", "dcba"), on_mismatch="overlap")
    now, was = target.parameters["head.weight"], source.parameters["head.weight"]
    np.testing.assert_array_equal(now[1:, :2], was[::-1])
    np.testing.assert_array_equal(now[:, 2:], before["head.weight"][:, 2:])
    assert report["head.weight"].note == "3 of 4 tokens, 1 new: mean row, 2 columns of each"
    assert report["head.weight"].taken == 6


# Overlap

LAYERS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


@given(
    st.sampled_from(sorted(LAYERS)), st.integers(1, 4), st.integers(0, 3), st.integers(1, 3), st.integers(0, 2),
    st.integers(1, 3), st.booleans(), st.booleans(),
)  # fmt: skip
def test_a_larger_layer_inherits_each_unit(cell, H, more, I, more_inputs, num_layers, bidirectional, bias):
    """With zeros elsewhere the larger network holds the smaller one: unit j of each direction computes the same."""
    options = {"num_layers": num_layers, "bidirectional": bidirectional, "bias": bias, "dtype": np.float64}
    small = LAYERS[cell](I, H, seed=0, **options)
    large = LAYERS[cell](I + more_inputs, H + more, seed=1, **options)
    for array in large.parameters.values():
        array[...] = 0
    copy_parameters(small, large, on_mismatch="overlap")
    x = np.random.default_rng(2).standard_normal((5, 2, I + more_inputs))
    expected, _ = small(x[..., :I].copy())
    y, _ = large(x)
    inherited = y.reshape(5, 2, 1 + bidirectional, H + more)[..., :H]
    np.testing.assert_allclose(inherited.reshape(expected.shape), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("G, cell", [(4, LSTM), (3, GRU), (1, RNN)])
def test_rows_move_gate_by_gate(G, cell):
    small, large = cell(2, 3, seed=0), cell(2, 5, seed=1)
    before = large.state_dict()
    report = copy_parameters(small.state_dict(), large, on_mismatch="overlap")
    for g in range(G):
        for j in range(5):
            now = large.parameters["weight_hh_l0"][g * 5 + j]
            if j < 3:
                np.testing.assert_array_equal(now[:3], small.parameters["weight_hh_l0"][g * 3 + j])
                np.testing.assert_array_equal(now[3:], before["weight_hh_l0"][g * 5 + j, 3:])
            else:
                np.testing.assert_array_equal(now, before["weight_hh_l0"][g * 5 + j])
    row = report["weight_hh_l0"]
    assert (row.status, row.taken, row.note) == ("overlap", G * 9, f"{3 * G}×3 of {5 * G}×5")


def test_a_smaller_layer_takes_the_leading_units():
    large, small = GRU(2, 5, seed=0), GRU(2, 3, seed=1)
    report = copy_parameters(large, small, on_mismatch="overlap")
    np.testing.assert_array_equal(
        small.parameters["weight_hh_l0"].reshape(3, 3, 3), large.parameters["weight_hh_l0"].reshape(3, 5, 5)[:, :3, :3]
    )
    assert report.taken == report.numbers


def test_the_head_follows_the_directions():
    small, large = (
        SequenceClassifier(2, H, input_size=2, bidirectional=True, pooling="mean", dtype=np.float64, seed=seed)
        for seed, H in enumerate((3, 4))
    )
    for array in large.parameters.values():
        array[...] = 0
    copy_parameters(small, large, on_mismatch="overlap")
    x = np.random.default_rng(2).standard_normal((5, 6, 2))
    np.testing.assert_allclose(large(x), small(x), rtol=0, atol=1e-14)


def test_equal_shapes_do_not_hide_different_directions():
    one = SequenceClassifier(2, 6, input_size=2, seed=0)
    both = SequenceClassifier(2, 3, input_size=2, bidirectional=True, seed=1)
    assert one.parameters["head.weight"].shape == both.parameters["head.weight"].shape
    with pytest.raises(ValueError, match=r"got head\.weight 2×6 for 2×6;"):
        copy_parameters(one, both, include="head")
    before = both.state_dict()
    copy_parameters(one, both, include="head.weight", on_mismatch="overlap")
    np.testing.assert_array_equal(both.parameters["head.weight"][:, :3], one.parameters["head.weight"][:, :3])
    np.testing.assert_array_equal(both.parameters["head.weight"][:, 3:], before["head.weight"][:, 3:])


def test_equal_shapes_do_not_hide_different_gates():
    source, target = LSTM(2, 3), GRU(2, 4)
    assert source.parameters["bias_ih_l0"].shape == target.parameters["bias_ih_l0"].shape
    for mode in ("error", "overlap"):
        with pytest.raises(ValueError, match="bias_ih_l0 12 for 12"):
            copy_parameters(source, target, include="bias_ih_l0", on_mismatch=mode)
    report = copy_parameters(source, target, on_mismatch="skip")
    assert set(statuses(report).values()) == {"skipped"}
    assert report["weight_hh_l0"].note == "shape 12×3, here 12×4"
    assert report.taken == 0


@pytest.mark.parametrize("of", [lambda model: model, lambda model: model.parameters])
def test_a_model_may_be_its_own_source(of):
    model = LanguageModel(5, 3, seed=0)
    before = model.state_dict()
    ih, hh = "rnn.bias_ih_l0", "rnn.bias_hh_l0"
    copy_parameters(of(model), model, rename={ih: hh, hh: ih})
    np.testing.assert_array_equal(model.parameters[ih], before[hh])
    np.testing.assert_array_equal(model.parameters[hh], before[ih])


# Errors

SAME = LanguageModel(5, 4, seed=1)
MORE_WORDS, MORE_UNITS, MORE_LAYERS = (LanguageModel(6, 4), LanguageModel(5, 6), LanguageModel(5, 4, num_layers=2))
GATED = LanguageModel(5, 4, cell="gru")


@pytest.mark.parametrize(
    "target, options, error, says",
    [
        (MORE_WORDS, {}, ValueError, r"embedding\.weight 5×4 for 6×4.*vocabulary=\(source_tokens"),
        (MORE_WORDS, {"on_mismatch": "overlap"}, ValueError, r"takes rows of words by token"),
        (MORE_UNITS, {}, ValueError, r"got embedding\.weight 5×4 for 5×6, rnn\.weight_ih_l0 16×4 for 24×6"),
        (MORE_LAYERS, {"include": "rnn.l1"}, ValueError, "that the source has too"),
        (GATED, {"on_mismatch": "overlap"}, ValueError, r"\(gates: 4 for 3\).*; on_mismatch='skip' takes what fits"),
        (LSTM(4, 4), {"vocabulary": ("a", "a"), "rename": {"rnn.*": "*"}}, ValueError, "no rows of words"),
        ({}, {}, TypeError, "target must be a model or a layer, got dict"),
        (SAME, {"include": 3}, TypeError, "include must be a string or several, got int 3"),
        (SAME, {"rename": "a"}, TypeError, r"rename must be a dict \{old: new\} of names, got 'a'"),
        (SAME, {"rename": {"head.bias": 3}}, TypeError, "rename must map strings to strings, got 'head.bias': 3"),
        (SAME, {"include": "rnn"}, ValueError, r"did you mean 'rnn\.\*'"),
        (SAME, {"include": []}, ValueError, "must share a parameter"),
        (SAME, {"exclude": "rnn.l7"}, ValueError, "exclude must match a parameter, got 'rnn.l7'"),
        (SAME, {"on_mismatch": "ignore"}, ValueError, "must be 'error', 'skip' or 'overlap', got 'ignore'"),
        (SAME, {"rename": {"lstm.*": "rnn.*"}}, ValueError, "rename must match a parameter of the source"),
        (SAME, {"rename": {"rnn.*": "lstm.*"}}, ValueError, "rename must lead to a parameter"),
        (SAME, {"rename": {"rnn.*": "rnn"}}, ValueError, "one . on both sides or none"),
        (SAME, {"rename": {"*.*": "*.*"}}, ValueError, "one . on both sides or none"),
        (SAME, {"rename": {"rnn.bias_ih_l0": "head.bias", "head.*": "head.*"}}, ValueError, "different parameters"),
        (SAME, {"rename": {"head.bias": "rnn.bias_ih_l0", "head.*": "head.*"}}, ValueError, "one name"),
        (SAME, {"vocabulary": "abc"}, TypeError, "must be a pair"),
        (SAME, {"vocabulary": ({"a": 0}, "abcde")}, TypeError, r"vocabulary\[0\] must be a Tokenizer"),
        (SAME, {"vocabulary": ("abcda", "abcde")}, ValueError, r"vocabulary\[0\] must .* got 'a' again at id 4"),
        (SAME, {"vocabulary": ("abcde", "vwxyz")}, ValueError, "a token in common"),
        (SAME, {"vocabulary": ("abcd", "abcde")}, ValueError, r"got 4 tokens for the source's shape \(5, 4\)"),
        (SAME, {"vocabulary": ("abcde", "abcdef")}, ValueError, "got 6 tokens for the target's shape"),
    ],
)
def test_an_error_says_what_to_change_and_changes_nothing(target, options, error, says):
    source = LanguageModel(5, 4, seed=0)
    before = {name: array.copy() for name, array in getattr(target, "parameters", {}).items()}
    with pytest.raises(error, match=says):
        copy_parameters(source, target, **options)
    assert all((target.parameters[name] == array).all() for name, array in before.items())


@pytest.mark.parametrize(
    "bad, error, says",
    [
        (np.full(12, np.nan, np.float32), ValueError, r"bias_hh_l0 must be finite, got nan at index \(0,\)"),
        (np.zeros(12), TypeError, "bias_hh_l0 must be float32 or narrower, as the target, got float64"),
        (np.zeros((12, 1), np.float32), ValueError, "bias_hh_l0 12×1 for 12"),
        (None, TypeError, "bias_hh_l0 must be an array of numbers, got None"),
    ],
)
@pytest.mark.parametrize("mode", ["error", "overlap"])
def test_a_bad_value_late_in_the_source_changes_nothing(bad, error, says, mode):
    target = LSTM(2, 3, seed=1)
    before = target.state_dict()
    with pytest.raises(error, match=says):
        copy_parameters({**LSTM(2, 3, seed=0).parameters, "bias_hh_l0": bad}, target, on_mismatch=mode)
    assert all((target.parameters[name] == array).all() for name, array in before.items())


def test_a_source_must_have_arrays_by_name():
    with pytest.raises(TypeError, match="source must be a model, a layer or a mapping of names to arrays, got list"):
        copy_parameters([1], LSTM(2, 3))


# The report


def trained(frozen=(), plan=None):
    source, target = (LanguageModel(5, 4, seed=seed) for seed in (0, 1))
    report = copy_parameters(source, target)
    if frozen:
        freeze(target, *frozen)
    updates = plan.resolve(target) if plan else None
    fit(target, Examples(TOKENS, TOKENS), optimizer=Adam(0.1), epochs=2, updates=updates, progress=False)
    return report, target


def test_frozen_parameters_keep_their_bits_in_training_and_the_report_proves_it():
    report, target = trained(frozen=["embedding", "rnn.*"])
    assert set(report.changed(target)) == {"head.weight", "head.bias"}
    proved = report.verify(target)
    assert {row.name for row in proved.rows if row.frozen} == {row.name for row in proved.rows if row.unchanged}
    assert "5 of 7 parameters are bit-identical" in str(proved)


def test_what_a_plan_freezes_is_proved_by_its_patterns():
    plan = Plan(frozen=["rnn.*"])
    report, target = trained(plan=plan)
    proved = report.verify(target, plan.frozen)
    assert [row.name for row in proved.rows if row.unchanged] == list(target.groups["rnn.l0"])
    assert proved["rnn.bias_hh_l0"].frozen


def test_a_change_of_one_bit_is_found():
    report, target = trained(frozen=["rnn.*"])
    target.parameters["rnn.bias_ih_l0"].view(np.uint8)[0] ^= 1
    with pytest.raises(RuntimeError, match=r"frozen parameters must keep the bits .* in rnn\.bias_ih_l0;"):
        report.verify(target)


def test_minus_zero_is_another_number_to_a_checksum():
    assert checksum(np.zeros(1)) != checksum(-np.zeros(1))
    assert checksum(np.zeros((2, 1))) != checksum(np.zeros((1, 2)))
    assert checksum(np.zeros(2, np.float32)) != checksum(np.zeros(1, np.float64))
    assert checksum(np.arange(6.0).reshape(2, 3).T) == checksum(np.arange(6.0).reshape(2, 3).T.copy())


def test_an_empty_proof_is_none():
    report, target = trained()
    with pytest.raises(ValueError, match="must have a frozen parameter to prove"):
        report.verify(target)
    with pytest.raises(ValueError, match="patterns must match"):
        report.verify(target, "core.*")


def test_a_report_knows_its_model():
    report, _ = trained()
    for look in (report.verify, report.changed, report.with_frozen):
        with pytest.raises(ValueError, match="must be the target of the copy"):
            look(LSTM(2, 3))


def test_a_report_sees_what_is_frozen_when_it_looks():
    source, target = (LanguageModel(5, 4, seed=seed) for seed in (0, 1))
    freeze(target, "head")
    report = copy_parameters(source, target)
    assert report["head.bias"].frozen
    unfreeze(target, "head")
    freeze(target, "embedding")
    looked = report.with_frozen(target)
    assert [row.name for row in looked.rows if row.frozen] == ["embedding.weight"]
    assert report["head.bias"].frozen, "a report never changes"


def test_a_report_is_a_table_and_plain_data():
    source, target = LanguageModel(4, 2, seed=0), LanguageModel(5, 3, num_layers=2, tied=True, seed=1)
    freeze(target, "embedding")
    report = copy_parameters(
        source, target, vocabulary=("abcd", "abcde"), exclude="rnn.bias*_l0", on_mismatch="overlap"
    )
    lines = str(report).splitlines()
    for name in target.parameters:
        assert sum(f" {name} " in line for line in lines) == 1
    assert any("embedding.weight" in line and "frozen" in line for line in lines)
    assert lines[-1] == "unused in the source: rnn.bias_ih_l0, rnn.bias_hh_l0, head.weight"
    plain = json.loads(json.dumps(report.as_dict()))
    assert [row["status"] for row in plain["rows"]] == (
        ["mapped", "overlap", "overlap", "skipped", "skipped", "fresh", "fresh", "fresh", "fresh", "mapped"]
    )
    assert plain["taken"] == sum(row["taken"] for row in plain["rows"])
    with pytest.raises(KeyError):
        report["head.weight"]


@pytest.mark.parametrize("make", [lambda: LSTM(2, 3, seed=0), lambda: LanguageModel(5, 4, tied=True, seed=0)])
def test_integers_are_not_copied_as_if_they_were_weights(make):
    target = make()
    small, before = quantize(target), target.state_dict()
    for source in (small, small.state_dict()):
        with pytest.raises(TypeError, match=r"^copy_parameters: source must be in float32 .* that quantize was given$"):
            copy_parameters(source, target)
    with pytest.raises(TypeError, match=r"^copy_parameters: target must be in float32 .*, got one that is quantized"):
        copy_parameters(target, small)
    assert all((target.parameters[name] == before[name]).all() for name in before)
