"""Bugs in bidirectional language models and in what mixes their states."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests import contextual_checks as checks

from .mutation import Mutation


def _bugs() -> Iterator[Mutation]:
    def bug(name: str, target: str, old: str, new: str, check: Callable[..., None], *arguments: Any, times: int = 1):
        return Mutation(f"contextual: {name}", f"rnn_core.{target}", old, new, check, arguments, times)

    halves = "models.contextual.halves"
    yield bug(
        "the backward half begins in the padding",
        f"{halves}:Half._turned",
        "lengths, self.direction",
        "None, self.direction",
        checks.rows_alone_equal_rows_together,
    )
    yield bug(
        "both halves read forwards",
        f"{halves}:Half._turned",
        "lengths, self.direction",
        "lengths, 0",
        checks.halves_never_see_what_they_predict,
    )
    yield bug(
        "the forward half is asked for what it has just read",
        f"{halves}:_moved",
        "[array[:, 1:], nothing]",
        "[array[:, :-1], nothing]",
        checks.loss_by_hand,
    )
    yield bug(
        "the backward half is asked from behind a row's end",
        f"{halves}:_next_tokens",
        "if direction == 1 and lengths is not None:",
        "if False:",
        checks.rows_alone_equal_rows_together,
    )
    yield bug(
        "the backward half's dx is not turned back",
        f"{halves}:Half.backward",
        "self._turned(de, tape.lengths), named",
        "de, named",
        checks.loss_gradients,
        "plain",
        "rnn",
    )
    model = "models.contextual.bidirectional_language_model:BidirectionalLanguageModel"
    yield bug(
        "the embedding learns from one half alone",
        f"{model}._backward",
        "parts[0] + parts[1]",
        "parts[0]",
        checks.loss_gradients,
        "plain",
        "rnn",
    )
    yield bug(
        "the shared head learns from the last half alone",
        f"{model}._backward",
        "grads[name] + gradient if name in grads else gradient",
        "gradient",
        checks.loss_gradients,
        "plain",
        "rnn",
    )
    yield bug(
        "each half counts half, whatever its targets weigh",
        f"{model}.loss_and_gradients",
        "share=its / count",
        "share=0.5",
        checks.loss_gradients,
        "plain",
        "rnn",
    )
    mix = "layers.mixing.scalar_mix:ScalarMix.backward"
    yield bug(
        "the softmax's derivative lacks what is off the diagonal",
        mix,
        "s * (ds - xp.sum(s * ds))",
        "s * (1 - s) * ds",
        checks.mix_gradients,
        False,
    )
    yield bug("γ has no gradient", mix, "xp.sum(dy * mixed)", "0 * xp.sum(dy * mixed)", checks.mix_gradients, False)
    yield bug(
        "γ is missing in the gradient of the states",
        mix,
        "gamma * s[:, None] * dy[..., None, :]",
        "s[:, None] * dy[..., None, :]",
        checks.mix_gradients,
        False,
    )
    yield bug(
        "the variance is a constant in the backward",
        "layers.mixing.scalar_mix:_normalised_backward",
        "dn - mean - n * along",
        "dn - mean",
        checks.mix_gradients,
        True,
    )
    yield bug(
        "what stands in the padding is mixed",
        "models.fronts.mix:Mix.checked",
        "if lengths is not None:",
        "if False:",
        checks.padding_reaches_no_mix,
    )
    letters = "models.fronts.letters:Letters"
    yield bug(
        "letters: the maximum is taken over the padding, too",
        f"{letters}.forward",
        "xp.moveaxis(y, 1, 2), n)",
        "xp.moveaxis(y, 1, 2))",
        checks.words_have_one_vector_each,
    )
    yield bug(
        "letters: 0 is a letter like others",
        f"{letters}.forward",
        "xp.where(within[:, :, None], e, 0)",
        "e",
        checks.words_have_one_vector_each,
    )
    yield bug(
        "letters: what stands behind a word's end is read",
        f"{letters}.checked",
        "there.cumulative_sum(there.astype(x == 0, there.int64), axis=2) == 0",
        "x > 0",
        checks.letters_past_an_end_reach_nothing,
    )
    yield bug(
        "letters: the embedding learns from the last filters alone",
        f"{letters}.backward",
        "de + dx",
        "dx",
        checks.letters_gradients,
    )
    yield bug(
        "highway: what passes the gate is no way back",
        "layers.mixing.highway:Highway.backward",
        "return dy * (1 - t) + through_h",
        "return through_h",
        checks.highway_gradients,
    )
    yield bug(
        "highway: the gate's gradient takes h for h − x",
        "layers.mixing.highway:Highway.backward",
        "dy * (h - x)",
        "dy * h",
        checks.highway_gradients,
    )


MUTATIONS = (*_bugs(),)
