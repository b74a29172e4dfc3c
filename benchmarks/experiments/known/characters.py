"""The language reference to docstrings, character by character: all methods in one table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rnn_core import load, save
from rnn_core.data import TextStream
from rnn_core.data.source import Source
from rnn_core.models import Model
from transfer import Head, TransferReport, copy_parameters
from transfer.comparing.data_study import Budget, DataStudy, Joint
from transfer.demo.characters import CharactersStudy, held_out, new_model, tokenizer_of
from transfer.demo.corpus import load_corpus
from transfer.demo.settings import QUICK, CharactersSettings
from transfer.parameters.cross_domain import CONTROLS
from transfer.spreading.spread import Workers

from ..frame import Experiment, Outcome, Progress, folder_for
from ..methods import every_method, joined, told, verdict

SIZES = (2_000, 8_000, 32_000)


@dataclass(frozen=True, eq=False)
class Characters(DataStudy):
    """The texts of `rnn-core demo`, with one source model for all seeds.

    Every run of a size makes as many updates, and keeps the parameters that are best on the validation text.
    """

    demo: CharactersStudy
    budget: Budget
    sources: Path
    core: tuple[str, ...] = ("embedding.*", "rnn.*")
    copied: tuple[str, ...] = ("*",)
    metric: str = "bits a character"
    higher_is_better: bool = False

    def pretrain(self, seed: int, shuffled: bool) -> Model:
        """Return the source model; it is trained when it is asked for the first time."""
        path = self.sources / f"{'shuffled' if shuffled else 'trained'}.safetensors"
        if not path.exists():
            save(super().pretrain(0, shuffled), path)
        model: Model = load(path)
        return model

    def source_data(self, seed: int, shuffled: bool = False) -> Source:
        ids = self.demo.source_tokens.encode(self.demo.corpus.source)
        ids = np.random.default_rng(0).permutation(ids) if shuffled else ids
        return TextStream(ids, batch_size=self.demo.settings.batch_size, steps=self.demo.settings.steps)

    def target_data(self, size: int, seed: int) -> Source:
        ids = self.demo.target_tokens.encode(self.demo.corpus.training_text(size, seed))
        return TextStream(ids, batch_size=self.demo.settings.batch_size, steps=self.demo.settings.steps)

    def validation(self) -> Source:
        return held_out(self.demo.target_tokens.encode(self.demo.corpus.validation), self.demo.settings)

    @property
    def joins(self) -> bool:
        return True

    def joint(self, size: int, seed: int) -> Joint:
        """Return both texts in the target's characters, with a head each; no state is carried from piece to piece."""
        ids = self.demo.target_tokens.encode(self.demo.corpus.source)
        source = TextStream(ids, batch_size=self.demo.settings.batch_size, steps=self.demo.settings.steps)
        head = Head(len(self.demo.target_tokens), pooling=None)
        return Joint({"source": head, "target": head}, {"source": source, "target": self.target_data(size, seed)})

    def build_source(self, seed: int) -> Model:
        return new_model(self.demo.source_tokens, self.demo.settings, seed=seed)

    def build(self, seed: int) -> Model:
        return self.demo.build(seed)

    def copy(self, source: Model, target: Model) -> TransferReport:
        """Copy everything, the head too; what belongs to a character goes to that character."""
        return copy_parameters(source, target, vocabulary=(self.demo.source_tokens, self.demo.target_tokens))

    def control(self, kind: str, source: Model, seed: int) -> Model:
        """Return a control whose recurrent layers alone are changed."""
        return CONTROLS[kind](source, "rnn.*", seed=seed)

    def score(self, model: Any) -> float:
        return self.demo.score(model)


def run(quick: bool, workers: Workers, progress: Progress) -> Outcome:
    """Compare all methods; the source is trained in this process, once."""
    settings = QUICK.characters if quick else CharactersSettings()
    sizes = settings.sizes if quick else SIZES
    corpus = load_corpus(replace(settings, sizes=sizes))
    tokens = tokenizer_of(corpus.source), tokenizer_of("".join(corpus.documents))
    demo = CharactersStudy(settings, corpus, *tokens, Path())
    updates = -(-len(corpus.source) // (settings.batch_size * settings.steps)) * settings.source_epochs
    budget = Budget(
        source_updates=updates,
        batch_size=settings.batch_size,
        source_rate=settings.source_rate,
        rate=settings.scratch_rate,
        core_rate=settings.tuned_rate,
        clip_norm=settings.clip_norm,
    )
    with folder_for(progress) as folder:
        study = Characters(demo, budget, folder)
        for shuffled in (False, True):
            study.pretrain(0, shuffled)
            progress(f"source trained{' on shuffled characters' if shuffled else ''}, {updates} updates")
        protocol = {
            "task": "the next character; source the language reference, target docstrings; size is in characters",
            "network": f"LSTM, {settings.hidden_size} units, embedding {settings.embedding_size}, softmax",
            "source": f"one for all seeds, {len(corpus.source):,} characters",
            "choice": "each run keeps the best of ten looks at the validation text; the test text is looked at once",
            "what a seed draws": "the training text and the fresh model",
        }
        found, budgets = [], {}
        for size, passes in zip(sizes, settings.target_epochs, strict=True):
            steps = max(8, len(study.target_data(size, 0)) * passes)  # in a quick run there is hardly any text
            study = replace(study, budget=replace(budget, target_updates=steps))
            seeds = 2 if quick else settings.seeds
            part, _ = every_method(study, [size], seeds, workers, progress, protocol, f"{size:,}")
            found.append(part)
            budgets[size] = asdict(study.budget)
        comparison = joined(found)
        outcome = told(comparison, study, {**protocol, "budget": budgets})
    if quick:
        return outcome
    claims = tuple(
        verdict(comparison, "fine-tuned", size, "positive", f"with {size:,} characters, fine-tuning helps")
        for size in sizes
    )
    return Outcome(outcome.protocol, outcome.results, outcome.table, claims)


EXPERIMENT = Experiment("characters", "the language reference to docstrings, all methods: bits a character", run)
