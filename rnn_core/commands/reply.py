"""`rnn-core reply`: a conversation with a model of dialogues, at a terminal or through a pipe."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..data.files.lines import named
from ..written import printable

if TYPE_CHECKING:
    from ..tasks.writing.conversation import Conversation

help = "talk with a model that `rnn-core train reply` has made"

QUIT, FORGET = "/quit", "/new"
"""Lines that are said to the program and not to the model."""

WORDLESS = "(no words)"
"""What a terminal shows of a reply that has none."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be chosen."""
    from .cells import add_cell_file

    add = parser.add_argument
    add("model", metavar="MODEL", help="a model.safetensors of `rnn-core train reply`")
    add("--beam", type=int, default=4, metavar="N", help="replies that are followed at a time; 1 is greedy (4)")
    add("--length-penalty", type=float, default=0.6, metavar="A", help="the larger, the longer the replies (0.6)")
    add_cell_file(add)
    add("--context", type=int, metavar="K", help="turns that a reply reads at most (as in training)")


def run(args: argparse.Namespace) -> int:
    """Read lines and write a reply to each, until the input ends or says /quit.

    Raises
    ------
    ValueError
        The model is damaged, or none that replies; or a number is out of range.
    OSError
        It is missing or can't be read.
    """
    conversation = _begin(args)
    at_terminal = sys.stdin.isatty()
    if at_terminal:
        print(f"{QUIT} or the end of the input ends it, {FORGET} begins anew.", file=sys.stderr)
    for line in _lines(at_terminal):
        text = line.strip()
        if text == QUIT:
            break
        if text == FORGET:
            conversation.forget()
        elif text:
            _show(" ".join(printable(conversation.say(text).text).splitlines()))
    return 0


def _show(reply: str) -> None:
    """Print a reply: a blank line is one to a program that reads it, and none to somebody at a terminal."""
    if reply.strip() or not sys.stdout.isatty():
        print(reply, flush=True)
    else:
        from ..showing.terminal import new_console

        new_console().print(WORDLESS, style="dim")


def _begin(args: argparse.Namespace) -> Conversation:
    """Return a conversation with the model that is asked for."""
    from ..inputs.pairs import pair_encoding_of
    from ..models import Seq2Seq
    from ..tasks.writing.conversation import CONTEXT, Conversation
    from .cells import load_with_cells

    for name, least in (("beam", 1), ("context", 1), ("length_penalty", 0)):
        value = getattr(args, name)
        if value is not None and not least <= value < float("inf"):
            raise ValueError(f"--{name.replace('_', '-')} must be at least {least}, got {value}")
    model = load_with_cells(args.model, args.cell_file)
    if not isinstance(model, Seq2Seq):
        raise ValueError(
            f"{named(args.model)} must hold a Seq2Seq, which writes, got a {type(model).__name__}; rnn-core predict "
            "takes others"
        )
    encoding = pair_encoding_of(model, named(args.model))
    context = args.context or encoding.context or CONTEXT
    return Conversation(model, encoding, context=context, beam=args.beam, length_penalty=args.length_penalty)


def _lines(at_terminal: bool) -> Iterator[str]:
    """Yield what is typed or comes through a pipe; what is no text there has a stand-in."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    if not at_terminal:
        yield from sys.stdin
        return
    while True:
        try:
            yield input("> ")
        except EOFError:
            print(file=sys.stderr)
            return
