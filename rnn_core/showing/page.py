"""A report as HTML: one file that needs no network, with its pictures inside, for bright screens and dark ones."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape

from ..written import printable

STYLE = """
:root { color-scheme: light dark; --ink: #1d232b; --soft: #58626f; --paper: #fbfaf7; --card: #ffffff; --line: #dcdfe3;
  --good: #00724f; --bad: #a83f00; --open: #58626f; --accent: #005f99; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --soft: #a3acb6; --paper: #14181d; --card: #1d232a;
  --line: #38414b; --good: #4cc9a0; --bad: #ff9a5c; --open: #a3acb6; --accent: #6bb8ea; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 17px/1.6 "Charter", "Bitstream Charter", "Cambria",
  "Georgia", serif; }
main { max-width: 60rem; margin: 0 auto; padding: 3rem 1.25rem 5rem; }
h1, h2, h3, th, nav, .card, figcaption, .badge, footer { font-family: system-ui, "Segoe UI", "Helvetica Neue", "Arial",
  sans-serif; }
h1 { font-size: 2.1rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.4rem; margin: 3.2rem 0 .6rem; padding-top: .8rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; }
p { max-width: 46rem; margin: .6rem 0; }
a { color: var(--accent); }
.lead { font-size: 1.15rem; color: var(--soft); }
.warning { border: 2px solid var(--bad); border-radius: .5rem; padding: .6rem 1rem; max-width: none; }
nav { margin: 1.2rem 0 0; font-size: .95rem; display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .9rem; margin: 1.8rem 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .9rem 1rem;
  font-size: .92rem; line-height: 1.45; }
.card b { display: block; font-size: 1.45rem; line-height: 1.3; letter-spacing: -.01em; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .92rem; line-height: 1.4; font-variant-numeric: tabular-nums;
  background: var(--card); }
th, td { padding: .32rem .8rem; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; border-bottom: 2px solid var(--line); white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
.badge { font-size: .85rem; font-weight: 600; white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); } .open { color: var(--open); }
figure { margin: 1.4rem 0; }
figure img { max-width: 100%; height: auto; background: #fff; border: 1px solid var(--line); border-radius: .6rem;
  padding: .6rem; display: block; }
figcaption { font-size: .9rem; line-height: 1.45; color: var(--soft); margin-top: .5rem; max-width: 46rem; }
code { font: .88em/1.4 ui-monospace, "SFMono-Regular", "Menlo", "DejaVu Sans Mono", monospace; }
pre { font: .88em/1.5 ui-monospace, "SFMono-Regular", "Menlo", "DejaVu Sans Mono", monospace; white-space: pre-wrap;
  overflow-wrap: anywhere; background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .8rem 1rem; }
footer { margin-top: 3rem; color: var(--soft); font-size: .88rem; }
@media print { body { font-size: 11pt; } nav { display: none; } figure, table, .card { break-inside: avoid; } }
"""


class Markup(str):
    """Text that is HTML already."""


def text(value: object) -> str:
    """Return a value as HTML: what no page can hold becomes an escape."""
    return value if isinstance(value, Markup) else escape(printable(str(value)))


def badge(word: str, mark: str = "open") -> Markup:
    """Return a word in its colour: "good", "bad" or "open"."""
    return Markup(f'<span class="badge {mark}">{text(word)}</span>')


def paragraph(content: object, kind: str = "") -> Markup:
    """Return a paragraph."""
    return Markup(f'<p class="{kind}">{text(content)}</p>' if kind else f"<p>{text(content)}</p>")


def code(words: str) -> Markup:
    """Return what is typed, such as a command or a path, which may go on in the next line after a slash."""
    return Markup(f"<code>{text(words).replace('/', '/<wbr>')}</code>")


def verbatim(value: object) -> Markup:
    """Return a text whose lines stay as they are; long ones are folded."""
    return Markup(f"<pre>{text(value)}</pre>")


def bullets(items: Iterable[object]) -> Markup:
    """Return a list."""
    return Markup("<ul>" + "".join(f"<li>{text(item)}</li>" for item in items) + "</ul>")


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], numbers: Iterable[int] = ()) -> Markup:
    """Return a table; the columns in `numbers` are set flush right."""
    right = set(numbers)

    def line(cells: Sequence[object], tag: str) -> str:
        return "".join(
            f'<{tag} class="number">{text(cell)}</{tag}>' if k in right else f"<{tag}>{text(cell)}</{tag}>"
            for k, cell in enumerate(cells)
        )

    body = "\n".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return Markup(
        f'<div class="scroll"><table>\n<thead><tr>{line(headings, "th")}</tr></thead>\n<tbody>\n{body}\n</tbody>'
        "</table></div>"
    )


def cards(items: Iterable[tuple[str, str]]) -> Markup:
    """Return a row of short statements: what stands out, and what it means."""
    return Markup(
        '<div class="cards">'
        + "".join(f'<div class="card"><b>{text(large)}</b>{text(small)}</div>' for large, small in items)
        + "</div>"
    )


def picture(png: bytes, alt: str, caption: object) -> Markup:
    """Return a picture that carries its own bytes."""
    data = b64encode(png).decode()
    return Markup(
        f'<figure><img alt="{text(alt)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{text(caption)}</figcaption></figure>"
    )


def page(
    title: str, lead: object, intro: Sequence[str], sections: Sequence[tuple[str, Sequence[str]]], foot: str
) -> str:
    """Return the whole page.

    Parameters
    ----------
    title : str
    lead : str
        The line below the title.
    intro : sequence of str
        Markup before the first section.
    sections : sequence of pairs
        Each a heading and its markup.
    foot : str
    """
    links = "".join(f'<a href="#s{k}">{text(heading)}</a>' for k, (heading, _) in enumerate(sections))
    body = "\n".join(
        f'<h2 id="s{k}">{text(heading)}</h2>\n' + "\n".join(parts) for k, (heading, parts) in enumerate(sections)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>{text(title)}</h1>\n<p class="lead">{text(lead)}</p>\n<nav>{links}</nav>\n'
        + "\n".join(intro)
        + f"\n{body}\n<footer>{text(foot)}</footer>\n</main>\n</body>\n</html>\n"
    )
