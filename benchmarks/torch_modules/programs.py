"""Five programs as one writes them in torch: a model, batches from a seed, and a step of training.

========== ============================================================================= ==================
language   words of a chain with two predecessors; embedding, two layers, dropout, head  LSTM
tagger     sentences of unequal lengths, packed; a tag for each word                     LSTM, both ways
agent      Q-values from what an agent sees, a target network, double Q, Huber's loss    LSTM
regressor  the next values of several series, sines and noise                            GRU
classifier which of some patterns is in a sequence; mean over time                       GRU, both ways
========== ============================================================================= ==================
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, smooth_l1_loss
from torch.nn.utils.rnn import pack_padded_sequence

Batch = tuple[Tensor, ...]


class Language(nn.Module):
    """The next word at every step, of words (T, B)."""

    def __init__(self, V: int, E: int, H: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, E)
        self.rnn = nn.LSTM(E, H, num_layers=2, dropout=0.2)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(H, V)

    def loss(self, words: Tensor) -> Tensor:
        """Return the mean cross-entropy of every word but the first."""
        y, _ = self.rnn(self.embedding(words[:-1]))
        return cross_entropy(self.head(self.dropout(y)).flatten(0, 1), words[1:].flatten())


class Tagger(nn.Module):
    """A tag for each word of sentences (B, T), of which so many words count."""

    def __init__(self, V: int, E: int, H: int, tags: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, E)
        self.rnn = nn.LSTM(E, H, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * H, tags)

    def loss(self, words: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """Return the mean cross-entropy of the words that count."""
        packed = pack_padded_sequence(self.embedding(words), lengths, batch_first=True, enforce_sorted=False)
        y, _ = self.rnn(packed)
        return cross_entropy(self.head(y.data), pack_padded_sequence(tags, lengths, True, False).data)


class Agent(nn.Module):
    """Q-values at every step of what an agent has seen (T, B, features), and those of a slower copy of itself."""

    def __init__(self, features: int, H: int, actions: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(features, H), nn.ReLU())
        self.rnn = nn.LSTM(H, H)
        self.head = nn.Linear(H, actions)
        self.target: Agent | None = None

    def forward(self, seen: Tensor) -> Tensor:
        """Return Q (T, B, actions)."""
        found: Tensor = self.head(self.rnn(self.encoder(seen))[0])
        return found

    def loss(self, seen: Tensor, actions: Tensor, rewards: Tensor, going_on: Tensor) -> Tensor:
        """Return Huber's loss of Q beside the reward and what the copy says of the next step."""
        if self.target is None:
            self.target = copy.deepcopy(self).requires_grad_(False)
        q = self(seen)
        with torch.no_grad():
            best = q[1:].argmax(-1, keepdim=True)
            later = self.target(seen)[1:].gather(-1, best).squeeze(-1)
            wanted = rewards + 0.97 * going_on * later
        return smooth_l1_loss(q[:-1].gather(-1, actions.unsqueeze(-1)).squeeze(-1), wanted)


class Regressor(nn.Module):
    """The next values of series (B, T, features), at every step."""

    def __init__(self, features: int, H: int) -> None:
        super().__init__()
        self.rnn = nn.GRU(features, H, num_layers=2, batch_first=True)
        self.head = nn.Linear(H, features)

    def loss(self, series: Tensor) -> Tensor:
        """Return the mean squared error."""
        return mse_loss(self.head(self.rnn(series[:, :-1])[0]), series[:, 1:])


class Classifier(nn.Module):
    """Which class a sequence of features (B, T, features) is of."""

    def __init__(self, features: int, H: int, classes: int) -> None:
        super().__init__()
        self.rnn = nn.GRU(features, H, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * H, classes)

    def loss(self, x: Tensor, classes: Tensor) -> Tensor:
        """Return the mean cross-entropy."""
        return cross_entropy(self.head(self.rnn(x)[0].mean(1)), classes)


def words(T: int, B: int, V: int) -> Batch:
    """Return words that follow from the two before, one time in ten from none."""
    found = [torch.randint(V, (B,)) for _ in range(2)]
    for _ in range(T - 1):
        follows = (7 * found[-1] + 3 * found[-2] + 1) % V
        found.append(torch.where(torch.rand(B) < 0.1, torch.randint(V, (B,)), follows))
    return (torch.stack(found),)


def sentences(T: int, B: int, V: int, tags: int) -> Batch:
    """Return words, tags that depend on a word and the one before, and lengths from a third of T on."""
    found = torch.randint(V, (B, T))
    lengths = torch.randint(T // 3 + 1, T + 1, (B,))
    return found, (found + found.roll(1, 1)) % tags, lengths


def episodes(T: int, B: int, features: int, actions: int) -> Batch:
    """Return what an agent saw, did and got, and where the episode went on."""
    seen = torch.randn(T + 1, B, features).cumsum(0) / T**0.5
    done = torch.randint(actions, (T, B))
    return seen, done, seen[1:, :, 0] * (done == 0), (torch.rand(T, B) < 0.98).to(seen.dtype)


def series(T: int, B: int, features: int) -> Batch:
    """Return sines of several speeds, and noise."""
    time = torch.arange(T + 1.0).view(1, -1, 1)
    speed, begin = 0.05 + 0.4 * torch.rand(B, 1, features), 6.3 * torch.rand(B, 1, features)
    return (torch.sin(time * speed + begin) + 0.1 * torch.randn(B, T + 1, features),)


def patterns(T: int, B: int, features: int, classes: int) -> Batch:
    """Return noise on a wave whose speed is the class's."""
    of = torch.randint(classes, (B,))
    wave = torch.sin(torch.arange(float(T)) * (0.1 * (1 + of)).view(-1, 1)).unsqueeze(-1)
    return wave + torch.randn(B, T, features), of


class Program(NamedTuple):
    """A program: what its model and a batch are made of."""

    name: str
    cell: str
    packed: bool
    model: Callable[[], Any]
    batch: Callable[[], Batch]


def programs(quick: bool) -> list[Program]:
    """Return the five of them, small if quick."""
    V, E, H, T, B = (60, 8, 12, 7, 4) if quick else (2000, 128, 200, 35, 20)
    return [
        Program("language", "LSTM", False, lambda: Language(V, E, H), lambda: words(T, B, V)),
        Program("tagger", "LSTM", True, lambda: Tagger(V, E, H, 17), lambda: sentences(T, B, V, 17)),
        Program("agent", "LSTM", False, lambda: Agent(16, H, 6), lambda: episodes(T, B, 16, 6)),
        Program("regressor", "GRU", False, lambda: Regressor(7, H), lambda: series(2 * T, B, 7)),
        Program("classifier", "GRU", False, lambda: Classifier(12, H, 5), lambda: patterns(2 * T, B, 12, 5)),
    ]


class Training:
    """A program's training: a model from a seed, its optimizer, and batches that come round again.

    Parameters
    ----------
    program : Program
    dtype : torch.dtype
        Of parameters and of all batches that are no integers.
    change : callable, optional
        What is done with the model before anything else.
    """

    def __init__(self, program: Program, dtype: torch.dtype, change: Callable[[Any], object] | None = None) -> None:
        torch.manual_seed(0)
        self.model = program.model().to(dtype)
        made = [program.batch() for _ in range(8)]
        self.batches = [tuple([t.to(dtype) if t.is_floating_point() else t for t in batch]) for batch in made]
        if change is not None:
            change(self.model)
        self.optimizer = torch.optim.Adam(self.model.parameters(), 1e-3)
        self.steps = 0

    def step(self) -> float:
        """Take a step and return its loss."""
        batch = self.batches[self.steps % len(self.batches)]
        self.steps += 1
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.model.loss(*batch)
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def curve(self, steps: int) -> list[float]:
        """Return the losses of some steps; what they drop is drawn from a seed."""
        torch.manual_seed(1)
        return [self.step() for _ in range(steps)]
