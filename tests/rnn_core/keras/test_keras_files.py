"""Files written by hand, in the forms of Keras 2 and 3; what is no model of ours, or no file, is refused by name."""

from __future__ import annotations

import json
import os
import zipfile

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")

from rnn_core import LSTM, SequenceClassifier
from rnn_core.formats import load_keras
from transfer import copy_parameters

from .by_hand import (
    F,
    archive_of,
    both_ways,
    dense,
    described,
    document,
    embedding,
    numbers,
    recurrent,
    write_h5,
    write_keras,
    zipped,
)

V, D, H, T = 20, 4, 3, 5
TOKENS = np.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def lstm(x, weights, mask=None):
    """Keras's LSTM, in its own words, in float64; masked steps pass the state on."""
    kernel, recurrent_kernel, bias = weights
    h = c = np.zeros((len(x), recurrent_kernel.shape[0]))
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent_kernel + bias, 4, axis=1)
        c_new = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h_new = sigmoid(o) * np.tanh(c_new)
        kept = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
        h, c = np.where(kept, h_new, h), np.where(kept, c_new, c)
    return h


def gru(x, weights, reset_after):
    """Keras's GRU: blocks z, r and the candidate, and two rows of biases with reset_after."""
    kernel, recurrent_kernel, bias = weights
    h, H = np.zeros((len(x), recurrent_kernel.shape[0])), recurrent_kernel.shape[0]
    b, b_h = bias if reset_after else (bias, np.zeros_like(bias))
    for t in range(x.shape[1]):
        a, s = x[:, t] @ kernel + b, h @ recurrent_kernel + b_h
        z, r = sigmoid(a[:, :H] + s[:, :H]), sigmoid(a[:, H : 2 * H] + s[:, H : 2 * H])
        product = r * s[:, 2 * H :] if reset_after else (r * h) @ recurrent_kernel[:, 2 * H :]
        h = z * h + (1 - z) * np.tanh(a[:, 2 * H :] + product)
    return h


def of_document(layers, tokens, mask_zero=False):
    """What the model of document 001 says."""
    (table,), weights, (kernel, bias) = (one[2] for one in layers)
    h = lstm(table[tokens].astype(float), weights, tokens != 0 if mask_zero else None)
    return sigmoid(h @ kernel + bias)


WRITERS = {"h5": write_h5, "keras": write_keras}


@pytest.fixture(params=WRITERS)
def write(request, tmp_path):
    """Write layers as either kind of file."""

    def written(layers, **options):
        return WRITERS[request.param](tmp_path / f"model.{request.param}", layers, **options)

    return written


# ── Document 001 ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_model_of_document_001_says_what_its_equations_say(write):
    layers = document(V, D, H, input_length=T)
    chain = load_keras(write(layers, first=[None, T]), backend="numpy")
    y, (h, c) = chain(TOKENS)
    np.testing.assert_allclose(y, of_document(layers, TOKENS), rtol=0, atol=1e-6)
    assert (y.shape, h.shape, c.shape) == ((2, 1), (1, 2, H), (1, 2, H))
    np.testing.assert_array_equal(chain.parameters["rnn.weight_ih_l0"], layers[1][2][0].T)
    model = chain.as_model(SequenceClassifier)
    np.testing.assert_allclose(model.predict_proba(TOKENS), y[:, 0], rtol=0, atol=1e-6)


def test_its_best_model_goes_straight_into_copy_parameters(write):
    layers = document(V, D, H)
    chain = load_keras(write(layers), backend="numpy")
    sizes = {"vocab_size": V, "embedding_size": D, "backend": "numpy", "seed": 0}
    target = SequenceClassifier(1, H, **sizes)
    report = copy_parameters(chain, target)
    assert {row.status for row in report.rows} == {"copied"}
    np.testing.assert_array_equal(target.parameters["head.weight"], layers[2][2][0].T)
    np.testing.assert_allclose(target.predict_proba(TOKENS), of_document(layers, TOKENS)[:, 0], atol=1e-6)

    three = SequenceClassifier(3, H, **sizes)
    with pytest.raises(ValueError, match=r"got head.weight \(1, 3\) for \(3, 3\)|head.weight"):
        copy_parameters(chain, three)
    copy_parameters(chain, three, exclude="head")
    np.testing.assert_array_equal(three.parameters["rnn.weight_hh_l0"], layers[1][2][1].T)

    words = [f"word {n}" for n in range(V)]
    report = copy_parameters(chain, SequenceClassifier(1, H, **sizes), vocabulary=(words, words[::-1]))
    assert report.rows[0].status == "mapped"
    report = copy_parameters(chain, LSTM(D, H, backend="numpy"), rename={"rnn.*": "*"})
    assert {row.status for row in report.rows} == {"copied"}


@pytest.mark.parametrize("side", ["left", "right", "middle"])
def test_mask_zero_passes_over_padding(write, side):
    layers, tokens = document(V, D, H, mask_zero=True), TOKENS.copy()
    tokens[0, {"left": slice(0, 2), "right": slice(3, 5), "middle": slice(1, 4)}[side]] = 0
    tokens[1] = 0 if side == "middle" else tokens[1]
    y, _ = load_keras(write(layers), backend="numpy")(tokens)
    np.testing.assert_allclose(y, of_document(layers, tokens, mask_zero=True), rtol=0, atol=1e-6)


@pytest.mark.parametrize("reset_after", [True, False])
def test_the_blocks_of_a_gru(write, reset_after):
    layers = [recurrent("GRU", D, H, reset_after=reset_after)]
    x = numbers(2, T, D)
    y, _ = load_keras(write(layers, first=[None, None, D]), backend="numpy")(x)
    np.testing.assert_allclose(y, gru(x.astype(float), layers[0][2], reset_after), rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave"])
def test_both_ways(write, mode):
    layers, x = [both_ways("LSTM", D, H, mode), dense(2 * H if mode == "concat" else H, 2)], numbers(2, T, D)
    weights = layers[0][2]
    forward, backward = lstm(x.astype(float), weights[:3]), lstm(x[:, ::-1].astype(float), weights[3:])
    merged = {"concat": np.concatenate([forward, backward], 1), "sum": forward + backward, "mul": forward * backward,
              "ave": (forward + backward) / 2}[mode]  # fmt: skip
    kernel, bias = layers[1][2]
    y, _ = load_keras(write(layers), backend="numpy")(x)
    np.testing.assert_allclose(y, merged @ kernel + bias, rtol=0, atol=1e-6)


def test_the_masked_steps_of_a_tagger_and_its_states(tmp_path):
    layers = [embedding(V, D, mask_zero=True), recurrent("LSTM", D, H, return_sequences=True), dense(H, 2)]
    chain = load_keras(write_h5(tmp_path / "a.h5", layers), backend="numpy")
    whole, _ = chain(np.array([[3, 1, 4]]))
    padded, (h, c) = chain(np.array([[0, 3, 0, 1, 4, 0], [0, 0, 0, 0, 0, 0]]))
    np.testing.assert_allclose(padded[0, [1, 3, 4]], whole[0], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(padded[0, [2, 5]], padded[0, [1, 4]])  # what was said last is carried
    np.testing.assert_array_equal(padded[1], np.broadcast_to(layers[2][2][1], (6, 2)))
    assert not h[:, 1].any()
    given = np.ones((1, 2, H), F)
    _, (h, c) = chain(np.array([[0, 3], [0, 0]]), (given, given))
    np.testing.assert_array_equal([h[:, 1], c[:, 1]], np.ones((2, 1, H)))
    lengths = chain(np.array([[3, 1, 4, 7]]), None, np.array([3]))[0]
    np.testing.assert_allclose(lengths[0, :3], whole[0], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(lengths[0, 3], lengths[0, 2])


def test_weights_of_older_and_of_the_earliest_keras_archives(tmp_path):
    layers = document(V, D, H)
    model = json.dumps(described(layers, modern=True))
    for root in ("layers", "_layer_checkpoint_dependencies"):
        path = tmp_path / "model.keras"
        path.write_bytes(zipped({"config.json": model, "model.weights.h5": archive_of(layers, root)}))
        np.testing.assert_allclose(load_keras(path, backend="numpy")(TOKENS)[0], of_document(layers, TOKENS), atol=1e-6)


# ── What is no model of ours ─────────────────────────────────────────────────────────────────────────────────────────

LSTM_WITH = {
    "hard sigmoid": ({"recurrent_activation": "hard_sigmoid"}, "recurrent_activation must be sigmoid.*'hard_sigmoid'"),
    "another activation": ({"activation": "relu"}, "activation must be tanh, as layers of ours have it, got 'relu'"),
    "code": ({"activation": {"class_name": "__lambda__", "config": {"code": "4wE"}}}, "of its own, '__lambda__'"),
    "stateful": ({"stateful": True}, "stateful must be false, got true; a chain hands states out"),
    "states": ({"return_state": True}, "return_state must be false"),
    "time first": ({"time_major": True}, "time_major must be false"),
    "half": ({"dtype": {"class_name": "Policy", "config": {"name": "mixed_float16"}}}, "dtype policy.*'mixed_float16'"),
    "no size": ({"units": "many"}, "units must be a size, at least 1, got 'many'"),
    "beyond memory": ({"units": 10**13}, "units must be a size, at least 1, got 10000000000000"),
    "larger": ({"units": 10**9}, r"kernel must have shape \(4, 4000000000\), got \(4, 12\)"),
    "no flag": ({"use_bias": "yes"}, "use_bias must be true or false, got 'yes'"),
}  # fmt: skip


@pytest.mark.parametrize("what", LSTM_WITH)
def test_a_setting_that_no_layer_of_ours_has_is_named(write, what):
    config, message = LSTM_WITH[what]
    layers = document(V, D, H)
    layers[1] = (layers[1][0], layers[1][1] | config, layers[1][2])
    with pytest.raises(ValueError, match=rf"^load_keras: layer 'lstm' \(LSTM\) of .*: .*{message}"):
        load_keras(write(layers))


OTHERS = {
    "Lambda": ({"function": {"class_name": "__lambda__", "config": {"code": "4wEAAA=="}}}, "never run"),
    "Attention": ({}, "its class must be one that docs/keras.md lists, got 'Attention'"),
    "Sequential": ({"layers": []}, "got 'Sequential'"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_layer_that_is_not_ours_is_named(write, kind):
    config, message = OTHERS[kind]
    layers = document(V, D, H)
    layers.insert(1, (kind, config | {"name": "odd"}, []))
    with pytest.raises(ValueError, match=rf"layer 'odd' \({kind}\) of .*{message}"):
        load_keras(write(layers))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"module": "my_package.layers"}, "layer 'lstm' .*one of the module 'my_package.layers'"),
        ({"registered_name": "mine>LSTM"}, "layer 'lstm' .*registered as 'mine>LSTM'"),
        ({"class_name": 3}, "a layer must be described by class_name and config"),
        ({"config": None}, "must have a config, got None"),
    ],
)
def test_a_class_of_the_users_own_is_named_even_by_the_name_of_ours(tmp_path, change, message):
    layers = document(V, D, H)
    model = described(layers, modern=True)
    model["config"]["layers"][1] |= change
    with pytest.raises(ValueError, match=message):
        load_keras(write_keras(tmp_path / "model.keras", layers, model=model))


@pytest.mark.parametrize("model", [{"class_name": "Mine", "config": {}}, [], "x", {"class_name": "Sequential"},
                                   {"class_name": "Sequential", "config": {"layers": []}},
                                   {"class_name": "Functional", "config": {"layers": [{}]}}])  # fmt: skip
def test_no_model_that_is_known(tmp_path, model):
    path = write_keras(tmp_path / "model.keras", document(), model=model)
    with pytest.raises(ValueError, match=r"^load_keras: '.*model.keras' can't be read: "):
        load_keras(path)


def test_directions_that_differ_and_modes_are_named(write):
    kind, config, weights = both_ways("GRU", D, H, reset_after=False)
    other = {"class_name": "GRU", "config": config["layer"]["config"] | {"go_backwards": True, "reset_after": True}}
    for change, message in (
        ({"backward_layer": other}, "both directions must be alike, got reset_after that differ"),
        ({"backward_layer": config["layer"]}, "its backward_layer backwards"),
        ({"merge_mode": None}, "merge_mode must be concat, sum, mul or ave, got None"),
        ({"layer": {"class_name": "RNN", "config": {}}}, "the layer within it must be one of SimpleRNN, GRU, LSTM"),
    ):
        with pytest.raises(ValueError, match=message):
            load_keras(write([(kind, config | change, weights)]))


# ── Weights that are missing, misshapen or elsewhere ─────────────────────────────────────────────────────────────────


def damaged(tmp_path, change):
    """Change an .h5 file's group of the LSTM, and return the error."""
    path = write_h5(tmp_path / "model.h5", document(V, D, H))
    with h5py.File(path, "r+") as file:
        change(file["model_weights/lstm"], file)
    with pytest.raises(ValueError, match=r"^load_keras: layer 'lstm' \(LSTM\) of ") as caught:
        load_keras(path)
    return str(caught.value)


PLACE = "lstm/lstm_cell/kernel:0"


def put(data):
    def change(group, file):
        del group[PLACE]
        group[PLACE] = data

    return change


def test_weights_that_do_not_fit_are_named(tmp_path):
    assert "kernel must have shape (4, 12), got (5, 12)" in damaged(tmp_path, put(np.zeros((5, 12), F)))
    assert "kernel must be float32, got float16" in damaged(tmp_path, put(np.zeros((D, 12), np.float16)))
    assert "kernel must be float32, got |S1" in damaged(tmp_path, put(np.full((D, 12), b"x")))

    def remove(group, file):
        del group[PLACE]

    assert "and nothing is there" in damaged(tmp_path, remove)

    def fewer(group, file):
        group.attrs["weight_names"] = [b"lstm/lstm_cell/kernel:0"]

    assert "must be kernel, recurrent_kernel, bias, got 'lstm/lstm_cell/kernel:0'" in damaged(tmp_path, fewer)

    def none(group, file):
        del group.attrs["weight_names"]

    assert "must have the attribute weight_names" in damaged(tmp_path, none)


def test_weights_that_are_not_finite_are_refused(write):
    layers = document(V, D, H)
    layers[1][2][0][1, 2] = np.nan
    with pytest.raises(ValueError, match="^load_keras: .*must be finite, got nan"):
        load_keras(write(layers))


def test_links_that_lead_elsewhere_are_not_followed(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["kernel"] = np.zeros((D, 12), F)
    for link in (h5py.ExternalLink(str(tmp_path / "secret.h5"), "kernel"), h5py.SoftLink("/model_weights/dense")):
        assert "in the file itself, got a link that leads elsewhere" in damaged(tmp_path, put(link))


def test_data_in_other_files_are_not_read(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(4 * D * 12))

    def external(group, file):
        del group[PLACE]
        group.create_dataset(PLACE, (D, 12), "f4", external=[(str(tmp_path / "secret"), 0, 4 * D * 12)])

    assert "got data that lie in another" in damaged(tmp_path, external)

    def virtual(group, file):
        del group[PLACE]
        layout = h5py.VirtualLayout((D, 12), "f4")
        layout[...] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "kernel", (D, 12))
        group.create_virtual_dataset(PLACE, layout)

    assert "got data that lie in another" in damaged(tmp_path, virtual)


def test_shapes_that_no_bytes_stand_for_are_not_made(tmp_path):
    units = 10**8
    layers = document(V, D, H)
    layers[1] = (layers[1][0], layers[1][1] | {"units": units}, layers[1][2])
    path = write_h5(tmp_path / "model.h5", layers)
    with h5py.File(path, "r+") as file:
        group = file["model_weights/lstm"]
        del group[PLACE]
        group.create_dataset(PLACE, (D, 4 * units), "f4", chunks=(1, 1000), compression="gzip")
    assert os.path.getsize(path) < 1 << 20
    with pytest.raises(ValueError, match=r"kernel must have a number for each place .* the file is too small for it"):
        load_keras(path)


# ── What is no whole file ────────────────────────────────────────────────────────────────────────────────────────────


def test_weights_alone_are_no_model(tmp_path):
    with h5py.File(write_h5(tmp_path / "old.h5", document(V, D, H)), "r+") as file:
        del file.attrs["model_config"]
        file.attrs["layer_names"] = [b"lstm"]
    (tmp_path / "new.weights.h5").write_bytes(archive_of(document(V, D, H)))
    for name in ("old.h5", "new.weights.h5"):
        with pytest.raises(ValueError, match=r"must be a file of a whole model, got .*which holds weights alone"):
            load_keras(tmp_path / name)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(ValueError, match="an HDF5 file without model_config"):
        load_keras(tmp_path / "other.h5")


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_file_cut_short_anywhere_is_refused(tmp_path, suffix):
    path = WRITERS[suffix](tmp_path / f"model.{suffix}", document(V, D, H))
    data = path.read_bytes()
    for end in range(0, len(data), len(data) // 40):
        path.write_bytes(data[:end])
        with pytest.raises(ValueError, match="load_keras: ") as caught:
            load_keras(path, backend="numpy")
        assert "\n" not in str(caught.value)


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(zipped({"config.json": b" " * (1 << 26), "model.weights.h5": b""}, zipfile.ZIP_DEFLATED))
    with pytest.raises(ValueError, match="config.json claims 67,108,864 bytes, which no such file can stand for"):
        load_keras(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "which is empty"),
        (zipped({"archive/data.pkl": b"x"}), r"which is a file of torch.save \(.pt, .pth\)"),
        (b"\x80\x04\x95 pickled", "which is a pickle"),
        (b"some words", "which is something else"),
        (zipped({"config.json": b"{", "model.weights.h5": b""}), "config.json in .*model.keras' must be JSON"),
        (zipped({"config.json": b"{}", "model.weights.h5": b"x"}), "must hold whole HDF5"),
        (zipped({"config.json": b"[" * 100_000, "model.weights.h5": b"x"}), "JSON of a sensible depth"),
    ],
)
def test_other_files_are_called_by_what_they_are(tmp_path, data, message):
    (tmp_path / "model.keras").write_bytes(data)
    with pytest.raises(ValueError, match=f"^load_keras: .*model.keras.*{message}|^load_keras: .*{message}"):
        load_keras(tmp_path / "model.keras")


def test_a_missing_file_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError, match="load_keras: .*can't be read: No such file"):
        load_keras(tmp_path / "none.h5")
    with pytest.raises(TypeError, match="path must be a path"):
        load_keras(3.5)
