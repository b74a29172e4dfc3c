"""What there is to say of a source, and of what it shares with the target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnn_core.data.labelled import Labelled
from rnn_core.foreign import shown
from rnn_core.inputs.encoding import OOV, Encoding
from rnn_core.inputs.facts import facts, share_of, words_of
from rnn_core.models import Model

from ..comparing.classification import Text
from .files_study import FilesStudy


def facts_of_source(study: FilesStudy, source: Any, known: Encoding | None) -> dict[str, Any]:
    """Return the facts of a source: of examples, of a text, or of a model and how it reads, if that is known."""
    if isinstance(study.source, Labelled):
        return facts(study.source, source)
    if isinstance(study.source, Text):
        return {"tokens": len(study.source.ids), "vocabulary": len(study.source.tokens)}
    found: dict[str, Any] = {"a saved model of": "unknown data" if known is None else known.kind}
    return found | ({"vocabulary": len(known.tokens)} if known is not None and known.tokens is not None else {})


def compare_tokens(study: FilesStudy, here: Encoding, sides: dict[str, dict[str, Any]], notes: list[str]) -> None:
    """Say how much of the target the source knows.

    Raises
    ------
    ValueError
        It is nothing.
    """
    if here.tokens is None or here.unknown is None:
        return
    sides["test"]["unknown tokens, %"] = share_of(study.test, np.array([here.unknown]))
    if study.source_tokens is None:
        return
    ours, theirs = words_of(here.tokens), [token for token in words_of(study.source_tokens) if token != OOV]
    if isinstance(study.source, Model):
        known = set(theirs)
        seen = np.array([k for k, token in enumerate(ours) if token in known])
    else:
        seen = np.setdiff1d(study.source.ids if isinstance(study.source, Text) else study.source.inputs, here.unknown)
        theirs = [ours[k] for k in seen]
    share = share_of(study.target, seen)
    if not share:
        words = [ours[k] for k in np.setdiff1d(study.target.inputs, here.unknown)]
        raise ValueError(
            f"--target must have a token in common with the source, got none: {_few(words)} "
            f"against {_few(theirs)}; is --level right, are the languages the same?"
        )
    sides["target"]["tokens that the source knows, %"] = share
    if share < 50:
        notes.append(f"the source knows {share:.0f} % of the target's tokens; embeddings of the others are fresh")


def _few(words: Sequence[str]) -> str:
    return ", ".join(shown(word, 24) for word in words[:3]) + "…"
