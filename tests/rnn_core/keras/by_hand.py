"""Files of Keras's, written by h5py alone, in the form of Keras 2 (.h5, .keras) and of Keras 3 (.keras)."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np

F = np.float32
DATE = (1980, 1, 1, 0, 0, 0)
NAMES = {"Embedding": ("embeddings",), "Dense": ("kernel", "bias")}
SNAKES = {"SimpleRNN": "simple_rnn", "TimeDistributed": "time_distributed", "InputLayer": "input_layer"}


def numbers(*shape, seed=0):
    return (0.5 * np.random.default_rng(seed).standard_normal(shape)).astype(F)


def embedding(V, D, seed=1, **config):
    """An Embedding, as (class, config, weights)."""
    return "Embedding", {"input_dim": V, "output_dim": D, "mask_zero": False} | config, [numbers(V, D, seed=seed)]


def dense(I, O, activation="linear", seed=2, **config):
    """A Dense."""
    found = "Dense", {"units": O, "activation": activation, "use_bias": True} | config
    return *found, [numbers(I, O, seed=seed), numbers(O, seed=seed + 50)]


def recurrent(kind, I, H, seed=3, **config):
    """A SimpleRNN, LSTM or GRU."""
    G = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}[kind]
    config = {"units": H, "activation": "tanh", "use_bias": True, "return_sequences": False, "return_state": False,
              "go_backwards": False, "stateful": False} | config  # fmt: skip
    if kind != "SimpleRNN":
        config.setdefault("recurrent_activation", "sigmoid")
    if kind == "GRU":
        config.setdefault("reset_after", True)
    rows = (2, G * H) if config.get("reset_after") else (G * H,)
    weights = [numbers(I, G * H, seed=seed), numbers(H, G * H, seed=seed + 50), numbers(*rows, seed=seed + 100)]
    return kind, config, weights[: 2 + config["use_bias"]]


def document(V=20, D=4, H=3, **config):
    """The model of document 001: Embedding, LSTM, one sigmoid."""
    return [embedding(V, D, **config), recurrent("LSTM", D, H), dense(H, 1, "sigmoid")]


def both_ways(kind, I, H, mode="concat", seed=7, **config):
    """A Bidirectional over such a layer."""
    _, inner, forward = recurrent(kind, I, H, seed, **config)
    backward = recurrent(kind, I, H, seed + 7, **config)[2]
    layer = {"module": "keras.layers", "class_name": kind, "config": {"name": f"forward_{kind.lower()}"} | inner,
             "registered_name": None}  # fmt: skip
    return "Bidirectional", {"merge_mode": mode, "layer": layer}, [*forward, *backward]


def described(layers, first=None, modern=False):
    """Return a Sequential model's description, its layers' names, and those of their weights."""
    counts: dict[str, int] = {}
    entries = []
    for kind, config, _ in layers:
        snake = SNAKES.get(kind, kind.lower())
        n = counts[snake] = counts.get(snake, -1) + 1
        config = {"name": f"{snake}_{n}" if n else snake, "trainable": True, "dtype": "float32"} | config
        entries.append({"class_name": kind, "config": config} | ({"module": "keras.layers"} if modern else {}))
    if first is not None:
        entries[0]["config"]["batch_input_shape"] = first
    whole = {"class_name": "Sequential", "config": {"name": "sequential", "layers": entries}}
    return whole | ({"module": "keras", "registered_name": None} if modern else {})


def write_h5(path, layers, first=None, model=None, cell="lstm_cell"):
    """Write a Sequential model as `tf.keras` 2 does, and return the path, or the bytes for an open file."""
    import h5py

    model = described(layers, first) if model is None else model
    entries = [one for one in model["config"]["layers"] if one["class_name"] not in ("NotEqual", "Any")]
    with h5py.File(path, "w") as file:
        file.attrs["backend"], file.attrs["keras_version"] = "tensorflow", "2.15.0"
        file.attrs["model_config"] = json.dumps(model)
        groups = file.create_group("model_weights")
        groups.attrs["layer_names"] = [one["config"]["name"].encode() for one in entries]
        for (kind, _, weights), entry in zip(layers, entries, strict=True):
            name = entry["config"]["name"]
            group, places = groups.create_group(name), weight_names(kind, name, weights, cell)
            group.attrs["weight_names"] = [place.encode() for place in places]
            for place, array in zip(places, weights, strict=True):
                group[place] = array
    return path


def weight_names(kind, name, weights, cell="lstm_cell"):
    """Return where `tf.keras` 2 puts a layer's weights within its group."""
    if kind in NAMES:
        return [f"{name}/{one}:0" for one in NAMES[kind][: len(weights)]]
    each = [f"{cell}/{one}:0" for one in ("kernel", "recurrent_kernel", "bias")]
    if kind == "Bidirectional":
        count = len(weights) // 2
        return [f"{name}/{way}_layer/{one}" for way in ("forward", "backward") for one in each[:count]]
    return [f"{name}/{one}" for one in each[: len(weights)]]


def archive_of(layers, root="layers"):
    """Return model.weights.h5 as Keras 3 writes it."""
    import h5py

    stream, counts = io.BytesIO(), dict[str, int]()
    with h5py.File(stream, "w") as file:
        for kind, _, weights in layers:
            snake = SNAKES.get(kind, kind.lower())
            n = counts[snake] = counts.get(snake, -1) + 1
            group = f"{root}/{snake}_{n}" if n else f"{root}/{snake}"
            inner = [""] if kind in ("Embedding", "Dense", "InputLayer", "Dropout", "Masking") else ["/cell"]
            inner = ["/forward_layer/cell", "/backward_layer/cell"] if kind == "Bidirectional" else inner
            file.create_group(f"{group}/vars")
            for k, part in enumerate(inner):
                some = weights[k * len(weights) // len(inner) : (k + 1) * len(weights) // len(inner)]
                place = file.require_group(f"{group}{part}/vars")
                for number, array in enumerate(some):
                    place[str(number)] = array
    return stream.getvalue()


def zipped(members, method=zipfile.ZIP_STORED):
    """Return an archive's bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, DATE)
            info.compress_type = method
            archive.writestr(info, data)
    return stream.getvalue()


def write_keras(path, layers, first=None, model=None):
    """Write a Sequential model as Keras 3 does, and return the path."""
    model = described(layers, first, modern=True) if model is None else model
    path.write_bytes(zipped({"metadata.json": '{"keras_version": "3.15.1"}', "config.json": json.dumps(model),
                             "model.weights.h5": archive_of(layers)}))  # fmt: skip
    return path
