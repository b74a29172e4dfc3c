"""Bugs in attention, in what reads and writes, and in the search for the best."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests import seq2seq_checks as checks

from .mutation import Mutation


def _bug(name: str, target: str, old: str, new: str, check: Callable[..., None], *arguments: Any) -> Mutation:
    return Mutation(name, f"rnn_core.{target}", old, new, check, arguments)


def _attention_bugs() -> Iterator[Mutation]:
    layer, scores = "layers.attention.attention:Attention", "layers.attention.scores"
    yield _bug(
        "attention: the mask is forgotten",
        f"{layer}.remember",
        "valid, running = running[:, None, :], running[:, :, None]",
        "running = running[:, :, None]",
        checks.attention_looks_at_what_is_there,
        "general",
    )
    yield _bug(
        "attention: what is in the padding is multiplied by 0",
        f"{layer}.remember",
        "xp.where(running, keys, 0)",
        "keys * running",
        checks.attention_looks_at_what_is_there,
        "dot",
    )
    yield _bug(
        "attention: a weight's gradient is not its row's",
        f"{scores}:weights_backward",
        " - xp.sum(alpha * dalpha, axis=-1, keepdims=True)",
        "",
        checks.attention_gradients,
        "dot",
        True,
    )
    yield _bug(
        "attention: the additive score's tanh′ is of another number",
        f"{scores}:additive_backward",
        "(1 - u * u)",
        "(1 - u)",
        checks.attention_gradients,
        "additive",
        True,
    )
    yield _bug(
        "attention: context and query are exchanged",
        f"{layer}.attend",
        "[c, queries]",
        "[queries, c]",
        checks.attention_by_hand,
        "general",
    )
    yield _bug(
        "attention: keys are not values in the backward",
        f"{layer}.backward",
        "dk + dv",
        "dk",
        checks.attention_gradients,
        "general",
        False,
    )
    yield _bug(
        "attention: the query is used once in the backward",
        f"{layer}.attend_backward",
        "dq + dread",
        "dread",
        checks.attention_gradients,
        "general",
        True,
    )


def _model_bugs() -> Iterator[Mutation]:
    decoder, network = "models.seq2seq.decoder:Decoder", "models.seq2seq.network:Network"
    model = "models.seq2seq.model:Seq2Seq"
    yield _bug(
        "seq2seq: input feeding's gradient is dropped",
        f"{decoder}._backward_fed",
        "dfeed = dx[..., E:]",
        "dfeed = 0 * dx[..., E:]",
        checks.model_gradients,
        "rnn",
        "tied",
    )
    yield _bug(
        "seq2seq: a fed step knows nothing of the state behind it",
        f"{decoder}._backward_fed",
        "dq, dstate, needs=core",
        "dq, None, needs=core",
        checks.model_gradients,
        "rnn",
        "tied",
    )
    yield _bug(
        "seq2seq: the directions' states are exchanged on the way back",
        "models.seq2seq.bridge:parted",
        "for d in range(directions)",
        "for d in reversed(range(directions))",
        checks.model_gradients,
        "rnn",
        "dot, as it is",
    )
    yield _bug(
        "seq2seq: what one matrix gets from the head is lost",
        f"{network}._backward_written",
        "sum(found[1:], found[0])",
        "found[0]",
        checks.model_gradients,
        "rnn",
        "shared and tied",
    )
    yield _bug(
        "seq2seq: padding is counted in the loss",
        f"{model}._targets",
        "batch.weights, written,",
        "batch.weights, None,",
        checks.padding_counts_nothing,
        "plain",
    )
    yield _bug(
        "seq2seq: the end is not predicted",
        f"{model}._checked_targets",
        "ended.argmax(axis=1) + 1",
        "ended.argmax(axis=1)",
        checks.padding_counts_nothing,
        "plain",
    )
    yield _bug(
        "seq2seq: each token is read before it is predicted",
        f"{model}._checked_targets",
        "targets[:, :-1]], axis=1)",
        "targets[:, :-1]], axis=1) * 0 + targets",
        checks.model_by_hand,
        "plain",
    )


def _decoding_bugs() -> Iterator[Mutation]:
    beams = "models.seq2seq.beams:Beams"
    yield _bug(
        "decoding: scores are not normalised",
        f"{beams}.advance",
        "(log_p / self.penalties[steps], log_p, steps, place)",
        "(log_p, log_p, steps, place)",
        checks.full_beam_is_brute_force,
        1.5,
        "plain",
    )
    yield _bug(
        "decoding: a row ends by the penalty of now",
        f"{beams}.advance",
        "/ self.penalties[self._most[b]]",
        "/ self.penalties[steps]",
        checks.a_row_goes_on_while_it_may_get_better,
    )
    yield _bug(
        "decoding: states stay where they were",
        "models.seq2seq.decoding:search",
        "parents).reshape(-1)",
        "0 * parents + np.arange(K)).reshape(-1)",
        checks.full_beam_is_brute_force,
        0.6,
        "plain",
    )
    yield _bug(
        "decoding: the length leaves out the end",
        "models.seq2seq.decoding:length_penalty_of",
        "5 + steps",
        "4 + steps",
        checks.full_beam_is_brute_force,
        0.6,
        "plain",
    )
    yield _bug(
        "decoding: what attention found is not fed back",
        "models.seq2seq.decoder:Decoder._fed_step",
        "[e, feed]",
        "[e, 0 * feed]",
        checks.model_by_hand,
        "fed",
    )


MUTATIONS = (*_attention_bugs(), *_model_bugs(), *_decoding_bugs())
