"""What is timed, the most telling first: a run that has to end early ends in the corners."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

CELLS = ("LSTM", "GRU", "RNN")
TASKS = ("inference", "training")

SECTIONS: dict[str, Sequence[tuple[int, int, int]]] = {
    "headline": tuple((128, B, H) for H in (512, 256, 1024) for B in (1, 8, 32)),
    "wide": (
        *((64, B, H) for H in (64, 2048, 128) for B in (1, 256, 32, 64, 128)),
        *((64, B, H) for H in (512, 1024) for B in (64, 256)),
    ),
    "float64": ((128, 1, 256), (128, 32, 256), (64, 8, 1024)),
    "ragged": ((128, 8, 256), (128, 32, 512)),
}
"""T, B, H = I of each section; float32, but for the third."""

QUICK = {"headline": (128, 8, 512), "wide": (64, 64, 128), "float64": (64, 8, 256), "ragged": (64, 8, 256)}
"""The one shape of each section in a quick run."""


def grid(quick: bool = False, only: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the fields of every `benchmarks.cases.Case` of some sections, all by default.

    Those with the same weights stand together.
    """
    found = []
    for section, every in SECTIONS.items():
        if any(name in SECTIONS for name in only) and section not in only:
            continue
        dtype = "float64" if section == "float64" else "float32"
        shapes = [QUICK[section]] if quick else every
        for H, cell in product(dict.fromkeys(H for *_, H in shapes), CELLS):
            for T, B in ((T, B) for T, B, of in shapes if of == H):
                for task in TASKS:
                    sizes = {"T": T, "B": B, "H": H}
                    kind = {"dtype": dtype, "ragged": section == "ragged", "section": section}
                    found.append({"cell": cell, "task": task, **sizes, **kind})
    return found
