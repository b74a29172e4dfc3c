"""Bugs in chains, taggers and the scores of spans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests import tagging_checks as checks

from .mutation import Mutation


def bug(
    name: str, target: str, old: str, new: str, check: Callable[..., None], *arguments: Any, times: int = 1
) -> Mutation:
    """Return a bug in one of rnn_core's functions."""
    return Mutation(name, f"rnn_core.{target}", old, new, check, arguments, times)


CHAIN, LOSS = "layers.crf.chain", "layers.crf.likelihood"

MUTATIONS = (
    bug(
        "crf: marginals are off by one step",
        f"{CHAIN}:marginals",
        "alpha[t - 1][:, None, :]",
        "alpha[t][:, None, :]",
        checks.chain_marginals,
    ),
    bug(
        "crf: transitions are read from column to row",
        f"{CHAIN}:alphas",
        "chain.transitions[:, :, None]",
        "chain.transitions.T[:, :, None]",
        checks.chain_partition,
    ),
    bug(
        "crf: the right pairs are counted the other way round",
        f"{LOSS}:backward",
        "right[t - 1][:, None] & right[t]",
        "right[t][:, None] & right[t - 1]",
        checks.chain_gradients,
        "known",
    ),
    bug(
        "crf: pairs in the padding have a gradient",
        f"{CHAIN}:marginals",
        "q = xp.where(valid[t], q, 0)",
        "q = q + 0",
        checks.chain_gradients,
        "known",
    ),
    bug(
        "crf: padding is counted in the loss",
        f"{CHAIN}:surprises",
        "xp.where(valid[1:], costs[:-1], 0)",
        "costs[:-1]",
        checks.chain_loss,
    ),
    bug(
        "crf: α runs on past the end of a row",
        f"{CHAIN}:alphas",
        "xp.where(valid[t], a, alpha[t - 1])",
        "a",
        checks.chain_partition,
    ),
    bug(
        "crf: the end potential is left out of log Z",
        f"{CHAIN}:alphas",
        "alpha[-1] + chain.end[:, None]",
        "alpha[-1]",
        checks.chain_partition,
    ),
    bug(
        "crf: unknown tags count in the mean",
        "layers.crf.rows:counted",
        "rows @ (w > 0).sum(axis=1)",
        "rows @ valid.sum(axis=1)",
        checks.chain_loss,
    ),
    bug(
        "crf: the paths that have the known tags are forgotten in the gradient of pairs",
        f"{LOSS}:backward",
        "dA -= q  # (CR6′)",
        "pass",
        checks.chain_gradients,
        "unknown",
    ),
    bug(
        "viterbi: the way back runs through the padding",
        "layers.crf.viterbi:best_paths",
        "xp.where(valid[t], b, stay)",
        "b",
        checks.chain_partition,
    ),
    bug(
        "viterbi: the way back follows the tag's own number",
        "layers.crf.viterbi:best_paths",
        "xp.take_along_axis(b, path[-1][None], axis=0)[0]",
        "path[-1]",
        checks.chain_partition,
    ),
    bug(
        "constraints: ends are not looked at",
        "layers.crf.layer:CRF._chain",
        "zip(self._masks, found, strict=True)))",
        "zip(self._masks[:2], found)), found.end)",
        checks.chain_rules,
    ),
    bug(
        "constraints: I may follow what is of another kind",
        "layers.crf.schemes:_bio",
        " and before[1] == after[1]",
        "",
        checks.rules_by_hand,
    ),
    bug(
        "tagger: weights are left out of the chain's loss",
        "models.tagger:SequenceTagger._above",
        "batch.lengths, weights)",
        "batch.lengths, None)",
        checks.tagger_counts,
    ),
    bug(
        "tagger: the chain is decoded without lengths",
        "models.tagger:SequenceTagger._tags",
        "self.crf.decode(z, lengths)[0]",
        "self.crf.decode(z)[0]",
        checks.tagger_counts,
    ),
    bug(
        "tagger: the gradient of the chain's own parameters is lost",
        "models.tagger:SequenceTagger._above",
        'by_model("crf", gradients)',
        'by_model("crf", {name: 0 * g for name, g in gradients.items()})',
        checks.tagger_gradients,
    ),
    bug(
        "spans: B behind its own kind goes on",
        "scores.spans:spans_of",
        'letter in "IE" and',
        'letter in "BIE" and',
        checks.spans_by_hand,
    ),
    bug(
        "spans: a change of kind goes on",
        "scores.spans:spans_of",
        " and kind == before[1]",
        "",
        checks.spans_by_hand,
    ),
    bug(
        "tagged: a token of several words takes one of them along",
        "data.files.tagged.universal:words_alone",
        "if last is not None or empty:",
        "if empty:",
        checks.universal_by_hand,
    ),
    bug(
        "tagged: a new sentence's name is not looked at",
        "data.files.tagged.sentences:sentences_of",
        "(word.sentence and word.sentence != name)",
        "False",
        checks.sentences_by_hand,
    ),
    bug(
        "train tag: a word without a tag is taken for the first",
        "tasks.tag:Tag.batches",
        "None if (numbers >= 0).all() else (numbers >= 0).astype(float)",
        "None",
        checks.batches_of_sentences,
    ),
)
