"""A folder that stands for the model in it: written, read, and as it was where that fails."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors import safe_open

from rnn_core import LSTM, LanguageModel, SequenceClassifier, load, save
from rnn_core.data import Tokenizer
from rnn_core.weights import read_arrays, read_metadata


def classifier() -> SequenceClassifier:
    return SequenceClassifier(2, hidden_size=3, input_size=2, backend="numpy", seed=0)


@pytest.mark.parametrize("kind", ["there", "slash", "path"])
def test_a_folder_is_all_that_load_needs(kind, tmp_path):
    folder = tmp_path / "model"
    if kind != "slash":
        folder.mkdir()
    tokenizer = Tokenizer().fit(["a b"])
    model = LanguageModel(len(tokenizer), 4, backend="numpy", seed=0)
    save(model, f"{folder}/" if kind == "slash" else folder if kind == "path" else str(folder), tokenizer=tokenizer)
    assert [one.name for one in folder.iterdir()] == ["model.safetensors"]
    again = load(folder, backend="numpy")
    assert again.tokenizer.to_dict() == tokenizer.to_dict()
    for name, array in model.parameters.items():
        np.testing.assert_array_equal(again.parameters[name], array)


def test_a_folder_holds_the_bytes_of_the_file(tmp_path):
    save(classifier(), tmp_path / "one.safetensors", classes=["no", "yes"])
    save(classifier(), f"{tmp_path / 'folder'}/", classes=["no", "yes"])
    inside = tmp_path / "folder" / "model.safetensors"
    assert inside.read_bytes() == (tmp_path / "one.safetensors").read_bytes()
    assert read_metadata(tmp_path / "folder") == read_metadata(inside)
    assert {*read_arrays(tmp_path / "folder")} == {*classifier().parameters}
    with safe_open(inside, framework="numpy") as file:
        assert json.loads(file.metadata()["config"])["hidden_size"] == 3


def test_other_files_stay_as_they_are_and_the_model_is_replaced(tmp_path):
    (tmp_path / "config.json").write_text("not ours")
    save({"a": np.zeros(2)}, tmp_path)
    save({"a": np.ones(2)}, tmp_path)
    assert read_arrays(tmp_path)["a"].tolist() == [1, 1]
    assert (tmp_path / "config.json").read_text() == "not ours"
    assert len([*tmp_path.iterdir()]) == 2


def test_what_fails_leaves_no_folder(tmp_path, monkeypatch):
    bad = LSTM(2, 3, backend="numpy", seed=0)
    bad.parameters["weight_ih_l0"][0, 0] = np.nan
    with pytest.raises(ValueError, match="weight_ih_l0"):
        save(bad, f"{tmp_path / 'bad'}/")

    def full(*args, **options):
        raise OSError("no room")

    monkeypatch.setattr("rnn_core.weights.saving.write_atomically", full)
    with pytest.raises(OSError, match="no room"):
        save(classifier(), f"{tmp_path / 'full'}/")
    assert not [*tmp_path.iterdir()]


def test_folders_that_can_not_be(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"it is a folder, and must have model\.safetensors in it"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match="the folder .* can't be made"):
        save(classifier(), f"{tmp_path / 'none' / 'deep'}/")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileExistsError, match="the folder .* can't be made"):
        save(classifier(), f"{tmp_path / 'file'}/")


def test_a_damaged_file_is_named_by_its_path_in_the_folder(tmp_path):
    save(classifier(), tmp_path)
    inside = tmp_path / "model.safetensors"
    data = bytearray(inside.read_bytes())
    data[-1] ^= 1
    inside.write_bytes(data)
    with pytest.raises(ValueError, match=r"model\.safetensors.* is damaged"):
        load(tmp_path)
