r"""What goes out, to a file or to a terminal: names, labels and texts that came from anywhere, made such that they can.

A file's name may be bytes that are no text (Python has them as half characters, ``\udcff``), a label may hold control
characters, and a terminal may know ASCII alone. All that is written passes here: by `writable` into files, by
`printable` before people's eyes, by `json_bytes` into JSON; and `prepare` makes a terminal's stream take anything.
"""

from __future__ import annotations

import codecs
import io
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

STAND_INS = {
    "±": "+/-", "−": "-", "–": "-", "—": "-", "‑": "-", "…": "...", "·": ".", "×": "x", "→": "->", "←": "<-", "∂": "d",
    "‖": "||", "θ": "theta", "Σ": "sum", "²": "^2", "′": "'", "≥": ">=", "≤": "<=", "\u00a0": " ",
    **dict.fromkeys("─━╌╍═", "-"), **dict.fromkeys("│┃║", "|"),
    **dict.fromkeys("┌┍┎┏┐┑┒┓└┕┖┗┘┙┚┛├┝┠┡┢┣┤┥┨┩┪┫┬┯┰┳┴┷┸┻┼┿╀╂╇╈╋╒╓╔╗╚╝╞╟╠╡╢╣╤╦╧╩╪╬", "+"),
}  # fmt: skip
"""What stands for our own signs, and for the lines of a table, on a terminal that lacks them."""

HANDLER = "rnn_core.stand_in"


def writable(text: str) -> str:
    r"""Return a text as any file can hold it: half characters become ``\ud`` and their number."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def printable(text: str, keep: str = "\n\t") -> str:
    r"""Return a text as people can see it: half characters and control characters become escapes, save some.

    A label from a file could move the cursor of a terminal otherwise, or colour it.
    """
    if text.isprintable():
        return text
    return writable("".join(ascii(one)[1:-1] if _controls(one) and one not in keep else one for one in text))


def _controls(character: str) -> bool:
    return character < " " or "\x7f" <= character < "\xa0"


def plain(value: Any) -> Any:
    """Return data as JSON has it: lists for arrays, None where a number is not finite, and text that is `writable`."""
    if isinstance(value, Mapping):
        return {writable(str(name)): plain(part) for name, part in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return writable(value) if isinstance(value, str) else value


def json_bytes(value: Any, indent: int | None = 1) -> bytes:
    """Return data as a JSON file: strict, in UTF-8, with a line's end."""
    return (json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False) + "\n").encode()


def prepare(stream: Any) -> None:
    """Make a terminal's stream take any text: what its encoding lacks has a stand-in, or becomes an escape."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=HANDLER)


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(STAND_INS.get(one) or ascii(one)[1:-1] for one in missing), error.end


codecs.register_error(HANDLER, _stand_in)
