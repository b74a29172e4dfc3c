"""What a reply answers: the turns before it, as one text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ....foreign import shown
from ....layers.checks import positive_int
from ..lines import remark
from .dialogues import Dialogue
from .pairs import TextPairs

SEPARATOR = "␞"
"""What parts turns: a sign of its own, a token at every level of a `Tokenizer`, which no turn may hold."""


def context_of(turns: Sequence[str], context: int) -> str:
    """Return what a reply reads: the latest turns in their order, parted by `SEPARATOR`.

    Parameters
    ----------
    turns : sequence of str
        All that was said before, the earliest first; at least one.
    context : int
        How many of them are read at most, the latest.

    Raises
    ------
    ValueError
        There is no turn, one holds the separator, or `context` is below 1.
    TypeError
        `context` is no integer.
    """
    context = positive_int("context_of", "context", context)
    if not turns:
        raise ValueError("context_of: turns must hold at least one, got none; a reply answers something")
    for turn in turns[-context:]:
        _check_turn("context_of", "a turn", turn)
    return f" {SEPARATOR} ".join(turns[-context:])


def reply_pairs(dialogues: Iterable[Dialogue], *, context: int = 3, speaker: str | None = None) -> TextPairs:
    """Return each turn but the first of every dialogue, as a target, beside the turns before it.

    Parameters
    ----------
    dialogues : iterable of Dialogue
        From `read_dialogues`.
    context : int
        How many turns before a reply are read at most.
    speaker : str, optional
        Whose turns are learned; by default everyone's. The others' stand in the context all the same.

    Returns
    -------
    TextPairs

    Warns
    -----
    FileWarning
        Dialogues of a single turn were left out.

    Raises
    ------
    ValueError
        A turn holds `SEPARATOR`, there is no reply, or none by this speaker.
    """
    where, rows, short = "reply_pairs", [], 0
    context = positive_int(where, "context", context)
    speakers: set[str] = set()
    for turns, by, place in dialogues:
        short += len(turns) == 1
        for k, turn in enumerate(turns):
            _check_turn(where, f"{place}, turn {k + 1},", turn)
        speakers.update(name for name in by if name is not None)
        rows += [
            (context_of(turns[max(0, k - context) : k], context), turns[k], f"{place}, turn {k + 1}")
            for k in range(1, len(turns))
            if speaker is None or by[k] == speaker
        ]
    if not rows:
        if speaker is None:
            raise ValueError(f"{where}: dialogues must hold a turn that answers another, got none")
        names = ", ".join(sorted(speakers)) or "no names"
        raise ValueError(
            f"{where}: speaker must be one who replies, got {shown(speaker)}; the dialogues have {shown(names)[1:-1]}"
        )
    if short:
        remark(where, f"{short:,} dialogues left out, of a single turn each")
    sources, targets, places = zip(*rows, strict=True)
    return TextPairs(list(sources), list(targets), places)


def _check_turn(where: str, place: str, turn: str) -> None:
    if SEPARATOR in turn:
        raise ValueError(
            f"{where}: {place} must not hold {SEPARATOR!r}, which parts turns, got {shown(turn)}; put something else "
            "in its place"
        )
