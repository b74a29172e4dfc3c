"""Options that would have no effect on what is read: each is an error, because somebody meant something by it."""

from __future__ import annotations

from typing import Any

from rnn_core.inputs.encoding import Encoding
from rnn_core.inputs.reading import Raw

from .sides import Wanted


def check_effects(wanted: Wanted, source: Any, target: Raw, known: Encoding | None) -> None:
    """Raise ValueError for an option that nothing here heeds."""
    kinds = {target.kind, source.kind if isinstance(source, Raw) else "text" if isinstance(source, str) else ""}
    if known is not None:
        kinds.add(known.kind)
    for name, value, heed in (
        ("--level", wanted.level, {"text"}),
        ("--keep-case", wanted.keep_case, {"text"}),
        ("--num-words", wanted.num_words, {"text", "ids"}),
        ("--frame", wanted.how.frame, {"waveforms"}),
        ("--sample-rate", wanted.how.rate, {"waveforms"}),
        ("--missing", wanted.how.missing, {"series"}),
    ):
        if value and not kinds & heed:
            raise ValueError(
                f"{name} must be left out where nothing is of the kind {' or '.join(sorted(heed))}, got "
                f"{' and '.join(sorted(filter(None, kinds)))}"
            )
    if wanted.keep_case and known is not None and known.tokenizer is not None and known.tokenizer.lower:
        raise ValueError(
            "--keep-case must be left out with this --source-model, which reads capital letters as small ones; or "
            "train a source anew with --source"
        )
