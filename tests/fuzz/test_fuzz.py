"""A few hundred damaged files for all readers; and that the harness would see what it looks for."""

from __future__ import annotations

import json
import sys
import warnings
from hashlib import sha256
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("resource")  # limits, which Windows hasn't

from . import judge, report, runner
from .case import Case, one
from .mutators import archives, containers, raw, trees
from .readers import READERS, Reader, generate
from .seeds import large
from .shrink import shrunk

NAMES = list(READERS)


def judged(name: str, case: Case, folder, seconds: float = 2.0, memory: int = 1 << 30) -> judge.Outcome:
    """Run an input in this process."""
    return judge.run(name, case, folder, seconds, memory)


@pytest.mark.parametrize("name", NAMES)
def test_whole_files_are_accepted_and_those_of_another_kind_refused(name, tmp_path) -> None:
    for number, case in enumerate(READERS[name].seeds()):
        outcome = judged(name, case, tmp_path / str(number), seconds=60)
        assert outcome.finding == "", (number, outcome.message)
        assert (outcome.answer != "accepted") == case.refused, (number, outcome.answer, outcome.message)


def test_no_damaged_file_does_harm() -> None:
    figures, findings = runner.run(runner.Settings(inputs=400, seed=0))
    assert not findings, "\n" + report.grouped(findings)
    assert sum(part.inputs for part in figures.values()) == 400
    assert all(part.inputs > 0 for name, part in figures.items() if READERS[name].seeds())


def test_much_of_one_thing_does_no_harm(tmp_path) -> None:
    """`--large` has the same files by hand, large enough for what takes time by the square of a file's length."""
    for number, (name, case) in enumerate(large.slow(50_000)):
        outcome = judged(name, case, tmp_path / str(number))
        assert outcome.finding == "", (number, name, case.size, outcome.message)


FILES = {
    "a.csv": "texts: tables", "a.tsv": "texts: tables", "a.jsonl": "texts: JSON Lines", "a.npz": "texts: Keras",
    "a/a.txt": "texts: folders", "a.txt": "series: tables", "b.tsv": "series: tables", "a.ts": "series: .ts",
    "a.arff": "series: ARFF", "a/a.wav": "waveforms: WAV", "a/a.flac": "waveforms: FLAC, OGG", "a.vec": "vectors: text",
    "a.bin": "vectors: binary", "a.gz": "vectors: packed", "a.safetensors": "load", "b.safetensors": "read_arrays",
    "a.keras": "load_keras", "a.h5": "load_keras", "a.onnx": "load_onnx",
    "last.safetensors": "fit, resumed", "model.safetensors": "load_network",
}  # fmt: skip


@pytest.mark.parametrize("file", FILES)
@given(data=st.one_of(st.binary(max_size=80), st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace"))))
def test_any_bytes_at_all(tmp_path_factory, file, data) -> None:
    if not READERS[FILES[file]].seeds():
        pytest.skip("it takes soundfile, h5py or onnx")
    folder = tmp_path_factory.mktemp("any")
    case = Case({file: data}, "" if "/" in file or file == "last.safetensors" else file)
    outcome = judged(FILES[file], case, folder / "in")
    assert outcome.finding == "", outcome.message


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["\ud83d", "nan"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "label", "\n"]), inner),
    max_leaves=6,
)


@given(rows=st.lists(TREES, min_size=1, max_size=3))
def test_any_json_at_all(tmp_path_factory, rows) -> None:
    folder = tmp_path_factory.mktemp("any")
    outcome = judged("texts: JSON Lines", one("a.jsonl", "\n".join(map(json.dumps, rows))), folder / "in")
    assert outcome.finding == "", outcome.message


# the harness itself


def test_an_input_can_be_made_again() -> None:
    for name in NAMES:
        for index in range(5) if READERS[name].seeds() else ():
            case = generate(name, 7, index)
            assert case == generate(name, 7, index)
            assert Case.loads(case.dumps()) == case


def test_valid_files_are_the_same_in_every_process() -> None:
    worker = runner.Worker([sys.executable, "-c", "from tests.fuzz.test_fuzz import tell_sums; tell_sums()"])
    assert next(worker.ask({}, 1)) == sums()
    worker.close()


def sums() -> dict[str, list[str]]:
    """Return a digest of every valid file."""
    return {name: [sha256(case.dumps().encode()).hexdigest() for case in READERS[name].seeds()] for name in NAMES}


def tell_sums() -> None:
    """Print them, for another process."""
    print(json.dumps(sums()), flush=True)


def warn_badly(path, options) -> None:
    warnings.warn("one\ntwo", stacklevel=1)


def warn_of_numpy(path, options) -> None:
    np.float32(1e30) * np.float32(1e30)


def refuse(error: BaseException):
    def read(path, options) -> None:
        raise error

    return read


def swallow_memory(path, options) -> None:
    try:
        np.ones(1 << 26)
    except MemoryError as error:
        raise ValueError(f"{path} is too large") from error


def never_end(path, options) -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("read", "finding"),
    [
        (refuse(ValueError("a.csv must be so, got otherwise")), ""),
        (refuse(FileNotFoundError("a.csv is missing")), ""),
        (refuse(ValueError("it must be so")), "the file isn't named"),
        (refuse(ValueError("")), "an empty message"),
        (refuse(ValueError("a.csv\nmust be")), "a message of several lines"),
        (refuse(ValueError("a.csv\u2028must be")), "a message of several lines"),
        (refuse(ValueError("a.csv " + "x" * 394)), "a long message"),
        (refuse(ValueError("a.csv \x1b[31m")), "a message with characters that can't be shown"),
        (refuse(ValueError("a.csv \ud83d")), "a message with characters that can't be shown"),
        (refuse(KeyError("a.csv")), "another kind of error"),
        (refuse(RecursionError("a.csv")), "another kind of error"),
        (swallow_memory, "memory"),
        (never_end, "slow"),
        (warn_badly, "warning: a message of several lines"),
        (warn_of_numpy, "warning: a warning of the kind RuntimeWarning"),
        (lambda path, options: "nonsense", "insane result"),
    ],
)
def test_every_kind_of_fault_is_seen(monkeypatch, tmp_path, read, finding) -> None:
    reader = Reader(list, read, (), lambda result: "it is nonsense" if result == "nonsense" else None)
    monkeypatch.setitem(READERS, "planted", reader)
    outcome = judged("planted", one("a.csv", "x"), tmp_path / "in", seconds=0.1, memory=1 << 28)
    assert outcome.finding == finding


def test_a_worker_that_dies_is_a_finding_and_the_next_input_gets_another() -> None:
    death = "import ctypes, sys; sys.stdin.readline(); print('{}', flush=True); ctypes.string_at(0)"
    worker = runner.Worker([sys.executable, "-c", death])
    for _ in range(2):
        first, second = runner.answers(worker, {"start": 0, "stop": 3})
        assert first == {}
        assert second["finding"] == "the process ended: SIGSEGV"
    broken = runner.Worker([sys.executable, "-c", "import nothing_of_this_name"])
    (outcome,) = runner.answers(broken, {"start": 0, "stop": 1})
    assert outcome["finding"] == "the process ended: exit status 1"
    assert outcome["message"] == "ModuleNotFoundError: No module named 'nothing_of_this_name'"


def test_inputs_are_shared_out_to_the_last() -> None:
    for inputs in (18, 1001):
        tasks = list(runner.tasks(runner.Settings(inputs=inputs)))
        assert sum(task["stop"] - task["start"] for task in tasks) == inputs


def test_a_small_input_is_left_of_a_large_one() -> None:
    case = Case({"a": bytes(50) + b"bad" + bytes(50), "b": b"beside it"})
    small = shrunk(case, lambda case: b"bad" in (case.files.get("a") or b""))
    assert small.files == {"a": b"bad"}


def test_mutators_keep_the_form_that_they_know() -> None:
    """A mutator that only ever breaks the outermost layer finds little."""
    case = READERS["load"].seeds()[0]
    data = case.files[case.path]
    whole = 0
    for k in range(200):
        try:
            containers.split(containers.as_safetensors(Random(k), data))
            whole += 1
        except (ValueError, RecursionError, IndexError, KeyError):
            continue
    assert whole > 140
    assert containers.chunks_of(containers.riff([(b"fmt ", None, b"abc"), (b"data", None, b"xy")])) == [
        (b"fmt ", None, b"abc"),
        (b"data", None, b"xy"),
    ]
    assert json.loads(trees.as_json(Random(1), b'{"a": [1, 2, {"b": null}]}')) is not None
    assert archives.packed(b"x") == archives.packed(b"x")
    assert raw.flip(Random(0), b"") == b""
