"""The commands on series and sounds as people have them: gaps, other formats, other rates, no labels, one long file."""

from __future__ import annotations

import struct
import warnings

import numpy as np
import pytest

from rnn_core import cli, load
from rnn_core.data import Ragged
from rnn_core.inputs.how import How
from rnn_core.inputs.kinds import kind_of
from transfer.commands import run
from transfer.comparing.data_study import Budget
from transfer.inputs.gathering import Wanted, gather

TINY = Budget(source_updates=4, target_updates=4)

SHORT = ["--quick", "--workers", "1", "--methods", "fine-tuned"]


def write(folder, name: str, text: str) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


def said(capsys, command: str, *words: object) -> str:
    """What the command prints; it must succeed and say nothing beside."""
    capsys.readouterr()
    code = cli.main([command, *map(str, words)])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out


def refused(capsys, command: str, *words: object) -> str:
    """The one line in which the command refuses."""
    capsys.readouterr()
    assert cli.main([command, *map(str, words)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert len(err) < 450
    return err


def waves(count: int, seed: int, names=("1", "2"), steps: int = 12) -> list[tuple[str, list[str]]]:
    """Labels, and waves of a frequency for each of them as they are written."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(count):
        wave = np.sin(np.arange(steps) * (0.3 + 0.5 * (k % len(names))) + rng.random() * 6)
        rows.append((names[k % len(names)], [f"{value:.4f}" for value in wave]))
    return rows


def tsv(folder, name: str, rows) -> str:
    return write(folder, name, "".join("\t".join([label, *values]) + "\n" for label, values in rows))


def gappy(rows) -> list[tuple[str, list[str]]]:
    """The same with a number missing in every third."""
    return [(label, [*v[:4], "?" if k % 3 == 0 else v[4], *v[5:]]) for k, (label, v) in enumerate(rows)]


@pytest.mark.parametrize("missing", ["drop", "interpolate", "mask"])
def test_series_with_gaps_from_the_first_line_to_the_last_prediction(tmp_path, capsys, missing) -> None:
    source = tsv(tmp_path, "a.tsv", waves(20, 0))
    target = tsv(tmp_path, "b.tsv", gappy(waves(24, 1)))
    words = ["--source", source, "--target", target, *SHORT, "--out", tmp_path / "out"]
    message = refused(capsys, "transfer", *words)
    assert "b.tsv', line 1, must have a number for step 4, got none" in message
    assert "; --missing drop, --missing interpolate or --missing mask reads series with gaps" in message
    out = said(capsys, "transfer", *words, "--missing", missing)
    assert ("8 of 24 series of" in out) == (missing == "drop")
    model = tmp_path / "out" / "model.safetensors"
    stored = load(model)
    assert (stored.reading["missing"], len(stored.scaling)) == (missing, 2 if missing == "mask" else 1)
    if missing == "mask":
        assert (stored.scaling.mean[1], stored.scaling.scale[1]) == (0, 1)
    out = said(capsys, "predict", model, target)  # as the run has read them
    assert f"{16 if missing == 'drop' else 24} examples; " in out
    other = "interpolate" if missing == "mask" else "mask"
    assert f"must be read with --missing {missing}, as the others, got {other}" in refused(
        capsys, "predict", model, target, "--missing", other
    )
    # What goes on from the saved network reads the target as its own data were read.
    study = gather(Wanted(target, source_model=str(model)), TINY).study
    assert study.core == ("rnn.*",)


def test_a_dimension_that_was_never_seen_is_like_the_mean(tmp_path) -> None:
    path = write(tmp_path, "a.ts", "@data\n" + "1e9,1000000002:5,7:a\n1e9,1000000002:?,?:b\n" * 4)
    study = gather(Wanted(path, path, how=How(missing="mask"), source_how=How(missing="mask")), TINY).study
    seen = study.target.inputs[study.target.targets == 0][0]
    unseen = study.target.inputs[study.target.targets == 1][0]
    assert seen.tolist() == [[-1, -1, 1, 1], [1, 1, 1, 1]]
    assert unseen.tolist() == [[-1, 0, 1, 0], [1, 0, 1, 0]]


def test_formats_are_told_by_name_or_content(tmp_path) -> None:
    for name, text, kind in (
        ("a.csv", "1,0.5,2\n2,3,4\n", "series"),
        ("a.csv", "up,0.5,2,?\n", "series"),
        ("a.csv", "text,label\n1,2\n", "text"),
        ("a.csv", "a fine film,1\n", "text"),
        ("a.csv", "text,0,1\n", "text"),
        ("a.tsv", "1\t?\t3\n", "series"),
        ("a.arff", "", "series"),
        ("a.FLAC", "", "waveforms"),
    ):
        assert kind_of(write(tmp_path, name, text), How()) == kind, (name, text)
    assert kind_of(write(tmp_path, "a.csv", "1,2,3\n"), How(kind="text")) == "text"
    assert kind_of(write(tmp_path, "a.csv", "1,2,3\n"), How(header=False)) == "text"
    assert kind_of(write(tmp_path, "A_TRAIN", "1,2,3\n"), How(kind="series")) == "series"
    with pytest.raises(ValueError, match=r"A_TRAIN' must be .* --kind series, if it is a file of the UCR archive"):
        kind_of(write(tmp_path, "A_TRAIN", "1,2,3\n"), How())


def test_the_archive_of_one_year_to_that_of_another(tmp_path, capsys) -> None:
    rows = waves(20, 0)
    old = write(tmp_path, "A.txt", "".join(f"  {label}.0e+00  {'  '.join(v)}\n" for label, v in rows))
    commas = write(tmp_path, "A.csv", "".join(f"{label},{','.join(v)}\n" for label, v in rows))
    head = "".join(f"@attribute a{k} numeric\n" for k in range(12)) + "@attribute c {2,1}\n@data\n"
    arff = write(tmp_path, "A.arff", "@relation A\n" + head + "".join(f"{','.join(v)},{label}\n" for label, v in rows))
    inputs = gather(Wanted(commas, arff, test=old, how=How(kind="series")), TINY)
    assert inputs.study.test.classes == inputs.study.target.classes == ("1", "2")
    np.testing.assert_array_equal(inputs.study.test.targets, inputs.study.target.targets)
    assert inputs.study.labelled_source.classes == ("2", "1")
    assert "got a single .txt file" in refused(capsys, "transfer", "--source", arff, "--target", old, *SHORT)


def test_a_test_file_may_declare_its_classes_in_another_order(tmp_path) -> None:
    data = "1,2,3:a\n3,2,1:b\n" * 4
    target = write(tmp_path, "t.ts", "@classLabel true b a\n@data\n" + data)
    test = write(tmp_path, "u.ts", "@classLabel true a b\n@data\n" + data)
    study = gather(Wanted(target, target, test=test), TINY).study
    assert study.test.classes == ("b", "a")
    assert study.test.targets.tolist() == [1, 0] * 4


def test_a_declared_class_without_an_example(tmp_path) -> None:
    data = "1,2,3:a\n3,2,1:b\n" * 4
    whole = write(tmp_path, "t.ts", "@classLabel true a b\n@data\n" + data)
    more = write(tmp_path, "m.ts", "@classLabel true a never b\n@data\n" + data)
    assert gather(Wanted(whole, more), TINY).study.labelled_source.classes == ("a", "never", "b")
    with pytest.raises(ValueError, match=r"--target must have an example of each class .*, got none of 'never'"):
        gather(Wanted(more, whole), TINY)
    with pytest.raises(ValueError, match=r"--test must have the target's classes, 'a', 'b', got 'never' as well"):
        gather(Wanted(whole, whole, test=more), TINY)
    one = write(tmp_path, "o.ts", "@classLabel true a b\n@data\n" + "1,2,3:a\n" * 4)
    with pytest.raises(ValueError, match=r"--test must have an example of each class, got none of 'b'"):
        gather(Wanted(whole, whole, test=one), TINY)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A network of series, and its folder."""
    folder = tmp_path_factory.mktemp("series")
    path = tsv(folder, "a.tsv", waves(24, 0))
    assert cli.main(["transfer", "--source", path, "--target", path, *SHORT, "--out", str(folder / "out")]) == 0
    return folder / "out" / "model.safetensors"


def test_series_without_labels_are_predicted_from_their_first_number(network, tmp_path, capsys) -> None:
    rows = waves(6, 5)
    labelled = tsv(tmp_path, "a.tsv", rows)
    bare = write(tmp_path, "b.tsv", "".join("\t".join(values) + "\n" for _, values in rows))
    ts = write(tmp_path, "c.ts", "@classLabel  false\n@data\n" + "".join(f"{','.join(v)}\n" for _, v in rows))
    head = "".join(f"@attribute a{k} numeric\n" for k in range(12))
    arff = write(tmp_path, "d.arff", head + "@data\n" + "".join(f"{','.join(v)}\n" for _, v in rows))
    some = tsv(tmp_path, "e.tsv", [("?" if k % 2 else label, v) for k, (label, v) in enumerate(rows)])
    tables = []
    for words in ([labelled], [bare, "--no-label"], [ts], [arff], [some]):
        out = said(capsys, "predict", network, *words)
        tables.append([line.split()[-2:] for line in out.splitlines() if "line " in line])
        if words[0] not in (labelled, some):
            assert "6 examples; the file has no classes to compare with" in out
    assert "of the 3 that have a label" in out
    assert len(tables[0]) == 6
    assert all(table == tables[0] for table in tables)
    message = refused(capsys, "predict", network, bare)
    assert "must have classes for labels, got 6 different numbers in 6 lines" in message
    assert "; --no-label reads a file without labels" in message
    assert "--label must be left out with --no-label" in refused(
        capsys, "predict", network, bare, "--no-label", "--label", "x"
    )
    assert "--resample must be left out with a network that reads series" in refused(
        capsys, "predict", network, bare, "--resample"
    )
    target = refused(capsys, "transfer", "--source", labelled, "--target", bare, *SHORT)
    assert "; rnn-core predict --no-label reads a file without labels" in target


def test_a_regression_is_no_task_here(network, tmp_path, capsys) -> None:
    path = write(tmp_path, "r.ts", "@targetLabel true\n@data\n" + "1,2,3:0.51\n3,2,1:0.7\n" * 4)
    message = refused(capsys, "transfer", "--source", path, "--target", path, *SHORT)
    assert "r.ts', line 1, must tell of classes, got @targetLabel true: the file is of a regression" in message
    assert "8 examples; the file has no classes to compare with" in said(capsys, "predict", network, path)


# sounds


def sound(path, rate: int, count: int, name: str = "a.wav", pitch: float = 0.1) -> None:
    path.mkdir(parents=True, exist_ok=True)
    data = (np.sin(np.arange(count) * pitch * 8000 / rate) * 20000).astype("<i2").tobytes()
    head = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    body = b"WAVE" + head + b"data" + struct.pack("<I", len(data)) + data
    (path / name).write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


def test_rates_are_brought_to_one_where_that_is_asked_for(tmp_path, capsys) -> None:
    pytest.importorskip("scipy")
    for k in range(4):
        sound(tmp_path / "m" / "low", 8000, 80 + k, f"{k}.WAV")
        sound(tmp_path / "m" / "high", 16000, 160 + k, f"{k}.WAV", 0.5)
    words = ["--source", tmp_path / "m", "--target", tmp_path / "m", "--frame", 8, *SHORT, "--out", tmp_path / "out"]
    message = refused(capsys, "transfer", *words)
    assert "files must have one rate, got 16000 in" in message
    assert "; --sample-rate 8000 resamples them" in message
    out = said(capsys, "transfer", *words, "--sample-rate", 8000)
    assert "samples a second: 8,000" in out
    model = tmp_path / "out" / "model.safetensors"
    message = refused(capsys, "predict", model, tmp_path / "m")
    assert "; --resample resamples them" in message
    assert "8 examples; " in (out := said(capsys, "predict", model, tmp_path / "m", "--resample"))
    assert "told as the file has them" in out  # capitals in .WAV hide no class
    message = refused(capsys, "predict", model, tmp_path / "m" / "high")
    assert "must have 8000 samples a second, as those trained on, got 16000" in message


def test_one_long_sound_costs_its_own_length(tmp_path) -> None:
    for k in range(20):
        sound(tmp_path / "short", 8000, 16, f"{k}.wav")
        sound(tmp_path / "other", 8000, 16, f"{k}.wav", 0.7)
    sound(tmp_path / "short", 8000, 20_000, "long.wav")
    wanted = Wanted(str(tmp_path), str(tmp_path), how=How(frame=8), source_how=How(frame=8))
    inputs = gather(wanted, TINY)
    source = inputs.study.labelled_source
    assert isinstance(source.inputs, Ragged)
    assert sum(row.nbytes for row in source.inputs) == (40 * 16 + 20_000) * 4
    assert any(
        note.startswith("--source: short/long.wav has 2,500 steps, half of the examples at most 2: ")
        and note.endswith("; --max-steps cuts it")
        for note in inputs.notes
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inputs = gather(
            Wanted(str(tmp_path), str(tmp_path), how=How(frame=8), source_how=How(frame=8), max_steps=2), TINY
        )
    assert inputs.study.labelled_source.inputs.shape == (41, 2, 8)
    assert "1 of the target's 41 examples are cut to their first 2 steps" in inputs.notes
    assert not any("--max-steps cuts it" in note for note in inputs.notes)


def test_too_little_memory_names_what_is_long(tmp_path, capsys, monkeypatch) -> None:
    for name in ("a", "b"):
        for k in range(3):
            sound(tmp_path / "m" / name, 8000, 16, f"{k}.wav")
    sound(tmp_path / "m" / "a", 8000, 20_000, "long.wav")

    def full(*args: object) -> None:
        raise MemoryError("Unable to allocate 9 GiB")

    monkeypatch.setattr(run, "_compute", full)
    words = ["--source", tmp_path / "m", "--target", tmp_path / "m", "--frame", 8, *SHORT, "--out", tmp_path / "out"]
    message = refused(capsys, "transfer", *words)
    assert "Unable to allocate 9 GiB (the longest example is of the source, 2,500 steps; half of them have" in message
    assert "or --max-steps" in message


def test_a_folder_of_halves_has_its_own_test(tmp_path) -> None:
    for half, count in (("train", 3), ("test", 2)):
        for name, pitch in (("a", 0.1), ("b", 0.7)):
            for k in range(count):
                sound(tmp_path / half / name, 8000, 64, f"{k}.wav", pitch)
    study = gather(Wanted(str(tmp_path), str(tmp_path)), TINY).study
    assert (len(study.target), len(study.test)) == (6, 4)


def test_options_without_effect(tmp_path, capsys) -> None:
    series = tsv(tmp_path, "a.tsv", waves(8, 0))
    words = ["--source", series, "--target", series, *SHORT]
    message = refused(capsys, "transfer", *words, "--sample-rate", 8000)
    assert "--sample-rate must be left out where nothing is of the kind waveforms, got series" in message
    for name in ("a", "b"):
        for k in range(4):
            sound(tmp_path / "m" / name, 8000, 64, f"{k}.wav")
    words = ["--source", tmp_path / "m", "--target", tmp_path / "m", *SHORT, "--missing", "drop"]
    assert "--missing must be left out where nothing is of the kind series" in refused(capsys, "transfer", *words)
    assert "--sample-rate must be above 0, got 0" in refused(capsys, "transfer", *words, "--sample-rate", 0)
