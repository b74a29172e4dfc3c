"""Bugs in what a reply reads, in pieces and pairs, and in the scores of strings."""

from __future__ import annotations

from collections.abc import Callable

from tests import dialogue_checks as checks

from .mutation import Mutation


def bug(name: str, target: str, old: str, new: str, check: Callable[..., None], times: int = 1) -> Mutation:
    """Return a bug in one of rnn_core's functions."""
    return Mutation(name, f"rnn_core.{target}", old, new, check, (), times)


CONTEXT, REPLIES = "data.files.pairs.contexts:context_of", "data.files.pairs.contexts:reply_pairs"
DISTANCE, RATE = "scores.strings:edit_distance", "scores.strings:edit_rate"

MUTATIONS = (
    bug(
        "dialogue: the context comes in reverse",
        CONTEXT,
        ".join(turns[-context:])",
        ".join(turns[: -context - 1 : -1])",
        checks.context_is_the_latest_turns_in_order,
    ),
    bug(
        "dialogue: the earliest turns are kept instead of the latest",
        CONTEXT,
        ".join(turns[-context:])",
        ".join(turns[:context])",
        checks.context_is_the_latest_turns_in_order,
    ),
    bug(
        "dialogue: the separator is lost",
        CONTEXT,
        'f" {SEPARATOR} ".join',
        '" ".join',
        checks.context_keeps_turns_apart,
    ),
    bug(
        "dialogue: a reply reads itself",
        REPLIES,
        "turns[max(0, k - context) : k]",
        "turns[max(0, k - context) : k + 1]",
        checks.replies_do_not_read_themselves,
    ),
    bug(
        "pieces: the blanks are lost",
        "data.text:Tokenizer._split",
        "PIECE.findall(text)",
        "[piece.strip() for piece in PIECE.findall(text)]",
        checks.pieces_are_the_text_again,
    ),
    bug(
        "pairs: the second file is a line behind",
        "data.files.pairs.pairs:_line_by_line",
        "zip(*sides, strict=True)",
        "zip(sides[0], sides[1][-1:] + sides[1][:-1], strict=True)",
        checks.lines_belong_together,
    ),
    bug(
        "edit distance: what is put in before the first costs nothing",
        DISTANCE,
        "right << 1 | 1",
        "right << 1",
        checks.distances_are_the_recurrences,
    ),
    bug(
        "edit distance: falls in a column are forgotten",
        DISTANCE,
        "| same | falls",
        "| same",
        checks.distances_are_the_recurrences,
    ),
    bug(
        "edit rate: divided by what was said",
        RATE,
        "edits + distance, tokens - length",
        "edits + distance, tokens + len(one)",
        checks.rates_are_by_what_was_wanted,
    ),
    bug(
        "pairs: of a long context the beginning is read",
        "inputs.pairs:PairEncoding.sources",
        "row[-self.max_steps :] if",
        "row[: self.max_steps] if",
        checks.of_a_long_context_the_end_is_read,
    ),
    bug(
        "pairs: what is written stays in the order of lengths",
        "inputs.pairs:PairEncoding.write",
        "[found[k] for k in range(len(rows))]",
        "[found[k] for k in order]",
        checks.what_is_written_stands_beside_what_was_read,
    ),
    bug(
        "pairs: the end of what is written is not counted in the perplexity",
        "models.seq2seq.model:Seq2Seq._checked_targets",
        "ended.argmax(axis=1) + 1",
        "ended.argmax(axis=1)",
        checks.perplexity_is_of_all_tokens,
    ),
    bug(
        "pairs: perplexity is a mean over batches, however long",
        "tasks.writing.writing:Writing.answer",
        "sum(part.loss for part in parts) / sum(part.count for part in parts)",
        "sum(part.loss / part.count for part in parts) / len(parts)",
        checks.perplexity_is_of_all_tokens,
    ),
    bug(
        "pairs: what belongs together is split",
        "tasks.writing.writing:Writing.split",
        "np.array([group in held for group in examples.groups])",
        "np.arange(len(examples)) < len(held)",
        checks.a_split_keeps_groups_together,
    ),
    bug(
        "dialogue: the model's own replies are forgotten",
        "tasks.writing.conversation:Conversation.say",
        "if reply:",
        "if not reply:",
        checks.a_conversation_remembers_its_own_replies,
    ),
)
