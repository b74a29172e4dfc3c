"""`Translate`: a text is read, and another is written that belongs to it."""

from __future__ import annotations

import argparse
from typing import ClassVar

from ...data.files import read_pairs, read_texts
from ...inputs.pairs import PairEncoding
from ..task import Add, Role
from .writing import Writing, Written

TARGETS = {
    Role.DATA: "targets", Role.VALIDATION: "validation_targets", Role.TEST: "test_targets", Role.EVALUATE: "targets",
}  # fmt: skip
"""The option that names the other file, where texts and translations are in two."""


class Translate(Writing):
    """Pairs of texts."""

    name: ClassVar[str] = "translate"
    help: ClassVar[str] = "write a text for each text: translations, titles, pronunciations"
    files: ClassVar[str] = ".csv .tsv .jsonl with a column source and one target; or a text a line, and --targets"
    columns: ClassVar[tuple[str, str]] = ("source", "target")
    flags: ClassVar[tuple[tuple[str, str], ...]] = (("source", "--text"), ("target", "--label"))
    models: ClassVar[tuple[str, ...]] = ("Seq2Seq",)

    def reading_options(self, add: Add) -> None:
        """Add what can be said of its files, in every command."""
        super().reading_options(add)
        add("--targets", metavar="FILE", help="line k is the translation of the other file's line k")

    def training_options(self, add: Add) -> None:
        """Add what can be said of its training alone."""
        super().training_options(add)
        for part in ("validation", "test"):
            add(f"--{part}-targets", metavar="FILE", help=f"the same of --{part}")

    def check(self, args: argparse.Namespace) -> None:
        """Raise ValueError for options that are out of range, or name half of what they should."""
        super().check(args)
        for part in ("validation", "test"):
            if getattr(args, f"{part}_targets", None) and not getattr(args, part, None):
                raise ValueError(f"--{part}-targets must go with --{part}, whose lines it translates, got it alone")

    def read_file(self, path: str, args: argparse.Namespace, role: Role, how: PairEncoding | None) -> Written:
        """Read pairs or, to predict, texts."""
        source, target = self.named_columns(args)
        options = self.options(args)
        if not role.labelled:
            found = read_texts(path, text=source, label=None, **options)
            return Written(found.texts, None, found.places, tuple(found.texts))
        other = getattr(args, TARGETS[role], None)
        pairs = read_pairs(path, other, source=source, target=target, **options)
        return Written(pairs.sources, pairs.targets, pairs.places, tuple(pairs.sources))
