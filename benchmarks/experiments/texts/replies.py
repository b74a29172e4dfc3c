"""Replies of ChatterBot's English corpus: perplexity beside a unigram model's, after tech support or from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import exp, inf
from pathlib import Path
from typing import Any

import numpy as np

from rnn_core import Seq2Seq
from rnn_core.data import Pairs, Tokenizer, reply_pairs
from rnn_core.data.files import Dialogue, TextPairs
from transfer import compare
from transfer.comparing.data_study import Budget
from transfer.spreading.spread import Workers

from ..frame import Claim, Experiment, Outcome, Progress, watched
from ..methods import verdict
from .catalogues import key_of, part_of
from .pair_study import PairStudy, Parts, Rows

SOURCE, LEFT_OUT = "tech_support", ("coding",)
"""The topic that is learned before, and those that are no talk: programs."""

CONTEXT = 3
"""Turns that a reply reads."""

LONGEST = 40
"""Pieces of a reply and of what it reads that are kept: of a reply the first, of its context the last."""

UNKNOWN = "<unknown>"

FULL = Budget(source_updates=400, target_updates=500, source_rate=3e-3, rate=3e-3, core_rate=1.5e-3, clip_norm=1.0)


@dataclass(frozen=True)
class Settings:
    """What is trained, and how long; `most` replies of each part, all of them if it is None."""

    seeds: int = 5
    hidden_size: int = 96
    dropout: float = 0.4
    words: int = 1500
    budget: Budget = FULL
    most: int | None = None


QUICK = Settings(seeds=2, hidden_size=12, budget=replace(FULL, source_updates=10, target_updates=10), most=60)


@dataclass(frozen=True, eq=False)
class Replies(PairStudy):
    """Talk on twenty topics, with tech support before it."""

    metric = "perplexity"
    higher_is_better = False

    def score(self, model: Any) -> float:
        return self.perplexity(model, self.target.test)

    def perplexity(self, model: Seq2Seq, rows: Rows) -> float:
        """Return the perplexity a token of some replies, their ends counted."""
        data = Pairs(*rows, batch_size=64, shuffle=False)
        found = [model.evaluate(data.batch(0, k)) for k in range(len(data))]
        return exp(sum(part.loss for part in found) / sum(part.count for part in found))

    def elsewhere(self) -> Rows:
        """Return the test part with what each reply reads exchanged for another's: it tells whether that is heeded."""
        sources = self.target.test.sources
        return Rows(sources[1:] + sources[:1], self.target.test.targets)

    def train(self, model: Any, plan: Any, size: int, seed: int) -> dict[str, float]:
        """Train as any study does, and keep the perplexity after another's context beside the score."""
        super().train(model, plan, size, seed)
        return {"after another's context": self.perplexity(model, self.elsewhere())}


def talks() -> dict[str, list[Dialogue]]:
    """Return the English dialogues by their topic.

    Some of the corpus's lists are turns, some a question and several answers to it; nothing in it tells which, and all
    are taken as turns.

    """
    import chatterbot_corpus
    import yaml

    found = {}
    for path in sorted(Path(chatterbot_corpus.__file__).parent.joinpath("data", "english").glob("*.yml")):
        rows = yaml.safe_load(path.read_text(encoding="utf-8"))["conversations"]
        found[path.stem] = [Dialogue(tuple(map(str, row)), (None,) * len(row), path.stem) for row in rows]
    return found


def study_of(settings: Settings) -> Replies:
    """Return the study. Whole dialogues are held out, by what opens them: no opening stands in two parts."""
    topics = talks()
    source = [d for d in topics[SOURCE] if part_of(key_of(d.turns[0])) == "train"]
    others = [d for topic, some in topics.items() if topic not in (SOURCE, *LEFT_OUT) for d in some]
    pairs = {
        part: _pairs([d for d in others if part_of(key_of(d.turns[0])) == part], settings.most)
        for part in Parts._fields
    }
    before = _pairs(source, settings.most)
    tokenizer = Tokenizer("piece", num_words=settings.words, oov=UNKNOWN)
    tokenizer.fit([text for some in (pairs["train"], before) for text in (*some.sources, *some.targets)])
    target = Parts(*(_rows(tokenizer, pairs[part]) for part in Parts._fields))
    return Replies(
        settings.budget, _rows(tokenizer, before), target, len(tokenizer), settings.hidden_size, settings.dropout
    )


def _pairs(dialogues: Sequence[Dialogue], most: int | None) -> TextPairs:
    found = reply_pairs([d for d in dialogues if len(d.turns) > 1], context=CONTEXT)
    return TextPairs(found.sources[:most], found.targets[:most], found.places[:most])


def _rows(tokenizer: Tokenizer, pairs: TextPairs) -> Rows:
    sources = [ids[-LONGEST:] for ids in tokenizer.encode_all(pairs.sources)]
    return Rows(sources, [ids[:LONGEST] for ids in tokenizer.encode_all(pairs.targets)])


def unigram(train: Rows, test: Rows, vocabulary: int) -> float:
    """Return the perplexity of a model that knows how frequent each token is, each counted once more, and no more."""
    counts = np.ones(vocabulary)
    for row in train.targets:
        counts += np.bincount(np.append(row, 0), minlength=vocabulary)
    log_p = np.log(counts / counts.sum())
    tokens = np.concatenate([np.append(row, 0) for row in test.targets])
    return exp(-log_p[tokens].mean())


def run(quick: bool, workers: Workers, progress: Progress) -> Outcome:
    """Compare the arms, and set the unigram model beside them."""
    settings = QUICK if quick else Settings()
    study = study_of(settings)
    size = len(study.target.train.sources)
    comparison = compare(
        study, sizes=[size], seeds=settings.seeds, arms=study.arms(), workers=workers, **watched(progress)
    )
    base = unigram(study.target.train, study.target.test, study.vocabulary)
    scratch = [run for run in comparison.runs if run.arm == "scratch"]
    own = max((run.score for run in scratch), default=inf)
    moved = float(np.mean([run.record["after another's context"] for run in scratch]))
    mean = float(np.mean([run.score for run in scratch]))
    protocol = {
        "task": f"the reply after up to {CONTEXT} turns, piece by piece: other topics after tech support",
        "replies": {part: len(getattr(study.target, part).sources) for part in Parts._fields},
        "source replies": len(study.source.sources),
        "split": "by the words that open a dialogue",
        "vocabulary": study.vocabulary,
        "unknown tokens of the test part": _unknown(study.target.test),
        "network": f"GRU, {settings.hidden_size} units, both directions, general attention",
        "choice": "each run keeps the best of ten looks at the validation part; the test part is looked at once",
        "budget": asdict(study.budget),
    }
    results = {**comparison.as_dict(), "unigram": base, "scratch after another's context": moved}
    lines = [str(comparison), f"unigram model: {base:.1f}", f"scratch, after another's context: {moved:.1f}"]
    claims = (
        Claim("every run from scratch is below the unigram model", own < base, f"{own:.1f} and {base:.1f}"),
        Claim("the context is heeded: another's makes it worse", moved > mean, f"{moved:.1f} and {mean:.1f}"),
        verdict(comparison, "fine-tuned", size, "positive", "tech support helps"),
    )
    return Outcome(protocol, results, "\n".join(lines), claims)


def _unknown(rows: Rows) -> float:
    """Return the share of unknown tokens among those that are written."""
    return float(np.mean(np.concatenate(rows.targets) == 1))


EXPERIMENT = Experiment(
    "replies",
    "ChatterBot's replies, after tech support: perplexity beside a unigram model's",
    run,
    packages=("chatterbot_corpus", "yaml"),
)
