"""Parameters of `Seq2Seq` among others: what reads and what writes each go to and come from other models."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import LanguageModel, Seq2Seq, SequenceClassifier
from transfer import copy_parameters, freeze
from transfer.parameters.shapes import axis_blocks


def seq2seq(H=4, **options):
    return Seq2Seq(6, H, **{"vocab_size": 7, "embedding_size": 3, "seed": 0, **options})


def test_an_encoder_becomes_a_classifier():
    source, target = seq2seq(), SequenceClassifier(2, 4, vocab_size=7, embedding_size=3, bidirectional=True, seed=1)
    copy_parameters(source, target, include=["embedding.*", "rnn.*"])
    for name in source.parameters:
        if name.startswith(("embedding.", "rnn.")):
            np.testing.assert_array_equal(target.parameters[name], source.parameters[name])
    freeze(target, ["embedding.*", "rnn.*"])


@pytest.mark.parametrize("on_mismatch", ["error", "overlap"])
def test_a_language_model_becomes_what_writes(on_mismatch):
    source = LanguageModel(6, 4, embedding_size=3, seed=1)
    target = seq2seq(decoder_size=4 if on_mismatch == "error" else 6)
    copy_parameters(
        source, target, include=["decoder.*", "target_embedding.*"], on_mismatch=on_mismatch,
        rename={"rnn.*": "decoder.*", "embedding.weight": "target_embedding.weight"},
    )  # fmt: skip
    H = target.decoder.rnn.hidden_size
    found = target.parameters["decoder.weight_hh_l0"].reshape(4, H, H)[:, :4, :4]
    np.testing.assert_array_equal(found.reshape(16, 4), source.parameters["rnn.weight_hh_l0"])
    np.testing.assert_array_equal(target.parameters["target_embedding.weight"], source.parameters["embedding.weight"])


def test_a_smaller_one_lies_in_a_larger_one_direction_by_direction():
    source, target = seq2seq(4, num_layers=2), seq2seq(6, num_layers=2)
    copy_parameters(source, target, on_mismatch="overlap")
    for name in ("bridge.weight_h_l1", "attention.weight_k"):
        small, large = source.parameters[name], target.parameters[name]
        for d in range(2):
            np.testing.assert_array_equal(large[:4, 6 * d : 6 * d + 4], small[:, 4 * d : 4 * d + 4])
    np.testing.assert_array_equal(
        target.parameters["decoder.weight_ih_l1"].reshape(4, 6, 6)[:, :4, :4].reshape(16, 4),
        source.parameters["decoder.weight_ih_l1"],
    )


def test_blocks_of_what_reads_the_encoder():
    blocks = axis_blocks(seq2seq(num_layers=2))
    assert blocks["rnn.weight_ih_l1"] == (4, 2)
    assert blocks["bridge.weight_c_l0"] == blocks["attention.weight_k"] == (1, 2)
    assert blocks["decoder.weight_ih_l0"] == blocks["decoder.weight_ih_l1"] == (4, 1)
    assert blocks["target_embedding.weight"] == blocks["head.weight"] == blocks["attention.weight_c"] == (1, 1)
    assert blocks["bridge.bias_c_l0"] == (1,)
