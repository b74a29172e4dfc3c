"""What people give to ``rnn-core transfer`` and ``rnn-core predict``: examples enough to split, of every kind."""

from __future__ import annotations

from ..case import Case
from ..mutators import containers, raw, trees
from . import series, sound, texts

OPTIONS = (("kind", "text"), ("kind", "series"), ("encoding", "latin-1"), ("text", "body"), ("frame", 3))
DAMAGE = (*raw.TEXT, *raw.TEXT, trees.as_json_lines, containers.as_riff)


def files() -> list[Case]:
    """Return files with two examples or more of each class, whose options are the commands'."""
    plain = [*texts.tables()[:4], *texts.json_lines()[:2], *texts.keras()[1:2], series.tables()[0], series.ts()[0]]
    return [*plain, *map(_twice, (texts.folders()[0], texts.folders()[1])), _sounds()]


def _twice(case: Case) -> Case:
    """Return a folder with each of its files a second time."""
    copies = {name.replace(".txt", "-2.txt"): content for name, content in case.files.items()}
    return Case({**case.files, **copies})


def _sounds() -> Case:
    (data,) = {content for content in sound.waves()[1].files.values() if isinstance(content, bytes)}
    return Case({f"{name}/{k}.wav": data for name in ("high", "low") for k in range(2)}, "", {"frame": 4})
