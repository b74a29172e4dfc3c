"""From text to token ids and back: one tokenizer, for characters, for words, or for words and all between them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np

from ..foreign import check_text, shown
from ..layers.checks import as_array, flag
from ..layers.home import to_host
from ..schema import check_arguments

LEVELS = ("char", "word", "piece")
FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
"""Characters that part words without belonging to one, as in Keras. The apostrophe stays."""
PADDING = ""
"""What stands in `Tokenizer.tokens` at the padding slot: no text holds an empty token."""
PIECE = re.compile(r" ?(?:[^\W\d_]+|\d+|[^\w\s]|_)|\s")
"""A word, a number or a sign, with the blank before it; or a blank alone. A text is its pieces, one after another."""


class Tokenizer:
    """Turn text into token ids, and ids into text.

    The most frequent token gets the lowest id, and of two equally frequent ones the one seen first. Ids are laid out
    as in Keras: 0 is kept free for padding, then comes the token for unknown ones if there is one, then the others.

    Parameters
    ----------
    level : {"word", "char", "piece"}
        What a token is. Words are what remains between white space and the characters in `filters`. Pieces are words,
        numbers and signs, each with the blank before it, so that nothing is lost: decoded, they are the text again.
    num_words : int, optional
        Upper bound of the vocabulary's size: all ids stay below it. With a padding slot, the ``num_words - 1`` most
        frequent tokens are kept (the unknown token is one of them), as in Keras. By default all are kept.
    lower : bool
        Read capital letters as small ones.
    filters : str
        Characters that part words. Without effect on characters and pieces.
    oov : str, optional
        The token that stands for every unknown one. Without it unknown tokens are left out, as in Keras.
    padding : bool
        Keep id 0 free for padding. A language model over characters needs no such slot.

    Raises
    ------
    ValueError
        For a level there is none of, a `num_words` that leaves no room for a token, or an empty `oov`.
    TypeError
        For a `num_words` that is not an integer, or another option of another kind.

    Notes
    -----
    Three things differ from Keras's ``Tokenizer``: `fit` starts afresh each time, words are parted at every kind of
    white space, and `tokens` and `index` hold only what is kept.

    Examples
    --------
    >>> tokenizer = Tokenizer("word", num_words=3).fit(["the cat", "the dog the"])
    >>> tokenizer.tokens
    ['', 'the', 'cat']
    >>> tokenizer.encode("The cat and the dog")
    array([1, 2, 1])
    """

    def __init__(
        self,
        level: str = "word",
        *,
        num_words: int | None = None,
        lower: bool = True,
        filters: str = FILTERS,
        oov: str | None = None,
        padding: bool = True,
    ) -> None:
        if not isinstance(level, str) or level not in LEVELS:
            raise ValueError(f"Tokenizer: level must be 'char', 'word' or 'piece', got {shown(level)}")
        if not isinstance(filters, str):
            raise TypeError(f"Tokenizer: filters must be a string of characters, got {shown(filters)}")
        if oov is not None and not isinstance(oov, str):
            raise TypeError(f"Tokenizer: oov must be a string or None, got {shown(oov)}")
        for name, text in (("filters", filters), ("oov", oov or "")):
            check_text("Tokenizer", name, text)
        if oov == PADDING:
            raise ValueError("Tokenizer: oov must have at least one character, got ''; None leaves unknown tokens out")
        self.level = level
        self.num_words = num_words
        self.lower = flag("Tokenizer", "lower", lower)
        self.filters = filters
        self.oov = oov
        self.padding = flag("Tokenizer", "padding", padding)
        self._parting = str.maketrans(dict.fromkeys(filters, " "))
        self._tokens: list[str] | None = None
        self._index: dict[str, int] = {}
        if num_words is not None:
            if isinstance(num_words, bool) or not isinstance(num_words, (int, np.integer)):
                raise TypeError(f"Tokenizer: num_words must be an integer or None, got {shown(num_words)}")
            least = len(self._reserved()) + 1
            if num_words < least:
                raise ValueError(f"Tokenizer: num_words must be at least {least} to hold a token, got {num_words}")

    def __len__(self) -> int:
        """The size of the vocabulary, the padding slot included: the `vocab_size` of a model."""
        return len(self.tokens)

    def __repr__(self) -> str:
        size = "not fitted" if self._tokens is None else f"{len(self._tokens)} tokens"
        return f"Tokenizer(level={self.level!r}, {size})"

    @property
    def tokens(self) -> list[str]:
        """Every token in the order of the ids; ``""`` at the padding slot."""
        return list(self._fitted())

    @property
    def index(self) -> dict[str, int]:
        """The id of every token; the padding slot is not one."""
        self._fitted()
        return dict(self._index)

    def fit(self, texts: str | Iterable[str]) -> Self:
        """Learn the vocabulary of a text, or of several; what was learned before is forgotten.

        Parameters
        ----------
        texts : str or iterable of str

        Returns
        -------
        Tokenizer
            This one.

        Raises
        ------
        ValueError
            If the texts hold no token, or half a character, which no file could keep.
        TypeError
            If one of the texts is not a string.
        """
        counts: Counter[str] = Counter()
        for text in [texts] if isinstance(texts, str) else _several("fit", texts):
            counts.update(self._split(text, "fit"))
        if self.oov is not None:
            counts.pop(self.oov, None)
        if not counts:
            raise ValueError("Tokenizer.fit: texts must hold at least one token, got none")
        for token in counts:
            check_text("Tokenizer.fit", f"the token {shown(token)}", token)
        # Neither Counter nor sorted disturbs the order of first appearance, so ties are settled by it.
        ranked = sorted(counts, key=counts.__getitem__, reverse=True)
        self._keep((self._reserved() + ranked)[: self.num_words])
        return self

    def encode(self, text: str) -> np.ndarray:
        """Return the ids of a text.

        Parameters
        ----------
        text : str

        Returns
        -------
        ndarray of int64, shape (n,)
            n is the number of tokens, fewer where unknown ones are left out.

        Raises
        ------
        RuntimeError
            Before `fit`.
        TypeError
            If the text is not a string.
        """
        self._fitted()
        tokens = self._split(text, "encode")
        if self.oov is None:
            ids = [self._index[token] for token in tokens if token in self._index]
        else:
            unknown = self._index[self.oov]
            ids = [self._index.get(token, unknown) for token in tokens]
        return np.array(ids, dtype=np.int64)

    def encode_all(self, texts: Iterable[str]) -> list[np.ndarray]:
        """Return the ids of several texts, one array each; `pad_sequences` makes one array of them."""
        if isinstance(texts, str):
            raise TypeError("Tokenizer.encode_all: texts must be several texts, got a string; use encode for one")
        return [self.encode(text) for text in _several("encode_all", texts)]

    def decode(self, ids: Any) -> str:
        """Return the text of a sequence of ids; padding leaves no trace.

        Parameters
        ----------
        ids : array of int, shape (n,)

        Raises
        ------
        RuntimeError
            Before `fit`.
        ValueError
            For ids of more than one dimension, or outside the vocabulary.
        TypeError
            For ids that are not integers.
        """
        tokens = self._fitted()
        ids = as_array("Tokenizer.decode", "ids", to_host(ids))
        if ids.ndim != 1:
            raise ValueError(f"Tokenizer.decode: ids must have shape (n,), got {ids.shape}; decode one row at a time")
        if ids.size and ids.dtype.kind not in "iu":
            raise TypeError(f"Tokenizer.decode: ids must be integers, got {ids.dtype}")
        outside = np.flatnonzero((ids < 0) | (ids >= len(tokens)))
        if outside.size:
            where = outside[0]
            raise ValueError(
                f"Tokenizer.decode: ids must be in 0…{len(tokens) - 1}, got {ids[where]} at position {where}; "
                f"the vocabulary has {len(tokens)} tokens"
            )
        words = [tokens[i] for i in ids.tolist()]
        return " ".join(word for word in words if word != PADDING) if self.level == "word" else "".join(words)

    def to_dict(self) -> dict[str, Any]:
        """Return all there is to know, in types that JSON has."""
        return {
            "level": self.level,
            "num_words": None if self.num_words is None else int(self.num_words),
            "lower": self.lower,
            "filters": self.filters,
            "oov": self.oov,
            "padding": self.padding,
            "tokens": self.tokens,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Return the tokenizer that `to_dict` wrote down.

        Raises
        ------
        ValueError
            If an entry is missing, unknown or of another type, or the tokens do not fit the other entries.
        """
        where = "Tokenizer.from_dict"
        names = {"level", "num_words", "lower", "filters", "oov", "padding", "tokens"}
        if not isinstance(stored, Mapping) or set(stored) != names:
            found = sorted(map(str, stored)) if isinstance(stored, Mapping) else stored
            raise ValueError(
                f"{where}: stored must have the entries {', '.join(sorted(names))}, got {shown(found)}; use what "
                "to_dict returned"
            )
        options = dict(stored)
        tokens = options.pop("tokens")
        if not isinstance(tokens, list | tuple):
            raise ValueError(f"{where}: tokens must be a list of words, got {shown(tokens)}")
        try:
            check_arguments("stored", cls, options)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        tokenizer = cls(**options)
        reserved, tokens = tokenizer._reserved(), list(tokens)
        if not all(isinstance(token, str) for token in tokens[: len(reserved)]) or tokens[: len(reserved)] != reserved:
            raise ValueError(
                f"{where}: tokens must begin with {shown(reserved)}, got {shown(tokens[: len(reserved)])}; "
                "padding and oov decide what comes first"
            )
        for position, token in enumerate(tokens[len(reserved) :], len(reserved)):
            if not isinstance(token, str) or token == PADDING:
                raise ValueError(f"{where}: tokens must be words, got {shown(token)} at position {position}")
            check_text(where, f"token {position}", token)
        if len(set(tokens)) != len(tokens):
            twice = next(token for token, count in Counter(tokens).items() if count > 1)
            raise ValueError(f"{where}: tokens must differ, got {shown(twice)} more than once")
        if tokenizer.num_words is not None and len(tokens) > tokenizer.num_words:
            raise ValueError(f"{where}: tokens must be at most num_words = {tokenizer.num_words}, got {len(tokens)}")
        tokenizer._keep(tokens)
        return tokenizer

    def _reserved(self) -> list[str]:
        """What stands before the tokens of the text."""
        return [PADDING] * self.padding + ([] if self.oov is None else [self.oov])

    def _keep(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._index = {token: i for i, token in enumerate(tokens) if token != PADDING}

    def _fitted(self) -> list[str]:
        if self._tokens is None:
            raise RuntimeError("Tokenizer: there is no vocabulary yet; call fit first")
        return self._tokens

    def _split(self, text: str, caller: str) -> str | list[str]:
        if not isinstance(text, str):
            raise TypeError(f"Tokenizer.{caller}: a text must be a string, got {type(text).__name__}")
        if self.lower:
            text = text.lower()
        if self.level == "piece":
            return PIECE.findall(text)
        return text if self.level == "char" else text.translate(self._parting).split()


def _several(caller: str, texts: Any) -> Iterable[str]:
    """Return `texts`, if there can be several in it."""
    if not isinstance(texts, Iterable) or isinstance(texts, bytes):
        raise TypeError(f"Tokenizer.{caller}: texts must be strings, in a list for instance, got {shown(texts)}")
    return texts
