"""The UCR and UEA archives' files in each of their clothes."""

from __future__ import annotations

import numpy as np

from ..case import Case, another, one

RNG = np.random.default_rng(1)
VALUES = np.round(RNG.normal(size=(6, 6)), 3)
LABELS = ("1", "2", "-1", "1", "2", "-1")


def _rows(mark: str, first: bool = True) -> list[str]:
    rows = [mark.join(map(str, row)) for row in VALUES]
    return [f"{label}{mark}{row}" if first else f"{row}{mark}{label}" for label, row in zip(LABELS, rows, strict=True)]


def tables() -> list[Case]:
    """Return ``.tsv`` and its relatives."""
    short = "2\t1.5\t-2\t3e-1\n-1\t4\t5\tNaN\n2\t7\t8\t9\n"
    return [
        one("a_TRAIN.tsv", "\n".join(_rows("\t")) + "\n"),
        one("a.tsv", short),
        one("a_TRAIN.txt", "".join("   " + row.replace(" ", "   ") + "\n" for row in _rows(" "))),
        one("a.csv", "\n".join(_rows(",")) + "\n"),
    ]


def arff() -> list[Case]:
    """Return Weka's format, as the archive has it."""
    head = "% a comment\n@relation x\n\n" + "".join(f"@attribute att{k} numeric\n" for k in range(6))
    return [one("a.arff", head + "@attribute target {-1,1,2}\n\n@data\n" + "\n".join(_rows(",", False)) + "\n")]


def ts() -> list[Case]:
    """Return sktime's and aeon's format."""
    head = "# a comment\n@problemName x\n@timeStamps false\n"
    plain = head + "@univariate true\n@classLabel true a b\n@data\n1,2,3:a\n4,5,6:b\n0.5,-1,1e-3:b\n0,0,1:a\n"
    sizes = "@univariate false\n@dimensions 2\n@equalLength true\n@seriesLength 2\n"
    two = head + sizes + "@classLabel true a b\n@data\n1,2:3,4:b\n5,6:7,8:a\n"
    uneven = head + "@equalLength false\n@classLabel true 0 1 2\n@data\n1,2,3:0\n4,5:1\n6,7,8,9:2\n"
    gaps = head + "@missing true\n@classLabel true a b\n@data\n1,?,3:a\n4,5,NaN:b\n7,8,9:b\n"
    stamped = "@problemName x\n@timestamps true\n@classLabel true a b\n@data\n(0,1.5),(1,2.5):a\n(0,2),(1,3):b\n"
    unlabelled = "@problemName x\n@classLabel false\n@data\n1,2,3\n4,5,6\n"
    return [
        *(one("a.ts", text) for text in (plain, two, uneven, stamped)),
        *(one("a.ts", gaps, missing=kind) for kind in ("drop", "interpolate", "mask")),
        one("a.ts", unlabelled, labelled=False),
        another("a.ts", unlabelled),
        another("a.ts", gaps),
        another("a.ts", "@problemName x\n@targetLabel true\n@data\n1,2,3:0.51\n4,5,6:0.7\n"),
    ]
