"""Tables, Parquet's and Arrow's: texts, lists and numbers as examples; damage and gaps named by file, block and row."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from rnn_core.data import Ahead, BlockExamples, ParquetBlocks, Tokenizer
from rnn_core.models import LanguageModel, SequenceClassifier
from rnn_core.training import SGD, fit

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

TEXTS = ["to be", "or not", "to be that", "is", "the question", "whether", "tis", "nobler in the mind", "to", "suffer"]
WORDS = Tokenizer("word").fit(TEXTS)


@pytest.fixture
def written(tmp_path):
    """Return a function that writes columns into a file, some rows a block, and returns its path."""

    def write(name="a.parquet", rows=4, **columns):
        table, path = pa.table(columns), tmp_path / name
        if path.suffix == ".parquet":
            pq.write_table(table, path, row_group_size=rows)
        else:
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table, max_chunksize=rows)
        return path

    return write


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())], ids=str)
def test_texts_and_classes(written, name, kind):
    said = ["yes", "no"] * 5
    path = written(name, text=pa.array(TEXTS).cast(kind), said=said, weight=np.arange(10.0))
    blocks = ParquetBlocks(
        path, inputs="text", targets="said", weights="weight", tokenizer=WORDS, classes=("no", "yes")
    )
    assert blocks.sizes.tolist() == [4, 4, 2]
    assert list(blocks.texts()) == TEXTS
    examples = BlockExamples(blocks, batch_size=3, seed=1, together=2)
    seen = []
    for k in range(len(examples)):
        batch = examples.batch(0, k)
        lengths = [batch.inputs.shape[1]] * len(batch.targets) if batch.lengths is None else batch.lengths
        for row, target, weight, length in zip(*batch[:2], batch.weights, lengths, strict=True):
            number = int(weight)
            np.testing.assert_array_equal(row[:length], WORDS.encode(TEXTS[number]))
            assert target == (said[number] == "yes")
            seen.append(number)
    assert sorted(seen) == list(range(10))


@pytest.mark.parametrize("kind", [pa.list_(pa.uint16()), pa.large_list(pa.int32())], ids=str)
def test_lists_of_tokens_over_several_files(written, tmp_path, kind):
    rows = [[k, k + 1, *range(k % 3)] for k in range(9)]
    for part in (0, 1):
        some = pa.array(rows[part::2], kind)
        written(f"{part}.parquet", rows=2, tokens=some, tags=some)
    blocks = ParquetBlocks(str(tmp_path / "*.parquet"), inputs="tokens", targets="tags")
    assert len(blocks.paths) == 2
    for k in range(len(BlockExamples(blocks, batch_size=2))):
        batch = BlockExamples(blocks, batch_size=2).batch(0, k)
        np.testing.assert_array_equal(batch.inputs, batch.targets)
        assert batch.inputs.dtype == np.int64
    following = BlockExamples(ParquetBlocks(tmp_path / "0.parquet", inputs="tokens"), shuffle=False).batch(0, 0)
    np.testing.assert_array_equal(following.targets[:, 0], [row[1] for row in rows[::2]])
    LanguageModel(vocab_size=12, hidden_size=2, backend="numpy", seed=0).evaluate(following)


def test_features_of_a_fixed_size(written):
    x = np.random.default_rng(0).normal(size=(9, 5, 2)).astype(np.float32)
    nested = pa.FixedSizeListArray.from_arrays(pa.FixedSizeListArray.from_arrays(x.ravel(), 2), 5)
    path = written(x=nested, y=np.arange(9) % 2)
    batch = BlockExamples(ParquetBlocks(path, inputs="x", targets="y"), batch_size=9, shuffle=False).batch(0, 0)
    np.testing.assert_array_equal(batch.inputs, x)
    assert batch.lengths is None
    ragged = pa.array([[[1.0, 2.0]] * (k + 1) for k in range(9)], pa.list_(pa.list_(pa.float32(), 2)))
    path = written("r.parquet", x=ragged, y=np.arange(9) % 2)
    batch = BlockExamples(ParquetBlocks(path, inputs="x", targets="y"), batch_size=9, shuffle=False).batch(0, 0)
    assert batch.inputs.shape == (9, 9, 2)
    assert batch.lengths.tolist() == list(range(1, 10))
    SequenceClassifier(num_classes=2, hidden_size=2, input_size=2, backend="numpy", seed=0).evaluate(batch)


def test_training_goes_on_to_the_same_bits(written, tmp_path):
    path = written(text=TEXTS, said=[len(text) % 2 for text in TEXTS])

    def run(folder, *epochs):
        for count in epochs:
            model = SequenceClassifier(
                num_classes=2, hidden_size=3, vocab_size=len(WORDS), dropout=0.1, backend="numpy", seed=0
            )
            data = BlockExamples(ParquetBlocks(path, inputs="text", targets="said", tokenizer=WORDS), batch_size=3)
            fit(model, Ahead(data), optimizer=SGD(0.1), epochs=count, checkpoint=tmp_path / folder, resume="auto",
                progress=False)  # fmt: skip
        return [array.tobytes() for array in model.parameters.values()]

    assert run("whole", 3) == run("parts", 1, 3)


NULLS = {
    "inputs": {"text": ["a", "b", None], "y": [0, 1, 0]},
    "targets": {"text": ["a", "b", "c"], "y": [0, 1, None]},
}


@pytest.mark.parametrize("role", NULLS)
def test_a_row_without_a_value_is_named(written, role):
    path = written(rows=2, **NULLS[role])
    blocks = ParquetBlocks(path, inputs="text", targets="y", tokenizer=Tokenizer().fit("a b c"))
    with pytest.raises(ValueError, match=r"column '(text|y)' of '.*', block 1, row 0, must have a value, got null"):
        blocks.read(1)


def test_other_rows_that_are_no_examples(written):
    texts = written(text=TEXTS, said=["yes"] * 9 + ["maybe"])
    with pytest.raises(ValueError, match=r"block 2, row 1, must be one of \['no', 'yes'\], got 'maybe'; name it among"):
        ParquetBlocks(texts, inputs="text", targets="said", tokenizer=WORDS, classes=("no", "yes")).read(2)
    with pytest.raises(ValueError, match="block 0, row 0, must have a token that the tokenizer knows"):
        ParquetBlocks(texts, inputs="text", targets="said", tokenizer=Tokenizer().fit("x"), classes=("no",)).read(0)
    with pytest.raises(ValueError, match="block 0, row 3, must have two tokens"):
        ParquetBlocks(texts, inputs="text", tokenizer=WORDS).read(0)
    path = written("b.parquet", x=[[1], [], [2]], y=[[1], [2], [3]], z=[[1, 2], [3], [4]], w=[1.0, -1.0, 1.0],
                   n=[1.0, float("nan"), 2.0], s=pa.array([[1.0], [None], [2.0]]))  # fmt: skip
    for options, message in (
        ({"inputs": "x", "targets": "n"}, "row 1, must have one number at least, got none"),
        ({"inputs": "y", "targets": "z"}, "row 0, must have 1 numbers, one a step of inputs, got 2"),
        ({"inputs": "y", "targets": "y", "weights": "w"}, "row 1, must be finite and at least 0, got -1.0"),
        ({"inputs": "y", "targets": "n"}, "column 'n' of .* must be finite, got nan at index"),
        ({"inputs": "s", "targets": "n"}, "must have no null in its lists"),
    ):
        with pytest.raises(ValueError, match=message):
            ParquetBlocks(path, **options).read(0)


def test_columns_of_other_types(written):
    path = written(text=TEXTS, y=list(range(10)), b=[b"x"] * 10, l=[["x"]] * 10)
    for options, message in (
        ({"inputs": "text", "targets": "y"}, "must hold numbers, or come with tokenizer=, got string"),
        ({"inputs": "text", "targets": "text", "tokenizer": WORDS}, "must hold numbers, or come with classes="),
        ({"inputs": "y", "targets": "y"}, "must hold texts or lists of numbers, got int64"),
        ({"inputs": "text", "targets": "b", "tokenizer": WORDS}, "must hold numbers, or lists of them, got binary"),
        ({"inputs": "l", "targets": "y"}, "must hold lists of numbers, .* got "),
    ):
        with pytest.raises(TypeError, match=message):
            ParquetBlocks(path, **options).read(0)


def test_what_can_be_told_before_a_block_is_read(written, tmp_path):
    path = written(text=TEXTS)
    with pytest.raises(ValueError, match=r"'.*a\.parquet' must have one column 'label', got columns \['text'\]"):
        ParquetBlocks(path, inputs="text", targets="label")
    with pytest.raises(ValueError, match="the pattern .* must fit at least one file"):
        ParquetBlocks(str(tmp_path / "*.arrow"), inputs="text")
    with pytest.raises(FileNotFoundError, match="paths must be existing files or patterns"):
        ParquetBlocks(tmp_path / "none.parquet", inputs="text")
    with pytest.raises(ValueError, match="weights must come with targets"):
        ParquetBlocks(path, inputs="text", weights="text")
    with pytest.raises(TypeError, match="tokenizer must be a Tokenizer"):
        ParquetBlocks(path, inputs="text", tokenizer="word")
    with pytest.raises(ValueError, match="classes must differ"):
        ParquetBlocks(path, inputs="text", classes=["a", "a"])
    with pytest.raises(ValueError, match="must have at least one row"):
        ParquetBlocks(written("e.parquet", text=pa.array([], pa.string())), inputs="text")


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
@pytest.mark.parametrize("damage", ["cut", "foreign", "empty", "middle"])
def test_damaged_files_are_named(written, name, damage):
    path = written(name, tokens=[list(range(1, 400))] * 10)
    whole = path.read_bytes()
    path.write_bytes({
        "cut": whole[: len(whole) // 2], "foreign": b"text,label\n" * 20, "empty": b"",
        "middle": whole[:8] + b"\xff" * 200 + whole[208:],
    }[damage])  # fmt: skip
    with pytest.raises(ValueError, match=r"ParquetBlocks: (.*a\.(parquet|arrow)' must be a whole|column 'tokens')"):
        ParquetBlocks(path, inputs="tokens").read(0)


def test_a_file_that_changes_is_an_error(written):
    path = written(tokens=[[1, 2]] * 10)
    blocks = ParquetBlocks(path, inputs="tokens")
    written(tokens=[[1, 2]] * 1000)
    with pytest.raises(ValueError, match="must stay as it is while it is read"):
        blocks.read(0)


def test_without_pyarrow_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RuntimeError, match=r"pyarrow must be installed, got none; pip install 'rnn_core\[parquet\]'"):
        ParquetBlocks("a.parquet", inputs="text")


def test_pyarrow_is_not_imported_before_it_is_needed():
    code = "import sys, rnn_core.data; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
