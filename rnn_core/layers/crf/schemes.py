"""How tags mark entities: BIO, IOB1 and IOBES, what their names are made of, and which may follow one another.

A tag is a letter and the entity's kind, ``B-PER``, or ``O`` for what is in no entity:

======  ===========================================================================================================
BIO     B begins an entity and I goes on with it (also called IOB2)
IOB1    I begins an entity, too; B only one that follows another of its kind without a gap
IOBES   S is an entity of a single step; a longer one begins with B and ends with E (also BILOU, with L for E, U for S)
======  ===========================================================================================================

References
----------
E. F. Tjong Kim Sang, J. Veenstra, "Representing text chunks", EACL 1999, arXiv:cs/9907006v1.
L. Ratinov, D. Roth, "Design challenges and misconceptions in named entity recognition", CoNLL 2009.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ...foreign import shown
from .constraints import Constraints

SCHEMES = {"BIO": "BIO", "IOB1": "BIO", "IOBES": "BIOES"}
"""The letters of each scheme."""

SAME = {"L": "E", "U": "S"}
"""Letters of BILOU, and what IOBES calls them."""

NOTHING = ("O", "")
"""What is in no entity, taken apart; so is what lies before the first step and behind the last."""


def split_tag(where: str, tag: str, letters: str = "BIOES") -> tuple[str, str]:
    """Return a tag's letter and the entity's kind, which is "" for ``O`` and for tags that have none.

    Raises
    ------
    ValueError
        It is no such tag.
    """
    letter, dash, kind = tag.partition("-")
    letter = SAME.get(letter, letter)
    fits = letter in tuple(letters) and not (letter == "O" and dash) and bool(dash) == bool(kind)
    if not fits:
        raise ValueError(
            f"{where}: tags must be O or one of {', '.join(letters.replace('O', ''))} with a kind behind a dash, such "
            f"as B-PER, got {shown(tag, 40)}; take scheme='plain' where a tag is the kind itself, or no scheme"
        )
    return letter, kind


def constraints_of(tags: Sequence[str], scheme: str = "BIO") -> Constraints:
    """Return which tags may follow one another in a scheme.

    Parameters
    ----------
    tags : sequence of str
        The names, in the order of their numbers.
    scheme : {"BIO", "IOB1", "IOBES"}

    Raises
    ------
    ValueError
        There is no such scheme, or a name is none of its tags.

    Examples
    --------
    >>> constraints_of(["O", "B-PER", "I-PER"]).transitions
    array([[ True,  True, False],
           [ True,  True,  True],
           [ True,  True,  True]])
    """
    where = "constraints_of"
    if scheme not in SCHEMES:
        raise ValueError(f"{where}: scheme must be one of {', '.join(SCHEMES)}, got {shown(scheme)}")
    parts = [split_tag(where, tag, SCHEMES[scheme]) for tag in tags]
    may = {"BIO": _bio, "IOB1": _iob1, "IOBES": _iobes}[scheme]
    transitions = np.array([[may(before, after) for after in parts] for before in parts], bool)
    starts = np.array([may(NOTHING, after) for after in parts], bool)
    ends = np.array([may(before, NOTHING) for before in parts], bool)
    return Constraints(transitions, starts, ends)


def scheme_of(rows: Iterable[Sequence[str]]) -> tuple[str | None, bool]:
    """Return which scheme rows of tags follow, None if they mark no entities, and whether all keep to its rules.

    E and S tell IOBES. What is left is BIO or, where rows break its rules and none breaks those of IOB1, that.
    """
    rows = [list(row) for row in rows]
    tags = sorted({tag for row in rows for tag in row})
    try:
        letters = {split_tag("scheme_of", tag)[0] for tag in tags}
    except ValueError:
        return None, False
    if not letters & set("BIES"):
        return None, False
    if letters & set("ES"):
        return "IOBES", _kept(rows, tags, "IOBES")
    if _kept(rows, tags, "BIO"):
        return "BIO", True
    return ("IOB1", True) if _kept(rows, tags, "IOB1") else ("BIO", False)


def _kept(rows: Sequence[Sequence[str]], tags: Sequence[str], scheme: str) -> bool:
    """Return whether rows keep to a scheme's rules."""
    rules, number = constraints_of(tags, scheme), {tag: k for k, tag in enumerate(tags)}
    for row in filter(None, rows):
        k = np.array([number[tag] for tag in row])
        if not (rules.starts[k[0]] and rules.ends[k[-1]] and rules.transitions[k[:-1], k[1:]].all()):
            return False
    return True


def _bio(before: tuple[str, str], after: tuple[str, str]) -> bool:
    """Return whether a tag may follow another: I only what it goes on with."""
    return after[0] != "I" or (before[0] != "O" and before[1] == after[1])


def _iob1(before: tuple[str, str], after: tuple[str, str]) -> bool:
    """Return whether a tag may follow another: B only an entity of its kind, from which it sets the next apart."""
    return after[0] != "B" or (before[0] != "O" and before[1] == after[1])


def _iobes(before: tuple[str, str], after: tuple[str, str]) -> bool:
    """Return whether a tag may follow another: what is open goes on, and else nothing does."""
    if before[0] in "BI":
        return after[0] in "IE" and before[1] == after[1]
    return after[0] in "BOS"
