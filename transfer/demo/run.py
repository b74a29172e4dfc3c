"""The demonstration from the first gradient to the last picture."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.live import Live

from rnn_core import LanguageModel, save
from rnn_core.atomic import write_atomically
from rnn_core.checking import Case, GradientReport, standard_cases
from rnn_core.commands.gradcheck import gradient_table, verdict
from rnn_core.data import Tokenizer
from rnn_core.showing.terminal import Parts, new_console
from rnn_core.training import History
from rnn_core.training.checkpoint import BEST, LAST
from rnn_core.written import json_bytes

from .. import Plan, TransferReport, compare
from ..comparing.comparison import Comparison
from ..showing.runs_shown import runs_shown
from . import characters, digits, report, vanishing
from .corpus import Corpus, load_corpus
from .outcome import Outcome
from .settings import Settings


class DemoInterrupted(KeyboardInterrupt):
    """Ctrl-C. The message says what is kept and how to go on."""


def run(settings: Settings, folder: Path, workers: int | str, resume: bool, again: Sequence[str]) -> int:
    """Do everything, and write it into a folder that is there.

    Parameters
    ----------
    settings : Settings
    folder : Path
    workers : int or str
        Processes side by side, or where runs are made, as for `compare`.
    resume : bool
        Go on from the folder's checkpoint.
    again : sequence of str
        The command that leads here, to be named if it is interrupted.

    Returns
    -------
    int
        0, or 1 if a gradient is wrong.

    Raises
    ------
    DemoInterrupted
        Ctrl-C.
    ValueError
        `resume` finds no checkpoint, or that of other settings.
    """
    from threadpoolctl import threadpool_limits

    checkpoint = folder / "checkpoint"
    if resume and not (checkpoint / LAST).exists():
        raise ValueError(f"--resume must find a checkpoint, got none in {str(checkpoint)!r}; leave it out to begin")
    if not resume:
        for name in (LAST, BEST):
            (checkpoint / name).unlink(missing_ok=True)
    parts = Parts(new_console())
    try:
        with threadpool_limits(1):  # the products are small; a second thread would only wait for the first
            outcome = _compute(settings, folder, checkpoint, workers, resume, parts)
            with parts.part("pictures and report", "Pictures and report"):
                _write(outcome, folder, parts)
    except KeyboardInterrupt:
        raise DemoInterrupted(_way_on(parts.current, checkpoint / LAST, again)) from None
    for finding in outcome.findings():
        parts.console.print(f"{finding.statement}: {finding.evidence}: [bold]{finding.verdict}[/]", soft_wrap=True)
    parts.plain(f"\n{folder / 'report.html'} tells it all ({sum(parts.seconds.values()):.0f} s)")
    return 0 if outcome.passed else 1


def _compute(
    settings: Settings, folder: Path, checkpoint: Path, workers: int | str, resume: bool, parts: Parts
) -> Outcome:
    """Return everything that is found, its weights written to the folder."""
    if settings.quick:
        parts.plain("a quick run: the numbers mean nothing\n")
    with parts.part("gradients", "Gradients, against the complex step"):
        gradients = _gradients(settings, parts)
    with parts.part("digits", "Digits: from 0–4 to 5–9"):
        digits_result, digits_copy = _digits(settings, folder, workers, parts)
    with parts.part("source language model", "Characters: the language reference"):
        corpus = load_corpus(settings.characters)
        tokens, source, history = _source(settings, corpus, folder, checkpoint, resume, parts)
    with parts.part("characters", "Characters: from the language reference to docstrings"):
        study = characters.CharactersStudy(
            settings.characters,
            corpus,
            tokens,
            characters.tokenizer_of("".join(corpus.documents)),
            folder / "characters-source.safetensors",
        )
        text_result, text_copy, tuned = _characters(settings, study, source, folder, workers, parts)
    with parts.part("inside", "Inside: fading gradients, hidden states"):
        shown = corpus.test[: settings.shown_characters]
        test = study.target_tokens.encode(corpus.test)
        untouched = study.build(0)
        study.copy(source, untouched)
        return Outcome(
            settings=settings,
            gradients=gradients,
            digits=digits_result,
            digits_copy=digits_copy,
            characters=text_result,
            characters_copy=text_copy,
            source=history,
            text=corpus.facts(),
            untouched=study.score(untouched),
            untouched_on_validation=study.bits_of(untouched, corpus.validation),
            unigram=characters.unigram_bits(corpus.test, corpus.source),
            norms=[
                *vanishing.fading(settings.fading_steps),
                vanishing.fading_when_trained(tuned, test, settings.fading_steps),
            ],
            states=vanishing.hidden_states(tuned, study.target_tokens.encode(shown), settings.shown_units),
            states_text=shown,
            seconds=parts.seconds,
            workers=workers,
        )


def _gradients(settings: Settings, parts: Parts) -> list[tuple[Case, GradientReport]]:
    reports: list[tuple[Case, GradientReport]] = []
    with Live(console=parts.console, auto_refresh=False) as live:
        for case in standard_cases(steps=settings.gradient_steps):
            reports.append((case, case.check()))
            live.update(gradient_table(reports), refresh=parts.console.is_terminal)
    parts.plain("" if parts.console.is_terminal else "\n")
    parts.plain(verdict(reports))
    return reports


def _digits(settings: Settings, folder: Path, workers: int | str, parts: Parts) -> tuple[Comparison, TransferReport]:
    study = digits.DigitsStudy.of(settings.digits)
    source, target = study.pretrain(0, False), study.build(0)
    copied = study.copy(source, target)
    plan = Plan(frozen=study.core)
    study.train(target, plan, settings.digits.shots[-1], 0)
    copied = copied.verify(target, plan.frozen)
    save(source, folder / "digits-source.safetensors")
    save(target, folder / "digits-target.safetensors")
    parts.plain(f"What is copied, and what becomes of it when the core is frozen:\n{copied}\n")
    with runs_shown(parts.console, "digits") as shown:
        result = compare(
            study,
            sizes=settings.digits.shots,
            seeds=settings.digits.seeds,
            arms=digits.arms(settings.digits),
            workers=workers,
            **shown._asdict(),
        )
    parts.plain(result)
    return result, copied


def _source(
    settings: Settings, corpus: Corpus, folder: Path, checkpoint: Path, resume: bool, parts: Parts
) -> tuple[Tokenizer, LanguageModel, History]:
    tokens = characters.tokenizer_of(corpus.source)
    model, history = characters.train_source(corpus, tokens, settings.characters, checkpoint, resume, parts.console)
    _save_with_tokens(model, tokens, folder / "characters-source")
    return tokens, model, history


def _characters(
    settings: Settings,
    study: characters.CharactersStudy,
    source: LanguageModel,
    folder: Path,
    workers: int | str,
    parts: Parts,
) -> tuple[Comparison, TransferReport, LanguageModel]:
    chosen = settings.characters
    tuned = study.build(0)
    copied = study.copy(source, tuned)
    parts.plain(f"What is copied:\n{copied}\n")
    arms = characters.arms(chosen)
    with runs_shown(parts.console, "characters") as shown:
        result = compare(
            study, sizes=chosen.sizes, seeds=chosen.seeds, arms=arms, workers=workers, **shown._asdict()
        )
    parts.plain(result)
    study.train(tuned, arms[0].plan, chosen.sizes[-2], 0)
    _save_with_tokens(tuned, study.target_tokens, folder / "characters-tuned")
    return result, copied, tuned


def _save_with_tokens(model: LanguageModel, tokens: Tokenizer, stem: Path) -> None:
    """Write a model, and the tokenizer that goes with it."""
    save(model, stem.with_suffix(".safetensors"))
    write_atomically(stem.with_suffix(".tokens.json"), json_bytes(tokens.to_dict()), where="demo")


def _write(outcome: Outcome, folder: Path, parts: Parts) -> None:
    """Write pictures, numbers and the report, each file whole or not at all."""
    images = report.pictures(outcome)
    for name, png in images.items():
        write_atomically(folder / name, png, where="demo")
    write_atomically(folder / "results.json", json_bytes(outcome.as_dict()), where="demo")
    write_atomically(folder / "report.html", report.page(outcome, images).encode(), where="demo")
    parts.plain(f"written to {folder}: report.html, results.json, {len(images)} pictures, weights and tokenizers")


def _way_on(part: str, checkpoint: Path, again: Sequence[str]) -> str:
    """Say what an interruption has left, and how to go on."""
    if not checkpoint.exists():
        return f"interrupted ({part}) before the first checkpoint; `{shlex.join(again)}` begins again"
    resume = shlex.join([*again, "--resume"])
    return f"interrupted ({part}); the checkpoint {checkpoint} stands: go on with `{resume}`"
