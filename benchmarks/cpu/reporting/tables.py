"""What a run has found, as tables: made of the plain data that its file holds, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from ...cases import CELLS, SECTIONS, TIMED
from ..steps.parts import PARTS
from ..targets import Row, disturbed, geometric_mean

Data = dict[str, Any]
"""What `findings.Findings.data` returns."""


class Table(NamedTuple):
    """A table; the first heading says what it is of."""

    head: Sequence[str]
    body: Sequence[Sequence[str]]


def tables(data: Data) -> list[Table]:
    """Return a table for each section and task that has rows."""
    found = []
    for name, rows in data["sections"].items():
        build = BUILDERS.get(name, _times)
        for task in dict.fromkeys(row.get("task", "") for row in rows):
            chosen = [row for row in rows if row.get("task", "") == task]
            found += build(chosen)
    return found


def summary_table(data: Data) -> Table:
    """Return the summary of a run, with its targets."""
    body = [
        (
            f"{line['what']} ({line['unit']})",
            f"**{line['mean']:.2f}**{_wanted(line['mean_target'])}",
            f"**{line['worst']:.2f}**{_wanted(line['worst_target'])}",
            "reached" if line["reached"] else "behind",
            line["worst_case"],
        )
        for line in data["summary"]
    ]
    return Table(("", "geometric mean (wanted)", "worst (wanted)", "", "worst case"), body)


def _wanted(target: float | None) -> str:
    return "" if target is None else f" (≥ {target:.3g})"


def _times(rows: list[Row]) -> list[Table]:
    """Return ratios with their quartiles, and the share of the machine's limit."""

    def entry(row: Row) -> str:
        if "ratio" not in row:
            return "differs"
        mark, spread = "*" if disturbed(row) else "", f"{row['low']:.2f}–{row['high']:.2f}"
        return f"{row['ratio']:.2f}{mark} ({spread}), {row['share']:.0%}"

    means = {}
    for cell in CELLS:
        ratios = [row["ratio"] for row in rows if "ratio" in row and row["cell"] == cell and not disturbed(row)]
        if ratios:
            means[cell] = f"**{geometric_mean(ratios):.2f}**"
    square = all(row["I"] == row["H"] for row in rows)
    entries = [(sizes(row, square), row["cell"], entry(row)) for row in rows]
    entries += [("geometric mean", cell, mean) for cell, mean in means.items()]
    title = SECTIONS[rows[0]["section"]].title
    return [by_cell(f"{title}, {rows[0]['task']}: {'T, B, H' if square else 'T, B, I, H'}", entries)]


def sizes(row: Row, square: bool = True) -> str:
    """Return a row's sizes, that of the input left out where it is that of the hidden state."""
    return ", ".join(str(row[size]) for size in ("TBH" if square else "TBIH"))


def by_cell(title: str, entries: Iterable[tuple[str, str, str]]) -> Table:
    """Return a table with a column for each cell from (row, cell, entry); an empty place has a dash."""
    found: dict[str, dict[str, str]] = {}
    for row, column, entry in entries:
        found.setdefault(row, {})[column] = entry
    columns = [cell for cell in CELLS if any(cell in row for row in found.values())]
    return Table((title, *columns), [(name, *(row.get(c, "–") for c in columns)) for name, row in found.items()])


def _shape(row: Row) -> str:
    return f"T={row['T']} B={row['B']} H={row['H']}"


def _frozen(rows: list[Row]) -> list[Table]:
    return [by_cell("full step ÷ dx only, ÷ no backward", (
        (_shape(row), row["cell"], f"{row['handing_down']['ratio']:.2f}, {row['idle']['ratio']:.2f}") for row in rows
    ))]  # fmt: skip


def _memory(rows: list[Row]) -> list[Table]:
    def kib(size: int) -> str:
        return f"{size / 2**10:,.0f}"

    return [by_cell("tape, KiB: ours (formula), torch", (
        (_shape(row), row["cell"], f"{kib(row['ours'])} ({kib(row['formula'])}), {kib(row['theirs'])}") for row in rows
    ))]  # fmt: skip


def _accuracy(rows: list[Row]) -> list[Table]:
    return [by_cell("rms error: ours, torch", (
        (f"{_shape(row)}, {name}", row["cell"], f"{e['our_rms']:.1e}, {e['their_rms']:.1e}")
        for row in rows
        for name, e in row["errors"].items()
    ))]  # fmt: skip


def _last_step(rows: list[Row]) -> list[Table]:
    """Return milliseconds and ratios."""
    head = ("backward, ms", "loss at every step", "at the last", "torch, at the last", "torch, flushing",
            "every ÷ last", "torch ÷ ours", "torch, flushing ÷ ours")  # fmt: skip
    body = []
    for row in (row for row in rows if "every" in row):
        pairs = [row[name] for name in ("every", "torch", "flushing")]
        times = [pairs[0]["theirs"], pairs[0]["ours"], pairs[1]["theirs"], pairs[2]["theirs"]]
        ratios = (f"{pair['ratio']:.2f} ({pair['low']:.2f}–{pair['high']:.2f})" for pair in pairs)
        body.append((f"{row['cell']} {_shape(row)}", *(f"{1e3 * seconds:.1f}" for seconds in times), *ratios))
    return [Table(head, body)]


def _precision(rows: list[Row]) -> list[Table]:
    """Return each way's milliseconds with its rms error, and the ratios within a precision."""
    ways = list(dict.fromkeys(name for row in rows for name in row["ways"]))
    peers = list(dict.fromkeys(name for row in rows for name in row["ratios"]))

    def time(row: Row, name: str) -> str:
        way = row["ways"].get(name)
        return f"{1e3 * way['seconds']:.3g} ({way['rms']:.0e})" if way else "–"

    def ratio(row: Row, name: str) -> str:
        pair = row["ratios"].get(name)
        return f"{pair['ratio']:.2f} ({pair['low']:.2f}–{pair['high']:.2f})" if pair else "–"

    names = [f"{row['cell']} {sizes(row)}" for row in rows]
    return [
        Table(("inference, ms (rms error): T, B, H", *ways),
              [(name, *(time(row, way) for way in ways)) for name, row in zip(names, rows, strict=True)]),
        Table(("÷ ours in the same precision: T, B, H", *peers),
              [(name, *(ratio(row, peer) for peer in peers)) for name, row in zip(names, rows, strict=True)]),
    ]  # fmt: skip


def _onnxruntime(rows: list[Row]) -> list[Table]:
    """Return both sides' microseconds and their ratio."""

    def entry(row: Row) -> str:
        if "ratio" not in row:
            return "differs"
        mark = "*" if disturbed(row) else ""
        return f"{1e6 * row['theirs']:,.0f} ÷ {1e6 * row['ours']:,.0f} = {row['ratio']:.2f}{mark}"

    title = "ONNX Runtime ÷ ours, µs, inference: T, B, H"
    return [by_cell(title, ((sizes(row), row["cell"], entry(row)) for row in rows))]


def _steps(rows: list[Row]) -> list[Table]:
    """Return both sides' milliseconds with their ratio, and the parts of ours in per cent."""
    times, shares = [], []
    for row in rows:
        name = row["name"].removeprefix("step ")
        if "ratio" not in row:
            times.append((name, *["differs"] * 5))
            continue
        mark, spread = "*" if disturbed(row) else "", f"{row['low']:.2f}–{row['high']:.2f}"
        sides = (f"{1e3 * row['ours']:.1f}", f"{1e3 * row['theirs']:.1f}", row["peer"])
        times.append((name, *sides, f"{row['ratio']:.2f}{mark} ({spread})", _errors(row["errors"])))
        whole = sum(row["parts"].values())
        shares.append((name, *(f"{100 * row['parts'][part] / whole:.0f}" for part in PARTS)))
    heads = ("ours, ms", "torch, ms", "torch's way", "torch ÷ ours", "rms error of the gradients: ours, torch's")
    found = [Table(("training step", *heads), times)]
    return [*found, Table(("where ours spends its time, %", *PARTS), shares)] if shares else found


def _errors(errors: dict[str, float] | None) -> str:
    return "" if errors is None else f"{errors['ours']:.1e}, {errors['theirs']:.1e}"


BUILDERS: dict[str, Callable[[list[Row]], list[Table]]] = {
    "frozen": _frozen, "memory": _memory, "accuracy": _accuracy, "last-step": _last_step,
    "onnxruntime": _onnxruntime, "precision": _precision, "steps": _steps,
}  # fmt: skip
"""What makes the tables of a section; `_times` makes the others'."""


def machine_lines(data: Data) -> list[str]:
    """Return the machine, the versions and the limits in words."""
    machine = dict(data["machine"])
    others = machine.pop("others", None)
    lines = [", ".join(f"{key} {value}" for key, value in machine.items() if value is not None)]
    if others is not None:
        count = sum(disturbed(row) for name in TIMED for row in data["sections"].get(name, []))
        left_out = f"; {count} disturbed rows (marked *) are left out of the summary" if count else ""
        lines.append(f"Other processes took {others:.1%} of the cores{left_out}.")
    for threads, limits in data["limits"].items():
        peaks = [f"{dtype} {rate / 1e9:.0f} GFLOP/s" for dtype, rate in limits["flops_per_second"].items()]
        rates = {int(size): rate for size, rate in limits["bytes_per_second_by_bytes_a_thread"].items()}
        streams = (f"{size_in_words(size)} {rate / 1e9:.0f}" for size, rate in rates.items())
        if peaks:
            lines.append(
                f"FMA peak, threads {threads}: {', '.join(peaks)}; streaming, GB/s by bytes a thread: "
                f"{', '.join(streams)}"
            )
    return [*lines, *(f"Failed: {failure['name']}: {failure['error']}" for failure in data["failed"])]


def size_in_words(size: int) -> str:
    """Return a power of two with its unit."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size // unit} {name}"
    return f"{size} B"
