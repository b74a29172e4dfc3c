"""`Conversation`: what was said so far, and the next reply."""

from __future__ import annotations

from ...data import context_of
from ...data.files.pairs import SEPARATOR
from ...foreign import check_text
from ...inputs.pairs import PairEncoding, Said
from ...models import Seq2Seq

CONTEXT = 3
"""Turns that a reply reads at most, unless told otherwise."""


class Conversation:
    """A dialogue between a user and a model.

    Parameters
    ----------
    model : Seq2Seq
        That writes replies.
    encoding : PairEncoding
        How it reads and writes.
    context : int
        How many of the latest turns a reply reads at most, the model's own among them.
    beam : int
    length_penalty : float
        As `Seq2Seq.decode`'s.

    Attributes
    ----------
    turns : list of str
        All that was said, by both.
    """

    def __init__(
        self,
        model: Seq2Seq,
        encoding: PairEncoding,
        *,
        context: int = CONTEXT,
        beam: int = 1,
        length_penalty: float = 0.6,
    ) -> None:
        self.model, self.encoding, self.context = model, encoding, context
        self.beam, self.length_penalty = beam, length_penalty
        self.turns: list[str] = []

    def say(self, text: str) -> Said:
        """Return the reply to what a user says, which both belong to what is read from then on.

        A reply of no words is none, and nothing to remember.

        Parameters
        ----------
        text : str
            The sign that parts turns is taken for a blank in it.

        Raises
        ------
        ValueError
            It is blank, or holds half a character.
        """
        text = check_text("Conversation.say", "text", text).replace(SEPARATOR, " ").strip()
        if not text:
            raise ValueError("Conversation.say: text must say something, got a blank one")
        self.turns.append(text)
        read = context_of(self.turns, self.context)
        (said,) = self.encoding.write(self.model, [read], beam=self.beam, length_penalty=self.length_penalty)
        reply = said.text.replace(SEPARATOR, " ").strip()
        if reply:
            self.turns.append(reply)
        return said._replace(text=reply)

    def forget(self) -> None:
        """Begin anew."""
        self.turns.clear()
