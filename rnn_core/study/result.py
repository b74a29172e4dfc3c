"""A trace, and what it looks like in a terminal: a few lines for each line of the step, on 80 columns."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console, RenderableType
from rich.rule import Rule
from rich.text import Text

from ..foreign import shown
from ..written import printable
from .recording import Line

WIDTH = 80
WHOLE = 12
"""Of so many numbers each is shown; more are shown by their statistics."""

EACH_ROW = 6
"""Numbers side by side."""

INDENT = " " * 8


@dataclass(frozen=True)
class Step:
    """One step of a trace.

    Attributes
    ----------
    t : int
        Which step, from 0, as the direction walks.
    lines : tuple of Line
        In the order in which they are computed: what is given, forwards, backwards.
    running : ndarray of bool, shape (B,)
        False in the rows that have ended before this step: there nothing counts.
    """

    t: int
    lines: tuple[Line, ...]
    running: np.ndarray

    def __getitem__(self, key: str) -> Line:
        for line in self.lines:
            if line.key == key:
                return line
        known = ", ".join(line.key for line in self.lines)
        raise KeyError(f"Trace: step {self.t} must have a line {shown(key, 40)}, its lines are {known}")


@dataclass(frozen=True)
class Trace:
    """What `trace` returns: printed, it is the step on 80 columns.

    Attributes
    ----------
    cell : str
        "lstm", or the name of a cell of a user's own.
    name : str
        Which cell of the stack: "l0", "l1_reverse".
    backend, dtype : str
    T, B, I, H : int
    steps : tuple of Step
        In the order of time.
    watched : dict of str to ndarray, shape (T, B, n)
        The lines that were to be watched, at every step.
    gradients : tuple of Line
        ∂L/∂ the cell's parameters, over all steps.
    """

    cell: str
    name: str
    backend: str
    dtype: str
    T: int
    B: int
    I: int
    H: int
    steps: tuple[Step, ...]
    watched: dict[str, np.ndarray]
    gradients: tuple[Line, ...]

    def __getitem__(self, t: int) -> Step:
        for step in self.steps:
            if step.t == t:
                return step
        raise KeyError(f"Trace: step {t} must be one that was traced, {', '.join(str(s.t) for s in self.steps)}")

    @property
    def error(self) -> float:
        """The largest difference between a gradient and its derivative by the complex step, relative to the latter."""
        lines = [line for step in self.steps for line in step.lines] + [*self.gradients]
        return max((line.error for line in lines if line.error is not None), default=0.0)

    def __str__(self) -> str:
        return as_text(self)


def as_text(trace: Trace, width: int = WIDTH) -> str:
    """Return a trace as plain text."""
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False, emoji=False)
    show(trace, console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def show(trace: Trace, console: Console) -> None:
    """Print a trace."""
    for part in rendered(trace):
        console.print(part, soft_wrap=False)


def rendered(trace: Trace) -> Iterator[RenderableType]:
    """Yield what is printed of a trace."""
    yield Text(headline(trace), style="bold")
    yield Text(explanation(trace), style="dim")
    for step in trace.steps:
        yield Rule(f"step {step.t}", characters="─")
        part = ""
        for line in step.lines:
            if line.part != part:
                part = line.part
                yield Text(f"\n{part}", style="bold")
            yield _line(line, step.running, step.t)
    yield Rule("over all steps")
    for line in trace.gradients:
        yield _line(line, None, 0)
    if trace.watched:
        yield Rule("through time")
        for key, values in trace.watched.items():
            yield from _watched(key, values)


def headline(trace: Trace) -> str:
    """Return what was traced, in a line."""
    steps = ", ".join(str(step.t) for step in trace.steps)
    return printable(
        f"{trace.cell} {trace.name}, step{'s' * (len(trace.steps) > 1)} {steps} of 0 … {trace.T - 1}: "
        f"B = {trace.B}, I = {trace.I}, H = {trace.H}, {trace.dtype}, backend {trace.backend!r}"
    )


def explanation(trace: Trace) -> str:
    """Return what the numbers are."""
    checked = any(line.error is not None for step in trace.steps for line in step.lines)
    said = "dX is ∂L/∂X, with L = Σ dy ⊙ y over all steps."
    if checked:
        said += f" Below each gradient its complex step; they differ by {trace.error:.0e} at most, relatively."
    rounding = max((line.rounding or 0.0 for step in trace.steps for line in step.lines), default=0.0)
    if rounding:
        said += f" Gates and states are the tape's own, {rounding:.0e} at most from what the lines give."
    return said


def place(line: Line) -> str:
    """Return the file and line of a line of the trace."""
    return f"{Path(line.file).name}:{line.line}" if line.file else ""


def numbers(line: Line) -> str:
    """Return the numbers of a line's equations, in brackets."""
    return " ".join(f"({one})" for one in line.numbers)


def number(value: float) -> str:
    """Return a number in at most eleven characters, with its sign."""
    small = value != 0 and not 1e-4 <= abs(value) < 1e4
    return f"{value: .4e}" if small else f"{value: .7f}"


def statistics(values: np.ndarray) -> str:
    """Return the least, mean and largest of many numbers, and their root mean square."""
    if not values.size:
        return "none"
    least, most, mean = (number(float(v)).strip() for v in (values.min(), values.max(), values.mean()))
    return f"{least} … {most}, mean {mean}, rms {number(float(np.sqrt(np.mean(values * values)))).strip()}"


def onward(line: Line, t: int) -> int:
    """Return the step that hears of a line next."""
    return t + 1 if line.part == "forward" else t - 1


def _line(line: Line, running: np.ndarray | None, t: int) -> Text:
    """Return what is printed of a line."""
    text, head = Text(), f"{numbers(line) or '·':<7} "
    text.append(head, style="cyan")
    text.append(line.key, style="bold green" if line.part == "forward" else "bold magenta")
    text.append(f" = {printable(line.code)}" if line.part != "given" else f"   {printable(line.code)}")
    shape = " × ".join(map(str, line.shape))
    text.append(f"   {shape}{'   ' + place(line) if line.file else ''}\n", style="dim")
    if line.equation and line.part == "forward":
        text.append(f"{INDENT}{line.equation}\n", style="italic")
    running = None if running is None or line.value.ndim == 1 or len(line.value) != len(running) else running
    text.append(_values(line.value, running))
    if line.derivative is not None:
        whole = line.value.size <= WHOLE
        text.append(_values(line.derivative, running, mark="∂") if whole else "", style="yellow")
        count = int(np.isfinite(line.derivative).sum())
        where = "" if count == line.derivative.size or whole else f" at {count} places"
        text.append(f"{INDENT}∂L/∂{line.of}: the complex step{where} is {line.error:.0e} apart\n", style="yellow")
    text.append(_links(line, t), style="dim")
    return text


def _links(line: Line, t: int) -> str:
    """Return where a line came from, and who reads it."""
    came = f"from {', '.join(line.operands)}" if line.operands else ""
    users = [*line.users, *([f"{line.onward} of step {onward(line, t)}"] if line.onward else [])]
    goes = f"for {', '.join(users)}" if users else ""
    said = " · ".join(part for part in (came, goes) if part)
    return f"{INDENT}{said}\n" if said else ""


def _values(value: np.ndarray, running: np.ndarray | None, mark: str = " ") -> str:
    """Return numbers, row by row, or their statistics."""
    if value.size > WHOLE:
        seen = value if running is None else value[running]
        return f"{INDENT}{statistics(seen)}\n"
    rows = value[None] if value.ndim == 1 else value
    lines = []
    for b, row in enumerate(rows):
        if running is not None and not running[b]:
            lines.append(f"{INDENT}(ended)")
            continue
        for k in range(0, len(row), EACH_ROW):
            lines.append(f"{INDENT[:-2]}{mark} " + " ".join(f"{number(float(v)):>11}" for v in row[k : k + EACH_ROW]))
    return "\n".join(lines) + "\n"


def _watched(key: str, values: np.ndarray) -> Iterator[RenderableType]:
    """Yield a quantity at every step, small ones whole."""
    yield Text(f"\n{key}", style="bold")
    T = len(values)
    rows: Any = values.reshape(T, -1)
    largest = float(np.nanmax(abs(rows))) or 1.0
    for t, row in enumerate(rows):
        size = float(np.sqrt(np.mean(row * row)))
        bar = "█" * round(12 * size / largest)
        shown = " ".join(f"{number(float(v)):>11}" for v in row) if len(row) <= 4 else statistics(row)
        yield Text(f"{t:>5} {bar:<12} {shown}")
