"""Series over time in their layouts: a column each, rows that name them, and plain columns of numbers."""

from __future__ import annotations

from ..case import Case, another, one

MONTHS = [f"{year}-{month:02d}-01" for year in (2019, 2020) for month in range(1, 13)]


def tables() -> list[Case]:
    """Return tables and columns."""
    wide = "date,a,b\n" + "".join(f"{stamp},{k % 5},{k / 2}\n" for k, stamp in enumerate(MONTHS))
    long = "series;time;value;heat;holiday\n" + "".join(
        f"{name};{stamp};{k}".replace(".", ",") + f";{k % 3},5;{k % 2}\n"
        for k, stamp in enumerate(MONTHS[:6]) for name in "xy"
    )  # fmt: skip
    ahead = "x;2019-07-01;;;1\ny;2019-07-01;;;0\n"
    return [
        one("a.csv", wide),
        one("a.csv", "\ufeff" + wide.replace("\n", "\r\n").replace(",2.0", ",NaN")),
        one("a.csv", long + ahead, decimal=",", past=["heat"], known=["holiday"]),
        one("a.tsv", "time\ty\n1\t2\n2\t\n4\t5\n", gaps="missing"),
        one("a.tsv", "time\ty\n1\t2\n2\t\n4\t5\n", stamps=False),
        one("a.txt", "".join(f"{k * k % 7 - 3.5}\n" for k in range(12))),
        one("a.txt", "2020Q1|1|2\n2020Q2|3|4\n"),
        another("a.csv", "time,y\n1,2\n1,3\n"),
        another("a.csv", "time,y\n2020-01-01,2\nyesterday,3\n"),
    ]
