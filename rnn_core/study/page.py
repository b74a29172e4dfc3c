"""A trace as a page: one file of HTML that needs no network, whose lines light up what they were made of, and for what.

The pointer, Tab and the arrow keys choose a line: up and down go along the step, left to what it was made of, right to
who reads it. A number that is pointed at is lit up with the same unit's in the lines around it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np

from ..atomic import write_atomically
from ..showing.page import Markup, cards, page, paragraph, text
from .recording import Line
from .result import Step, Trace, explanation, headline, number, numbers, onward, place, statistics

WHOLE = 96
"""Of so many numbers each is shown; of more their statistics, and where they lie."""

UNITS = 12
"""Units that are drawn through time; of more, their root mean square."""

STYLE = """<style>
.keys { font-size: .95rem; color: var(--soft); }
kbd { font: .85em ui-monospace, "DejaVu Sans Mono", monospace; border: 1px solid var(--line); border-radius: .3rem;
  padding: 0 .35rem; background: var(--card); }
.line { background: var(--card); border: 1px solid var(--line); border-left: .35rem solid var(--line);
  border-radius: .5rem; padding: .55rem .8rem; margin: .5rem 0; font-size: .92rem; line-height: 1.5;
  overflow-wrap: anywhere; }
.line:focus { outline: 3px solid var(--accent); outline-offset: 1px; }
.line h3 { margin: 0; font: 600 1rem/1.5 ui-monospace, "SFMono-Regular", "Menlo", "DejaVu Sans Mono", monospace; }
.line h3 .eq { color: var(--accent); margin-right: .5rem; }
.line h3 .rest { font-weight: 400; }
.line .where, .line .links { color: var(--soft); font-family: system-ui, "Segoe UI", sans-serif; font-size: .85rem; }
.line .said { font-style: italic; }
.line .lit { display: none; float: right; margin-left: .6rem; font: 600 .8rem/1.6 system-ui, sans-serif;
  padding: 0 .5rem; border: 1px solid currentColor; border-radius: .6rem; }
.row { display: flex; flex-wrap: wrap; gap: .15rem .35rem; margin: .25rem 0; font: .85rem/1.4 ui-monospace,
  "SFMono-Regular", "Menlo", "DejaVu Sans Mono", monospace; }
.row > .b { color: var(--soft); min-width: 2.2rem; }
.n { border: 1px solid var(--line); border-radius: .3rem; padding: 0 .35rem; min-width: 6.4rem; text-align: right; }
.n .d { display: block; border-top: 1px dotted var(--line); color: var(--good); }
.n.same { outline: 2px solid var(--bad); }
.line.here { border-color: var(--accent); }
.line.from { border-left-color: var(--good); } .line.for { border-left-color: var(--bad); }
.line.far { border-left-style: double; border-left-color: var(--soft); }
.line.from .lit.made, .line.for .lit.read { display: inline; }
.lit.made { color: var(--good); } .lit.read { color: var(--bad); }
svg.time { width: 100%; max-width: 46rem; height: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; }
svg.time polyline { fill: none; stroke: var(--accent); stroke-width: 1.6; }
svg.time text { fill: var(--soft); font: 11px system-ui, sans-serif; }
svg.time .zero { stroke: var(--line); }
@media (max-width: 30rem) { main { padding: 1.5rem .8rem 3rem; } h1 { font-size: 1.6rem; } .line { padding: .5rem; }
  .n { min-width: 5.6rem; } }
@media (prefers-reduced-motion: no-preference) { .line { transition: border-color .12s; } }
</style>
"""

SCRIPT = """<script>
(() => {
  const lines = [...document.querySelectorAll(".line")], marks = ["here", "from", "for", "far"];
  const ids = (line, way) => (line.dataset[way] || "").split(" ").filter(Boolean);
  const at = id => document.getElementById(id);
  const around = (line, way) => {
    const seen = new Set(), todo = ids(line, way);
    while (todo.length) { const id = todo.pop(); if (!seen.has(id)) { seen.add(id); todo.push(...ids(at(id), way)); } }
    return seen;
  };
  const clear = () => {
    for (const line of lines) line.classList.remove(...marks);
    for (const one of document.querySelectorAll(".n.same")) one.classList.remove("same");
  };
  const light = line => {
    clear();
    line.classList.add("here");
    for (const way of ["from", "for"]) {
      const near = ids(line, way);
      for (const id of around(line, way)) at(id).classList.add(near.includes(id) ? way : "far");
    }
  };
  const same = one => {
    const line = one.closest(".line");
    for (const id of [line.id, ...ids(line, "from"), ...ids(line, "for")])
      if (at(id).dataset.width === line.dataset.width)
        for (const other of at(id).querySelectorAll(".n"))
          if (other.dataset.at === one.dataset.at) other.classList.add("same");
  };
  for (const line of lines) {
    line.addEventListener("focus", () => light(line));
    line.addEventListener("blur", clear);
    line.addEventListener("mouseleave", () => {
      clear();
      if (document.activeElement.classList.contains("line")) light(document.activeElement);
    });
    line.addEventListener("mouseover", event => {
      light(line);
      const one = event.target.closest(".n");
      if (one) same(one);
    });
    line.addEventListener("keydown", event => {
      const k = lines.indexOf(line);
      const next = { ArrowUp: lines[k - 1], ArrowDown: lines[k + 1], ArrowLeft: at(ids(line, "from")[0]),
                     ArrowRight: at(ids(line, "for")[0]), Home: lines[0], End: lines[lines.length - 1] }[event.key];
      if (event.key === "Escape") line.blur();
      if (event.target !== line || !next) return;
      event.preventDefault();
      next.focus();
    });
  }
})();
</script>
"""


def write_page(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Write a trace as one file of HTML, which needs no network.

    Parameters
    ----------
    trace : Trace
    path : path
        Of the file; one that is there is replaced, whole or not at all.

    Raises
    ------
    TypeError
        It is no trace.
    OSError
        The file can't be written.
    """
    if not isinstance(trace, Trace):
        raise TypeError(f"write_page: trace must be what rnn_core.study.trace returns, got {type(trace).__name__}")
    write_atomically(path, as_page(trace).encode(), where="write_page")


def as_page(trace: Trace) -> str:
    """Return a trace as a page."""
    sections = []
    for step in trace.steps:
        back = next((k for k, line in enumerate(step.lines) if line.key == "dy"), len(step.lines))
        for way, lines in (("forwards", step.lines[:back]), ("backwards", step.lines[back:])):
            sections.append((f"Step {step.t}, {way}", [_line(trace, step, line) for line in lines]))
    sections.append(("Gradients over all steps", [_of_parameter(line) for line in trace.gradients]))
    if trace.watched:
        sections.append(("Through time", [_watched(key, values) for key, values in trace.watched.items()]))
    keys = Markup(
        "Point at a line, or go by <kbd>Tab</kbd> and the arrow keys: <kbd>↑</kbd> <kbd>↓</kbd> along the step, "
        "<kbd>←</kbd> to what it was made of, <kbd>→</kbd> to who reads it. A doubled edge is further away."
    )
    facts = cards(
        [(str(value), said) for value, said in (
            (trace.T, "time steps"), (trace.B, "sequences"), (trace.I, "input size"), (trace.H, "hidden size"),
            (f"{trace.error:.0e}", "the gradients' largest relative distance from the complex step"),
        )]
    )  # fmt: skip
    intro = [paragraph(explanation(trace)), facts, paragraph(keys, "keys")]
    foot = f"rnn-core trace: {trace.cell}, {trace.dtype}, backend {trace.backend}."
    whole = page(f"{trace.cell} {trace.name}, step by step", headline(trace), intro, sections, foot)
    return whole.replace("</head>", f"{STYLE}</head>", 1).replace("</body>", f"{SCRIPT}</body>")


def _id(trace: Trace, t: int, key: str) -> str:
    """Return the id of a line on the page, "" where it is not there."""
    for step in trace.steps:
        if step.t == t:
            places = [k for k, line in enumerate(step.lines) if line.key == key]
            return f"t{t}-{places[0]}" if places else ""
    return ""


def _line(trace: Trace, step: Step, line: Line) -> str:
    """Return a line of a step."""
    made = [(key, _id(trace, step.t, key)) for key in line.operands]
    read = [(key, _id(trace, step.t, key)) for key in line.users]
    if line.onward:
        other = onward(line, step.t)
        read.append((f"{line.onward} of step {other}", _id(trace, other, line.onward)))
    if line.part == "given":
        made += _carried(trace, step.t, line)
    ids = {"from": made, "for": read}
    data = "".join(f' data-{way}="{" ".join(id for _, id in found if id)}"' for way, found in ids.items())
    links = " · ".join(
        f"{word} {', '.join(_link(name, id) for name, id in found)}"
        for word, found in (("made of", made), ("read by", read))
        if found
    )
    own = _id(trace, step.t, line.key)
    return (
        f'<article class="line" tabindex="0" id="{own}" aria-labelledby="{own}-h" data-width="{line.shape[-1]}"{data}>'
        f'<span class="lit made">made of this</span><span class="lit read">reads it</span>'
        f"{_said(line, own)}{_numbers(line, step.running)}"
        f'<div class="links">{links}</div></article>'
    )


def _carried(trace: Trace, t: int, line: Line) -> list[tuple[str, str]]:
    """Return the line of another step that is handed on as this one, if both are on the page."""
    found = []
    for other in (t - 1, t + 1):
        for step in trace.steps:
            if step.t == other:
                found += [
                    (f"{one.key} of step {other}", _id(trace, other, one.key))
                    for one in step.lines
                    if one.onward == line.key and onward(one, other) == t
                ]
    return found


def _said(line: Line, own: str) -> str:
    """Return what a line is: number, name, code, shape, place, and its equation."""
    sign = "" if line.part == "given" else "= "
    shape = " × ".join(map(str, line.shape))
    where = " · ".join(part for part in (shape, place(line)) if part)
    equation = f'<div class="said">{text(line.equation)}</div>' if line.equation and line.part == "forward" else ""
    number_of = f'<span class="eq">{text(numbers(line))}</span>' if line.numbers else ""
    return (
        f'<h3 id="{own}-h">{number_of}{text(line.key)} <span class="rest">{sign}{text(line.code)}</span></h3>'
        f'<div class="where">{text(where)}</div>{equation}'
    )


def _link(name: str, id: str) -> str:
    return f'<a href="#{id}" tabindex="-1">{text(name)}</a>' if id else str(text(name))


def _numbers(line: Line, running: np.ndarray | None) -> str:
    """Return a line's numbers, each over its derivative, and how far they are apart."""
    value = line.value
    rows = value[None] if value.ndim == 1 else value
    by_row = running is not None and value.ndim == 2 and len(value) == len(running)
    found = []
    if value.size > WHOLE:
        found.append(f'<div class="row">{text(statistics(value[running] if by_row else value))}</div>')
    else:
        derivatives = None if line.derivative is None else line.derivative.reshape(rows.shape)
        for b, row in enumerate(rows):
            first = f'<span class="b">{b}</span>' if len(rows) > 1 else ""
            if by_row and running is not None and not running[b]:
                found.append(f'<div class="row">{first}<span>ended</span></div>')
                continue
            beside = [None] * len(row) if derivatives is None else derivatives[b]
            cells = (_number(float(v), d, f"{b},{u}") for u, (v, d) in enumerate(zip(row, beside, strict=True)))
            found.append(f'<div class="row">{first}{"".join(cells)}</div>')
    if line.error is not None and line.derivative is not None:
        count = int(np.isfinite(line.derivative).sum())
        some = "" if value.size <= WHOLE and count == value.size else f", at {count} places"
        said = f"∂L/∂{line.of}: the complex step{some} is {line.error:.0e} apart, relatively"
        found.append(f'<div class="where">{text(said)}</div>')
    return "".join(found)


def _number(value: float, derivative: float | None, at: str) -> str:
    below = "" if derivative is None or np.isnan(derivative) else f'<span class="d">{number(float(derivative))}</span>'
    return f'<span class="n" data-at="{at}" title="{value!r}">{number(value)}{below}</span>'


def _of_parameter(line: Line) -> str:
    """Return the gradient of a parameter, which is of no step."""
    own = f"p-{line.key}"
    return (
        f'<article class="line" tabindex="0" id="{text(own)}" aria-labelledby="{text(own)}-h" '
        f'data-width="{line.shape[-1]}">{_said(line, own)}{_numbers(line, None)}</article>'
    )


def _watched(key: str, values: np.ndarray) -> str:
    """Return a quantity through time, as a drawing of its units and, folded, as numbers."""
    T = len(values)
    rows = values.reshape(T, -1)
    some = rows if rows.shape[1] <= UNITS else np.sqrt(np.mean(rows * rows, axis=1, keepdims=True))
    what = f"{some.shape[1]} units" if some is rows else "root mean square of all units"
    least, most = min(float(some.min()), 0.0), max(float(some.max()), 0.0)
    span = most - least or 1.0

    def y(value: float) -> float:
        return 150 - 130 * (value - least) / span

    def points(unit: Iterable[float]) -> str:
        return " ".join(f"{60 + 520 * t / max(1, T - 1):.1f},{y(float(v)):.1f}" for t, v in enumerate(unit))

    curves = "".join(
        f'<polyline points="{points(unit)}" style="opacity: {1 - 0.6 * k / some.shape[1]:.2f}"/>'
        for k, unit in enumerate(some.T)
    )
    label = f"{key} at steps 0 to {T - 1}: {what}, from {number(float(some.min()))} to {number(float(some.max()))}"
    lines = "\n".join(
        f"{t:>4}  {' '.join(number(float(v)) for v in row) if len(row) <= UNITS else statistics(row)}"
        for t, row in enumerate(rows)
    )
    return (
        f"<h3>{text(key)}</h3>"
        f'<svg class="time" viewBox="0 0 600 180" role="img" aria-label="{text(label)}">'
        f'<line class="zero" x1="60" x2="580" y1="{y(0):.1f}" y2="{y(0):.1f}"/>{curves}'
        f'<text x="4" y="{y(most) + 4:.1f}">{most:.3g}</text><text x="4" y="{y(least) + 4:.1f}">{least:.3g}</text>'
        f'<text x="60" y="174">step 0</text><text x="580" y="174" text-anchor="end">step {T - 1}</text></svg>'
        f"<details><summary>{text(what)}, in numbers</summary><pre>{text(lines)}</pre></details>"
    )
