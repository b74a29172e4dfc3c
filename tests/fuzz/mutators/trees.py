"""Damage to JSON that stays JSON, or nearly."""

from __future__ import annotations

import json
import math
from random import Random
from typing import Any

from .raw import SCRAPS

DEEP = "deep below"
"""Stands in a tree for what is nested too deep to be built as one."""

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 1.5, -0.5, 10**12, 2**31, 2**63, -(2**63), 10**40, 1e39, 1e308, math.nan, math.inf,
    "", " ", "nan", "NA", "1", "01", "\ud83d", "a\nb", "\x1b[31m", "\u2028", "\0", "x" * 3000, [], {}, [[]], [None],
    {"": None}, [1, 2], ["a", 1], {"a": {"b": []}}, "float16", "cuda", "numpy", "float32", "__class__", "lstm", "gru",
    "rnn", "relu", "mean", DEEP, DEEP,
)  # fmt: skip
"""What may stand where something else stood."""


STRINGS = ("", "x", "\x1b[31m", "a\nb", "[" * 100_000, "{}", "null", "x" * 3000)


def spots(tree: Any) -> list[tuple[Any, Any]]:
    """Return every place in a tree: a container and a key, or an index."""
    found: list[tuple[Any, Any]] = []
    open_ones = [tree]
    while open_ones:
        node = open_ones.pop()
        keys: Any = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        for key in keys:
            found.append((node, key))
            open_ones.append(node[key])
    return found


def change(rng: Random, tree: Any) -> Any:
    """Change a tree at one place, in it where it can be."""
    found = spots(tree)
    if not found or rng.random() < 0.02:
        return rng.choice(VALUES)
    node, key = rng.choice(found)
    old = node[key]
    match rng.randrange(8):
        case 0:
            del node[key]
        case 1 if isinstance(node, dict):
            node[rng.choice(("", "x", "class", "label", "\ud83d", "a\nb", "x" * 500, str(key).upper()))] = node.pop(key)
        case 2:
            node[key] = rng.choice(([old], {"x": old}, str(old)[:200], [old, old], repr(old)[:200]))
        case 3:
            source, name = rng.choice(found)
            if isinstance(source, list) or name in source:  # what was moved may hold the place it is moved to
                node[key] = json.loads(json.dumps(source[name]))
        case 4 if isinstance(old, int | float) and not isinstance(old, bool):
            node[key] = rng.choice((old + 1, old - 1, -old, old * 10**9, old * 2, float(old)))
        case 5 if isinstance(old, str):
            at = rng.randrange(len(old) + 1)
            node[key] = old[:at] + rng.choice(SCRAPS).decode("utf-8", "replace") + old[at:]
        case 6 if isinstance(node, list):
            node.extend([old] * rng.choice((1, 2, 1000)))
        case _:
            node[key] = rng.choice(VALUES)
    return tree


def dumps(rng: Random, tree: Any) -> str:
    """Write a tree, with what is nested deep put in, and now and then a key that stands twice."""
    text = json.dumps(tree, ensure_ascii=rng.random() < 0.7)
    if DEEP in text:
        depth = rng.choice((20, 600, 5_000, 100_000))
        opening, closing = rng.choice((("[", "]"), ('{"a":', "}"), ("[", "")))
        inner = "" if opening == "[" else "1"
        text = text.replace(f'"{DEEP}"', opening * depth + inner + closing * depth, 1)
    if rng.random() < 0.05 and text.startswith("{") and "," in text:
        first, _, _ = text[1:].partition(",")
        text = "{" + first + "," + text[1:]
    return text


def as_json(rng: Random, data: bytes) -> bytes:
    """Change a file that is one piece of JSON."""
    return dumps(rng, change(rng, json.loads(data))).encode("utf-8", "surrogatepass")


def as_json_lines(rng: Random, data: bytes) -> bytes:
    """Change a line of a file of JSON Lines."""
    rows = data.split(b"\n")
    k = rng.randrange(len(rows))
    rows[k] = as_json(rng, rows[k])
    return b"\n".join(rows)


def within(rng: Random, text: str) -> str:
    """Change a string that may itself be JSON, to whatever depth."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        tree = None
    if isinstance(tree, dict | list) and rng.random() < 0.9:
        return dumps(rng, change(rng, tree))
    return rng.choice((*STRINGS, text + " ", text[: len(text) // 2], text.upper()))
