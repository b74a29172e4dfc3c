"""`Case`: one input, that is some files, the path that a reader is given, and its options."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

Content = bytes | str | None
"""What stands under a name: a file's bytes, where a link leads, or None for a folder."""


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes
    ----------
    files : dict of str to Content
        By names relative to a folder, parted by slashes; bytes that are no UTF-8 stand in them as Python has them.
    path : str
        The one that the reader is given; "" is the folder itself.
    options : dict
        What else it is given, in types that JSON has.
    refused : bool
        Whether a reader must refuse it, though nothing is damaged: it is of another kind, or of another program.
    """

    files: dict[str, Content]
    path: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    refused: bool = False

    def write(self, folder: Path) -> Path:
        """Write the files into a folder, and return the path for the reader. What can't be written is left out."""
        folder.mkdir()
        for name, content in self.files.items():
            place = folder / name
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                if content is None:
                    place.mkdir(exist_ok=True)
                elif isinstance(content, str):
                    place.symlink_to(content)
                else:
                    place.write_bytes(content)
            except OSError:  # a file where a folder should be, or a name that is too long
                continue
        return folder / self.path

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(len(content) for content in self.files.values() if isinstance(content, bytes))

    def dumps(self, **facts: Any) -> str:
        """Return the input as one line of JSON, and facts beside it."""

        def packed(content: Content) -> Any:
            if isinstance(content, bytes):
                return {"bytes": base64.b64encode(content).decode()}
            return None if content is None else {"link": content}

        files = {name: packed(content) for name, content in self.files.items()}
        told = {"path": self.path, "options": self.options, "refused": self.refused}
        return json.dumps({**facts, **told, "files": files})

    @classmethod
    def loads(cls, text: str) -> Case:
        """Return what `dumps` wrote."""

        def unpacked(content: Any) -> Content:
            if content is None:
                return None
            return content["link"] if "link" in content else base64.b64decode(content["bytes"])

        stored = json.loads(text)
        files = {name: unpacked(content) for name, content in stored["files"].items()}
        return cls(files, stored["path"], stored["options"], stored["refused"])


def one(name: str, content: bytes | str, **options: Any) -> Case:
    """Return the input of a single file; text is written as UTF-8."""
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return Case({name: data}, name, options)


def another(name: str, content: bytes | str) -> Case:
    """Return the input of a single file that is to be refused."""
    return replace(one(name, content), refused=True)


def split_name(name: str) -> tuple[str, str]:
    """Return a name's folder, with its slash, and the rest."""
    folder, _, last = name.rpartition("/")
    return f"{folder}/" if folder else "", last


def fits(name: str) -> bool:
    """Return whether a file system takes such a name."""
    parts = name.split("/")
    return "\0" not in name and all(0 < len(os.fsencode(part)) <= 255 and part not in (".", "..") for part in parts)
