"""When each part of a step was computed and each bucket was on its way, as a chart; and the share that is hidden."""

from __future__ import annotations

from typing import Any

WIDTH = 72


def communication(step: dict[str, Any]) -> float:
    """Return the seconds in which the link was taken."""
    return float(sum(end - start for _, _, start, end in step["messages"]))


def hidden(step: dict[str, Any]) -> float:
    """Return how many of them lay before the end of the last rank's backward: until then the network keeps nobody."""
    return float(sum(max(0.0, min(end, step["ended"]) - start) for _, _, start, end in step["messages"]))


def chart(step: dict[str, Any], labels: list[str]) -> str:
    """Return a line for each part that is computed, and for each message; a # is computed, a = on its way."""
    start, end = step["began"], max(step["now"], *(message[3] for message in step["messages"]))
    per = (end - start) / WIDTH

    def line(name: str, marks: list[tuple[float, float, str]]) -> str:
        cells = [" "] * WIDTH
        for first, last, mark in marks:
            a = min(WIDTH - 1, int((first - start) / per))
            b = max(a + 1, min(WIDTH, round((last - start) / per)))
            cells[a:b] = mark * (b - a)
        return f"{name:<26}|{''.join(cells)}|"

    lines, before = [], start
    for k, (part, at) in enumerate(step["computed"]):
        lines.append(line("forward, " + part if k == 0 else part, [(before, at, "#")]))
        before = at
    names = [*labels, *(["embedding, which rows"] + ["embedding, rows"] * len(step["messages"]))]
    for name, (_, asked, first, last) in zip(names, step["messages"], strict=False):
        marks = [(asked, first, ".")] if first - asked > per else []
        lines.append(line("  " + name, [*marks, (first, last, "=")]))
    scale = f"0 … {1e3 * (end - start):.0f} ms; # computed, . waiting for the link or for the other rank, = on its way"
    return "\n".join([*lines, f"{'':<26} {scale}"])
