"""`rnn-core transfer TASK`: tags, translations, replies, forecasts, texts and numbers, from file to file."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from rnn_core import LanguageModel, cli, load, quantize, save
from rnn_core.data import Tokenizer
from transfer.comparing.kept import KeptRuns

SHORT = ["--quick", "--workers", "1", "--methods", "fine-tuned"]

WORDS = ["the", "film", "was", "good", "bad", "we", "saw", "it", "today"]


def tagged(path, count: int, names: list[str], seed: int):
    """Write sentences with names of persons, of one word or two."""
    rng = np.random.default_rng(seed)
    sentences = []
    for _ in range(count):
        rows = []
        for _ in range(rng.integers(3, 7)):
            if rng.random() < 0.3:
                rows.append((rng.choice(names), "B-PER"))
                rows += [(rng.choice(["Smith", "Jones"]), "I-PER")] if rng.random() < 0.5 else []
            else:
                rows.append((rng.choice(WORDS), "O"))
        sentences.append("\n".join("\t".join(row) for row in rows))
    path.write_text("\n\n".join(sentences) + "\n", encoding="utf-8")
    return path


def running(path, count: int, seed: int):
    rng = np.random.default_rng(seed)
    path.write_text(" ".join(rng.choice([*WORDS, "Ann", "Smith"], count)), encoding="utf-8")
    return path


def pairs(path, count: int, letters: str, seed: int, names: str = "source,target"):
    rng = np.random.default_rng(seed)
    lines = [names]
    for _ in range(count):
        drawn = rng.choice(list(letters), rng.integers(2, 5))
        lines.append(f"{' '.join(drawn)},{' '.join(reversed(drawn))}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def dialogues(path, count: int, seed: int):
    rng = np.random.default_rng(seed)
    turns = ["hello there", "hi you", "how are you", "fine"]
    lines = (json.dumps({"turns": turns[: rng.integers(2, 5)]}) + "\n" for _ in range(count))
    path.write_text("".join(lines), encoding="utf-8")
    return path


def series(path, steps: int, count: int, seed: int):
    rng = np.random.default_rng(seed)
    lines = [",".join(["time", *(f"s{k}" for k in range(count))])]
    for t in range(steps):
        values = 10 + np.arange(count) + np.sin(2 * np.pi * t / 6) + rng.normal(0, 0.1, count)
        lines.append(",".join([str(t), *(f"{value:.4f}" for value in values)]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def numbers(path, count: int, words: str, seed: int):
    rng = np.random.default_rng(seed)
    lines = ["text,label"]
    for _ in range(count):
        drawn = list(rng.choice(words.split(), 4))
        lines.append(f"{' '.join(drawn)},{drawn.count('good') - drawn.count('bad') + rng.random():.3f}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def files(folder, task: str):
    """Write a source and a target of a task; return both, and what else is to be said."""
    a, b = (lambda ending: (folder / f"a{ending}", folder / f"b{ending}"))(
        {"tag": ".conll", "language": ".txt", "reply": ".jsonl"}.get(task, ".csv")
    )
    if task == "tag":
        return tagged(a, 60, ["Ann", "Bob"], 1), tagged(b, 40, ["Cleo", "Bob"], 2), []
    if task == "language":
        return running(a, 500, 1), running(b, 400, 2), []
    if task == "translate":
        return pairs(a, 40, "abcde", 1), pairs(b, 30, "abcf", 2), ["--beam", "1"]
    if task == "reply":
        return dialogues(a, 20, 1), dialogues(b, 20, 2), ["--beam", "1"]
    if task == "forecast":
        return series(a, 90, 3, 1), series(b, 80, 2, 2), ["--horizon", "4"]
    return numbers(a, 40, "good bad fine dull film", 1), numbers(b, 40, "good bad fine dull show", 2), []


def transferred(capsys, *words) -> str:
    assert cli.main(list(map(str, ["transfer", *words]))) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def refused(capsys, *words) -> str:
    assert cli.main(list(map(str, ["transfer", *words]))) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def results(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


TASKS = ("tag", "language", "translate", "reply", "forecast", "regression")


@pytest.mark.parametrize("task", TASKS)
def test_from_files_to_files(task, tmp_path, capsys) -> None:
    """What was compared, copied and saved; and the network that was saved answers, as well as the results say."""
    source, target, more = files(tmp_path, task)
    out = tmp_path / "out"
    told = transferred(capsys, task, "--source", source, "--target", target, *more, *SHORT, "--out", out)
    assert "better than scratch by" in told
    found = results(out)
    assert found["kind"] == task
    assert found["comparison"]["protocol"]["sizes"] == [100]
    assert {run["arm"] for run in found["comparison"]["runs"]} == {"fine-tuned", "scratch"}
    assert all(math.isfinite(run["score"]) for run in found["comparison"]["runs"])
    copied = {row["name"]: row["status"] for row in found["copy"]["rows"]}
    assert copied["rnn.weight_hh_l0"] == "copied"
    if task != "forecast":
        assert copied["embedding.weight"] == "mapped"
    lower = found["comparison"]["protocol"]["metric"] in ("bits a character", "perplexity", "MASE", "RMSE")
    assert found["comparison"]["protocol"]["higher_is_better"] is not lower
    report = (out / "report.html").read_text(encoding="utf-8")
    assert "100 % of the data" in report
    assert not (out / "kept").exists()
    model = load(out / "model.safetensors")
    assert model.task == ("classify" if task == "regression" else task)
    assert model.record["method"] in ("fine-tuned", "scratch")
    code = cli.main(["evaluate", str(out / "model.safetensors"), str(target), "--json", str(tmp_path / "scores.json")])
    assert code == 0, capsys.readouterr().err
    if task in ("tag", "language", "forecast"):  # --test: the very score that was printed
        again = tmp_path / "again"
        words = ["--source", source, "--target", target, "--test", target, *more, *SHORT]
        transferred(capsys, task, *words, "--out", again)
        cli.main(["evaluate", str(again / "model.safetensors"), str(target), "--json", str(tmp_path / "scores.json")])
        scores = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
        expected = results(again)["saved"]["scores"]["test"]
        assert expected == pytest.approx(_first(scores), rel=1e-5)


def _first(scores):
    """Return the first number in what `evaluate` has written."""
    if isinstance(scores, dict):
        found = scores.get("scores", scores)
        return _first(next(iter(found.values())))
    return scores


def test_a_language_models_core_begins_a_tagger(tmp_path, capsys) -> None:
    source, target = running(tmp_path / "a.txt", 500, 1), tagged(tmp_path / "b.conll", 40, ["Ann", "Bob"], 2)
    words = ["tag", "--source", source, "--source-task", "language", "--source-options", "--level word"]
    told = transferred(
        capsys, *words, "--target", target, "--keep-case", "--one-way", *SHORT, "--out", tmp_path / "out"
    )
    assert "tokens" in told
    found = results(tmp_path / "out")
    assert found["sides"]["source"]["task"] == "language"
    assert {row["name"] for row in found["copy"]["rows"] if row["status"] in ("copied", "mapped")} == {
        "embedding.weight", "rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.bias_ih_l0", "rnn.bias_hh_l0",
    }  # fmt: skip


def test_of_two_directions_a_language_model_begins_one(tmp_path, capsys) -> None:
    source, target = running(tmp_path / "a.txt", 500, 1), tagged(tmp_path / "b.conll", 40, ["Ann", "Bob"], 2)
    words = ["tag", "--source", source, "--source-task", "language", "--target", target]
    transferred(capsys, *words, *SHORT, "--out", tmp_path / "out")
    notes = " ".join(results(tmp_path / "out")["notes"])
    assert "rnn.weight_ih_l0_reverse" in notes
    assert "the source reads by the char, the target by the word: rows of tokens begin afresh" in notes


def test_a_model_made_in_python_is_a_source(tmp_path, capsys) -> None:
    """Its sizes are the target's; what its tokens are stands beside its weights."""
    tokens = Tokenizer("char").fit([" ".join(WORDS)])
    save(LanguageModel(len(tokens), hidden_size=6, seed=1), tmp_path / "m.safetensors", tokenizer=tokens)
    target = running(tmp_path / "b.txt", 400, 2)
    words = ["language", "--source-model", tmp_path / "m.safetensors", "--target", target]
    transferred(capsys, *words, *SHORT, "--out", tmp_path / "out")
    found = results(tmp_path / "out")
    assert found["network"]["hidden_size"] == 6
    assert found["sides"]["source"]["model"] == "LanguageModel"
    error = refused(capsys, *words, "--hidden-size", "9", *SHORT, "--out", tmp_path / "other")
    assert "--hidden-size must be the source model's, 6, got 9; leave it out" in error


def test_sizes_are_shares_and_draw_by_seed(tmp_path, capsys) -> None:
    source, target, _ = files(tmp_path, "tag")
    words = ["tag", "--source", source, "--target", target, *SHORT, "--sizes", "40", "100"]
    transferred(capsys, *words, "--out", tmp_path / "out")
    assert results(tmp_path / "out")["comparison"]["protocol"]["sizes"] == [40, 100]


def test_ctrl_c_and_resume_end_in_the_same_results(tmp_path, capsys, monkeypatch) -> None:
    source, target, _ = files(tmp_path, "tag")
    words = ["tag", "--source", source, "--target", target, *SHORT]
    transferred(capsys, *words, "--out", tmp_path / "whole")
    add = KeptRuns.add

    def adding(kept, *arguments):
        found = add(kept, *arguments)
        if kept.folder.name == "kept" and len(kept) == 2:
            raise KeyboardInterrupt
        return found

    with monkeypatch.context() as patch:
        patch.setattr(KeptRuns, "add", adding)
        assert cli.main(list(map(str, ["transfer", *words, "--out", tmp_path / "out"]))) == 130
    capsys.readouterr()
    told = transferred(capsys, *words, "--out", tmp_path / "out", "--resume")
    assert "2 runs of the comparison kept from before" in told
    assert results(tmp_path / "out")["comparison"] == results(tmp_path / "whole")["comparison"]
    networks = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("out", "whole")]
    assert networks[0] == networks[1]


def test_classify_by_name_is_the_command_without_a_task(tmp_path, capsys) -> None:
    rows = ["text,label", *(f"it was {'good' if k % 2 else 'bad'} {WORDS[k % 5]},{k % 2}" for k in range(24))]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    words = ["--source", path, "--target", path, *SHORT]
    transferred(capsys, *words, "--out", tmp_path / "one")
    transferred(capsys, "classify", *words, "--out", tmp_path / "two")
    one, two = results(tmp_path / "one"), results(tmp_path / "two")
    assert one["comparison"] == two["comparison"]


@pytest.mark.parametrize(
    ("task", "more", "said"),
    [
        ("tag", ["--frame", "3"], "unrecognized arguments"),
        ("tag", ["--sizes", "0"], "--sizes must be above 0, got 0"),
        ("tag", ["--sizes", "101"], "--sizes must be from 1 to 100, per cent of the target's training data, got 101"),
        ("tag", ["--source-task", "tags"], "--source-task must be one of "),
        ("tag", ["--methods", "SVM"], "'SVM' can't be used here: the target has no sequences with one class each"),
        ("tag", ["--methods", "shuffled labels"], "the source's answers can't be shuffled among its inputs"),
        ("tag", ["--save", "SVM", "--methods", "fine-tuned"], "doesn't; take one of fine-tuned, scratch"),
        ("tag", ["--test-share", "2"], "--test-share must be between 0 and 1, got 2.0"),
        ("tag", ["--source-options", "--tag 7"], "7"),
        ("tag", ["--source-options", "--foo 2"], "--source-options must be options of `rnn-core train tag` on how "),
        ("tag", ["--source-options", "--token '2"], "No closing quotation"),
        ("translate", ["--source-options", "--targets none.tgt"], "--source: "),
        ("forecast", ["--horizon", "60"], "--target must have series of --context 120 and --horizon 60 steps together"),
        ("language", ["--steps", "0"], "--steps must be at least 1, got 0"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(task, more, said, tmp_path, capsys) -> None:
    source, target, _ = files(tmp_path, task)
    words = ["transfer", task, "--source", source, "--target", target, *SHORT, "--out", tmp_path / "out", *more]
    try:
        assert cli.main(list(map(str, words))) == 2
    except SystemExit as stop:
        assert stop.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out" / "results.json").exists()


def test_an_option_before_the_task_is_heeded_or_refused(tmp_path, capsys) -> None:
    source, target, _ = files(tmp_path, "tag")
    words = ["--seeds", "3", "tag", "--source", source, "--target", target, *SHORT, "--out", tmp_path / "out"]
    transferred(capsys, *words)
    assert results(tmp_path / "out")["comparison"]["protocol"]["arms"]
    assert len({run["seed"] for run in results(tmp_path / "out")["comparison"]["runs"]}) == 3
    error = refused(capsys, "--frame", "3", "tag", "--source", source, "--target", target, "--out", tmp_path / "other")
    assert "--frame must be left out with tag, which has none" in error


def test_files_of_another_kind_are_refused(tmp_path, capsys) -> None:
    source, target, _ = files(tmp_path, "tag")
    broken = tmp_path / "broken.conll"
    broken.write_text("one\tO\ntwo\n", encoding="utf-8")
    error = refused(capsys, "tag", "--source", broken, "--target", target, *SHORT, "--out", tmp_path / "out")
    assert "broken.conll" in error
    assert not (tmp_path / "out" / "results.json").exists()
    error = refused(capsys, "tag", "--target", target, *SHORT)
    assert "one of --source and --source-model must be given, got neither" in error


@pytest.mark.parametrize("task", [*TASKS, "classify"])
def test_the_help_of_every_task_is_there(task, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["transfer", task, "--help"])
    assert stop.value.code == 0
    assert "--source-updates" in capsys.readouterr().out


def test_letters_go_by_letter(tmp_path, capsys) -> None:
    """Filters that have learned to read rows of letters read the same letters' rows."""
    source, target, _ = files(tmp_path, "tag")
    words = ["tag", "--source", source, "--target", target, "--letters", "--crf", *SHORT]
    transferred(capsys, *words, "--out", tmp_path / "out")
    copied = {row["name"]: row["status"] for row in results(tmp_path / "out")["copy"]["rows"]}
    assert copied["letters.weight"] == "mapped"
    assert copied["conv.0.weight"] == copied["rnn.weight_hh_l0"] == "copied"
    assert copied["crf.transitions"] == "skipped"


def test_a_source_model_that_reads_letters_says_so_itself(tmp_path, capsys) -> None:
    """Nobody has to say --letters again; and options that don't go with letters don't go with it."""
    source, target, _ = files(tmp_path, "tag")
    words = ["tag", "--source", source, "--target", target, *SHORT]
    transferred(capsys, *words, "--letters", "--out", tmp_path / "one")
    known = ["tag", "--source-model", tmp_path / "one" / "model.safetensors", "--target", target, *SHORT]
    transferred(capsys, *known, "--out", tmp_path / "two")
    assert "words are read by their letters, as the source model reads them" in results(tmp_path / "two")["notes"]
    copied = {row["name"]: row["status"] for row in results(tmp_path / "two")["copy"]["rows"]}
    assert copied["letters.weight"] in ("mapped", "copied")
    assert copied["conv.0.weight"] == copied["rnn.weight_hh_l0"] == "copied"
    error = refused(capsys, *known, "--num-words", 5, "--out", tmp_path / "three")
    assert "--num-words must be left out with --letters, which tells all apart" in error


def test_a_source_model_of_integers_is_refused(tmp_path, capsys) -> None:
    tokens = Tokenizer("char").fit([" ".join(WORDS)])
    small = quantize(LanguageModel(len(tokens), hidden_size=6, seed=1))
    save(small, tmp_path / "m.safetensors", tokenizer=tokens)
    words = ["language", "--source-model", tmp_path / "m.safetensors", "--target", running(tmp_path / "b.txt", 400, 2)]
    error = refused(capsys, *words, *SHORT, "--out", tmp_path / "out")
    assert "--source-model must have its weights in float32 or float64, got int8 in " in error
    assert not (tmp_path / "out").exists()


def test_a_source_whose_tokens_are_unknown_is_said(tmp_path, capsys) -> None:
    save(LanguageModel(30, hidden_size=6, seed=1), tmp_path / "m.safetensors")
    target = tagged(tmp_path / "b.conll", 40, ["Ann"], 2)
    words = ["tag", "--source-model", tmp_path / "m.safetensors", "--target", target, "--one-way", *SHORT]
    transferred(capsys, *words, "--out", tmp_path / "out")
    notes = results(tmp_path / "out")["notes"]
    assert "what the source's tokens stand for is not known, so that their rows begin afresh" in notes
    assert not any("of another shape" in note for note in notes)
