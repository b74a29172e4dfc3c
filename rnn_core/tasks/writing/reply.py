"""`Reply`: the turns of a dialogue are read, and the next is written."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from ...data import context_of, reply_pairs
from ...data.files import read_dialogues
from ...inputs.pairs import PairEncoding
from ..task import Add, Role
from .conversation import CONTEXT
from .writing import Replies, Writing, Written


class Reply(Writing):
    """Dialogues."""

    name: ClassVar[str] = "reply"
    help: ClassVar[str] = "answer in a dialogue, from the turns before"
    files: ClassVar[str] = ".jsonl with a list of turns a line, or a table with a column prompt and one reply"
    columns: ClassVar[tuple[str, str]] = ("prompt", "reply")
    flags: ClassVar[tuple[tuple[str, str], ...]] = (
        ("prompt", "--text"), ("reply", "--label"), ("text", "--turn-text"), ("speaker", "--turn-speaker"),
    )  # fmt: skip
    keep: ClassVar[str] = "end"
    one_language: ClassVar[bool] = True
    usual: ClassVar[Mapping[str, Any]] = {**Writing.usual, "context": CONTEXT}

    def reading_options(self, add: Add) -> None:
        """Add what can be said of its files, in every command."""
        super().reading_options(add)
        add("--turns", metavar="KEY", help="of a dialogue: the list of its turns (turns, dialogue, messages …)")
        add("--turn-text", metavar="KEY", help="of a turn: what is said (text, content …)")
        add("--turn-speaker", metavar="KEY", help="of a turn: who says it (speaker, role …)")

    def training_options(self, add: Add) -> None:
        """Add what can be said of its training alone."""
        super().training_options(add)
        add("--context", type=int, metavar="K", help=f"turns that a reply reads at most ({CONTEXT})")
        add("--speaker", metavar="NAME", help="whose turns are learned (everyone's)")

    def read_file(self, path: str, args: argparse.Namespace, role: Role, how: PairEncoding | None) -> Written:
        """Read dialogues, or lines that are to be answered."""
        prompt, reply = self.named_columns(args)
        read = partial(read_dialogues, path, prompt=prompt, **self.options(args))
        for key in ("turns", "turn_text", "turn_speaker"):
            if value := getattr(args, key, None):
                read = partial(read, **{key.removeprefix("turn_"): value})
        context = self.given(args, "context") if how is None else how.context or CONTEXT
        if role.labelled:
            pairs = reply_pairs(read(reply=reply), context=context, speaker=getattr(args, "speaker", None))
            groups = tuple(place.partition(", turn")[0] for place in pairs.places)
            return Written(pairs.sources, pairs.targets, pairs.places, groups)
        dialogues = read(reply=None)
        texts = [context_of(dialogue.turns, context) for dialogue in dialogues]
        places = tuple(dialogue.place for dialogue in dialogues)
        return Written(texts, None, places, places)

    def higher_is_better(self, how: PairEncoding) -> bool:
        """See `Task.higher_is_better`: the score that counts is the perplexity."""
        return False

    def score(self, how: PairEncoding, examples: Written, answers: Replies) -> dict[str, float]:
        """Return the same scores with the perplexity first: a reply has many right forms, and chrF knows one."""
        found = super().score(how, examples, answers)
        return {"perplexity": found["perplexity"], **found} if "perplexity" in found else found
