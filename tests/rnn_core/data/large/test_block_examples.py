"""Examples in blocks: every one once, near others of its group, any batch at any time; and runs that go on."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_core import LanguageModel, SequenceTagger
from rnn_core.data import Ahead, ArrayBlocks, BlockExamples, Examples, FileArray, RaggedFile, Repeated
from rnn_core.training import SGD, fit


def numbered(N, rows):
    """Return blocks of N examples, of which each holds its number."""
    return ArrayBlocks(np.arange(2 * N).reshape(N, 2), np.arange(N), rows=rows)


def order(examples, epoch):
    """Return the examples of an epoch, in their order."""
    return np.concatenate([examples.batch(epoch, k).targets for k in range(len(examples))])


options = st.fixed_dictionaries({
    "batch_size": st.integers(1, 12), "together": st.integers(1, 5), "shuffle": st.booleans(), "seed": st.integers(0, 3)
})  # fmt: skip


@given(N=st.integers(1, 40), rows=st.integers(1, 9), given_options=options, epoch=st.integers(0, 3), data=st.data())
def test_an_epoch_has_every_example_once_and_a_batch_depends_on_its_place_alone(N, rows, given_options, epoch, data):
    examples = BlockExamples(numbered(N, rows), **given_options)
    found = order(examples, epoch)
    assert sorted(found) == list(range(N))
    assert given_options["shuffle"] or list(found) == list(range(N))
    # Those of a group stand together, and a group is some whole blocks.
    size = 0
    for part in examples._groups(epoch).blocks:
        count = sum(int(examples.blocks.sizes[block]) for block in part)
        assert {k // rows for k in found[size : size + count]} == set(part)
        size += count
    another = BlockExamples(numbered(N, rows), **given_options)
    for k in data.draw(st.lists(st.integers(0, len(examples) - 1), max_size=6)):
        batch = another.batch(epoch, k)
        np.testing.assert_array_equal(batch.targets, examples.batch(epoch, k).targets)
        np.testing.assert_array_equal(batch.inputs[:, 0], 2 * batch.targets)
        assert not batch.carry


def test_epochs_seeds_and_groups_differ():
    one = BlockExamples(numbered(60, 10), seed=1, together=2)
    assert list(order(one, 0)) != list(order(one, 1))
    assert list(order(one, 0)) != list(order(BlockExamples(numbered(60, 10), seed=2, together=2), 0))
    within = order(BlockExamples(numbered(60, 10), seed=1, together=1), 0).reshape(6, 10) % 10
    assert len({tuple(row) for row in within}) == 6


def test_no_more_than_two_groups_are_held_and_none_is_read_twice(monkeypatch):
    blocks = numbered(48, 4)
    reads, most = [], 0
    read = blocks.read

    def counting(block):
        reads.append(block)
        return read(block)

    monkeypatch.setattr(blocks, "read", counting)
    examples = BlockExamples(blocks, batch_size=5, together=3)
    for k in range(len(examples)):
        examples.batch(0, k)
        most = max(most, len(examples._held))
    assert sorted(reads) == list(range(12))
    assert most == 2
    assert len(pickle.dumps(BlockExamples(numbered(48, 4)))) < 3000


def test_a_batch_may_reach_over_many_groups():
    examples = BlockExamples(numbered(20, 1), batch_size=7, together=2)
    assert sorted(order(examples, 3)) == list(range(20))
    assert len(examples.batch(0, 0).targets) == 7


@pytest.fixture
def ragged(tmp_path):
    """Return rows of tokens in a file, and the same as a list."""
    rng = np.random.default_rng(0)
    rows = [rng.integers(1, 9, n) for n in rng.integers(2, 7, 40)]
    np.save(tmp_path / "v.npy", np.concatenate(rows).astype(np.uint8))
    np.save(tmp_path / "o.npy", np.cumsum([0, *map(len, rows)]))
    return RaggedFile(FileArray(tmp_path / "v.npy"), FileArray(tmp_path / "o.npy")), rows


def test_rows_of_tokens_are_padded_to_the_longest_of_their_batch(ragged):
    stored, rows = ragged
    examples = BlockExamples(ArrayBlocks(stored, np.arange(40), rows=7), batch_size=6, seed=4)
    for k in range(len(examples)):
        batch = examples.batch(2, k)
        lengths = batch.lengths if batch.lengths is not None else np.full(len(batch.targets), batch.inputs.shape[1])
        assert batch.inputs.shape[1] == lengths.max()
        for row, length, number in zip(batch.inputs, lengths, batch.targets, strict=True):
            np.testing.assert_array_equal(row[:length], rows[number])
            assert not row[length:].any()


def test_what_comes_next_and_a_target_a_step(ragged):
    stored, rows = ragged
    batch = BlockExamples(ArrayBlocks(stored, rows=7), batch_size=5, shuffle=False).batch(0, 1)
    for k in range(5):
        n = batch.lengths[k]
        np.testing.assert_array_equal(batch.inputs[k, :n], rows[5 + k][:-1])
        np.testing.assert_array_equal(batch.targets[k, :n], rows[5 + k][1:])
    LanguageModel(vocab_size=9, hidden_size=3, backend="numpy", seed=0).evaluate(batch)
    tags = BlockExamples(ArrayBlocks(stored, stored), batch_size=5).batch(0, 0)
    np.testing.assert_array_equal(tags.inputs, tags.targets)
    SequenceTagger(num_tags=9, vocab_size=9, hidden_size=3, backend="numpy", seed=0).evaluate(tags)


def test_arrays_with_lengths_and_weights_are_as_examples(tmp_path):
    rng = np.random.default_rng(0)
    x, lengths, weights = rng.normal(size=(30, 4, 2)).astype(np.float32), rng.integers(1, 5, 30), rng.random(30)
    x[np.arange(4) >= lengths[:, None]] = np.nan
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    blocks = ArrayBlocks(mapped, np.arange(30), lengths=lengths, weights=weights, rows=4)
    stored = BlockExamples(blocks, batch_size=7, shuffle=False)
    held = Examples(x, np.arange(30), lengths=lengths, weights=weights, batch_size=7, shuffle=False)
    for k in range(len(held)):
        for mine, theirs in zip(stored.batch(0, k)[:4], held.batch(0, k)[:4], strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_bad_numbers_are_named_where_they_are_read(tmp_path, ragged):
    stored, _ = ragged
    x = np.ones((20, 3))
    x[13, 1] = np.inf
    np.save(tmp_path / "x.npy", x)
    blocks = ArrayBlocks(FileArray(tmp_path / "x.npy"), np.ones(20), rows=5)
    with pytest.raises(ValueError, match=r"ArrayBlocks: inputs\[10:15\] must be finite, got inf at index \(3, 1\)"):
        BlockExamples(blocks, shuffle=False, batch_size=5, together=1).batch(0, 2)
    with pytest.raises(ValueError, match="weights.* must be at least 0"):
        ArrayBlocks(np.ones((3, 2)), np.ones(3), weights=[1, -1, 1]).read(0)
    with pytest.raises(ValueError, match="lengths must be between 1 and T = 2, got 3 in row 1"):
        ArrayBlocks(np.ones((3, 2)), np.ones(3), lengths=[1, 3, 1]).read(0)
    one = RaggedFile(stored.values, np.array([0, 1, len(stored.values)]))
    with pytest.raises(ValueError, match="two tokens or more in each row, .* got one in row 0"):
        ArrayBlocks(one).read(0)
    with pytest.raises(ValueError, match="targets must have 1 steps in row 0, as inputs, got 2"):
        ArrayBlocks(one, RaggedFile(stored.values, np.array([0, 2, len(stored.values)]))).read(0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1, 2], [1, 2]), ValueError, r"inputs must have shape \(N, T\)"),
        ((np.ones((3, 2)),), ValueError, "targets must be given"),
        ((np.ones((3, 2)), np.ones(2)), ValueError, "targets must have 3 rows, one for each in inputs, got 2"),
        ((np.ones((3, 2)), 5), ValueError, "targets must have 3 rows, .* got a single number"),
    ],
)
def test_arrays_that_do_not_go_together(arguments, error, message):
    with pytest.raises(error, match=message):
        ArrayBlocks(*arguments)


def test_bad_options(ragged):
    with pytest.raises(TypeError, match="blocks must be ArrayBlocks, ParquetBlocks or alike, got ndarray"):
        BlockExamples(np.ones(3))
    with pytest.raises(ValueError, match="together must be at least 1"):
        BlockExamples(numbered(3, 1), together=0)
    with pytest.raises(ValueError, match="index must be below 2"):
        BlockExamples(numbered(3, 1), batch_size=2).batch(0, 2)
    with pytest.raises(ValueError, match="lengths must be left out with a RaggedFile"):
        ArrayBlocks(ragged[0], lengths=[1])
    with pytest.raises(ValueError, match="targets must be an array where inputs are one"):
        ArrayBlocks(np.ones((40, 2)), ragged[0])


def test_a_run_that_is_stopped_in_the_middle_goes_on_to_the_same_bits(ragged, tmp_path):
    def run(folder, epochs, stop=None):
        model = LanguageModel(vocab_size=9, hidden_size=3, dropout=0.2, backend="numpy", seed=0)
        data = Ahead(BlockExamples(ArrayBlocks(ragged[0], rows=5), batch_size=6, together=2, seed=1))
        callbacks = () if stop is None else (Stop(stop),)
        fit(model, data, optimizer=SGD(0.1), epochs=epochs, checkpoint=tmp_path / folder, resume="auto",
            progress=False, callbacks=callbacks)  # fmt: skip
        return {name: array.tobytes() for name, array in model.parameters.items()}

    from rnn_core.training import Callback

    class Stop(Callback):
        def __init__(self, at):
            self.at = at

        def step(self, record):
            return record.step == self.at

    whole = run("whole", 3)
    for stop in (3, 10, 14):
        assert run("parts", 3, stop) != whole
    assert run("parts", 3) == whole


def test_sources_upon_sources(ragged):
    data = BlockExamples(ArrayBlocks(ragged[0], np.arange(40), rows=7), batch_size=6, seed=4)
    again = Repeated(Ahead(data), 20)
    for k in range(40):
        mine, theirs = again.batch(*divmod(k, 20)), data.batch(*divmod(k, len(data)))
        np.testing.assert_array_equal(mine.targets, theirs.targets)
