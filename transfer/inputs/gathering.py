"""From the files that a user names to a study: what is read, how it is split, encoded and joined."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnn_core.data.files.lines import named
from rnn_core.data.labelled import Labelled
from rnn_core.foreign import one_line
from rnn_core.inputs.encoding import Encoding, for_ids, for_numbers, for_texts
from rnn_core.inputs.facts import facts, note_longest, note_reading, note_rows, note_test
from rnn_core.inputs.how import How
from rnn_core.inputs.reading import Raw
from rnn_core.inputs.vectors import known_words
from rnn_core.models import Model

from ..comparing.classification import STEPS, Text
from ..comparing.data_study import Budget
from .effects import check_effects
from .facts import compare_tokens, facts_of_source
from .files_study import FilesStudy
from .sides import Wanted, source_of, target_and_test

TEXT_STEPS = 200
"""Tokens that are read of a text, unless told otherwise."""

WORDS = 10_000
"""Words that are kept, unless told otherwise."""


@dataclass
class Inputs:
    """What was made of the files.

    Attributes
    ----------
    study : FilesStudy
    encoding : Encoding
        The target's.
    sides : dict of str to dict
        Facts of source, target and test.
    notes : list of str
        What the reader must know.
    """

    study: FilesStudy
    encoding: Encoding
    sides: dict[str, dict[str, Any]]
    notes: list[str]


def gather(wanted: Wanted, budget: Budget) -> Inputs:
    """Read and check everything, and return the study.

    Raises
    ------
    ValueError
        A file is broken, kinds, classes or vocabularies don't fit, or options exclude one another.
    OSError
        A file is missing or can't be read.
    """
    notes: list[str] = []
    source, known = source_of(wanted)
    if known is not None:
        wanted = replace(wanted, how=_as_known(wanted.how, known))
    target, test = target_and_test(wanted)
    check_effects(wanted, source, target, known)
    note_reading(notes, {"--source": source, "--target": target, "--test": test})
    here, there = _encodings(wanted, target, source, known)
    try:
        judged = here.labelled(test)
    except ValueError as error:
        where = named(wanted.test or wanted.target)
        raise ValueError(f"--test must go with --target, got {where}: {one_line(error, 200)}") from error
    study = FilesStudy(
        _source_data(source, there, wanted),
        here.labelled(target),
        judged,
        _network(wanted, source),
        budget,
        wanted.balanced,
        vocabulary=None if known is None else known.tokens,
    )
    sides = {
        "source": facts_of_source(study, source, known),
        "target": facts(study.target, target),
        "test": facts(study.test, test),
    }
    compare_tokens(study, here, sides, notes)
    if wanted.vectors is not None:
        words = there if here.tokenizer is None else here
        study = _with_vectors(study, words, wanted.vectors, wanted.vectors_encoding, sides, notes)
    note_rows(notes, here, target, test)
    if isinstance(source, Raw):
        note_rows(notes, there, source, whose="source")
    note_longest(notes, {"--source": source, "--target": target, "--test": test})
    note_test(notes, source, target, test, wanted.balanced)
    rate = source.rate if isinstance(source, Raw) else known and known.rate
    if target.rate and rate and rate != target.rate:
        notes.append(f"the source has {rate:,} samples a second, the target {target.rate:,}")
    if study.core == ("rnn.weight_hh_*",):
        notes.append("source and target have different inputs: the recurrent weights alone carry over")
    return Inputs(study, here, sides, notes)


def _as_known(how: How, known: Encoding) -> How:
    """Return how a target is read that may go with a saved network: as its own data were, unless told otherwise."""
    if known.kind == "waveforms" and how.frame is None:
        return replace(how, frame=known.frame)
    if known.kind == "series" and how.missing is None and known.missing != "refuse":
        return replace(how, missing=known.missing)
    return how


def _source_data(source: Model | str | Raw, encoding: Encoding, wanted: Wanted) -> Labelled | Text | Model:
    if isinstance(source, Raw):
        return encoding.labelled(source)
    if isinstance(source, Model):
        return source
    rows = np.asarray(Encoding("text", encoding.tokenizer).encode(Raw("text", [source], None, (), ("",)))[0])
    if rows.size < 2 * STEPS:
        raise ValueError(
            f"--source must hold at least {2 * STEPS} tokens of text, got {rows.size} in {named(wanted.source or '')}"
        )
    return Text(rows[0], encoding.tokens or ())


def _encodings(
    wanted: Wanted, target: Raw, source: Model | str | Raw, known: Encoding | None
) -> tuple[Encoding, Encoding]:
    """Return how the target is read, and how the source is: by one tokenizer, fitted on the training texts of both."""
    theirs = source.kind if isinstance(source, Raw) else "text" if isinstance(source, str) else known and known.kind
    if {target.kind, theirs} == {"text", "ids"}:
        raise ValueError(
            "--source and --target must both be texts or both Keras's numbers, got one of each: what the numbers stand "
            "for is not in the file"
        )
    sides = {name: side for name, side in (("--source", source), ("--target", target)) if isinstance(side, Raw)}
    texts = [source] if isinstance(source, str) else []
    texts += [row for side in sides.values() if side.kind == "text" for row in side.rows]
    ids = {name: side for name, side in sides.items() if side.kind == "ids"}
    steps = wanted.max_steps or TEXT_STEPS
    tokens = None
    if texts:
        tokens = for_texts(texts, *_tokenizer_options(wanted, known), steps)
    elif ids:
        tokens = for_ids(ids, wanted.num_words or (None if known is None else known.vocabulary), steps)

    def encoding(side: Any) -> Encoding:
        if isinstance(side, Raw) and side.kind not in ("text", "ids"):
            return for_numbers(side, wanted.max_steps, wanted.how.samples)
        return tokens or here

    here = encoding(target)
    return here, encoding(source)


def _tokenizer_options(wanted: Wanted, known: Encoding | None) -> tuple[str, int | None, bool]:
    theirs = None if known is None else known.tokenizer
    level = wanted.level or ("word" if theirs is None else theirs.level)
    lower = not wanted.keep_case
    if theirs is not None:
        if level != theirs.level:
            raise ValueError(f"--level must be the source model's, {theirs.level!r}, got {level!r}; leave it out")
        lower = theirs.lower
    return level, wanted.num_words or (WORDS if level == "word" else None), lower


def _network(wanted: Wanted, source: Any) -> dict[str, Any]:
    """Return the network's options: the user's, or those of the model that is the source."""
    asked = {name: value for name, value in wanted.network.items() if value is not None}
    if isinstance(source, str) and asked.get("bidirectional"):
        raise ValueError(
            "--bidirectional must be left out with a text without classes as --source: what is to come can only be "
            "predicted in one direction"
        )
    if not isinstance(source, Model):
        return {"hidden_size": 64, "cell": "lstm", "num_layers": 1, "bidirectional": False, "pooling": "mean", **asked}
    names = (
        "hidden_size", "cell", "nonlinearity", "cell_options", "num_layers", "bidirectional", "pooling",
        "embedding_size",
    )  # fmt: skip
    theirs = {name: source.config[name] for name in names if source.config.get(name) is not None}
    for name, value in asked.items():
        if name != "pooling" and theirs.get(name) != value:  # pooling has no parameters
            raise ValueError(
                f"--{OPTIONS.get(name, name.replace('_', '-'))} must be the source model's, {theirs.get(name)}, got "
                f"{value}; leave it out, or train a source anew with --source"
            )
    return {**theirs, **asked}


OPTIONS = {"num_layers": "layers", "cell_options": "cell-option"}
"""What an option is called where it isn't called as the network's."""


def _with_vectors(
    study: FilesStudy,
    reads: Encoding,
    path: str,
    encoding: str,
    sides: dict[str, dict[str, Any]],
    notes: list[str],
) -> FilesStudy:
    """Return the study with word vectors in its fresh embeddings."""
    tokens = reads.tokenizer
    if isinstance(study.source, Model):
        raise ValueError("--vectors must be left out with --source-model, whose own embedding carries over")
    words = known_words(path, tokens, encoding)
    notes += words.notes
    size = words.size_for(None)
    sides["vectors"] = {
        "read as": words.kind,
        "numbers a word": size,
        "words": len(tokens or ()),
        "known words": len(words.rows),
    }
    return replace(study, network={**study.network, "embedding_size": size}, words=words)
