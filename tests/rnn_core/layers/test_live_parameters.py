"""What is assigned to a parameter's name is copied into the array that computes, or refused."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from rnn_core import GRU, LSTM, RNN, LanguageModel, SequenceClassifier, load, save
from rnn_core.layers import Embedding, Linear
from rnn_core.training import Adam, fit
from tests.model_cases import classifier, features, language_model, text

X = np.random.default_rng(0).standard_normal((5, 2, 3))


def fresh(array, seed=1):
    return np.random.default_rng(seed).standard_normal(array.shape).astype(array.dtype)


@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
@pytest.mark.parametrize("assign", [
    lambda layer, name, new: layer.parameters.__setitem__(name, new),
    lambda layer, name, new: layer.parameters.update({name: new}),
    lambda layer, name, new: layer.parameters.update(**{name: new}),
    lambda layer, name, new: layer.parameters.update([(name, new)]),
    lambda layer, name, new: layer.parameters.__ior__({name: new}),
])  # fmt: skip
def test_what_is_assigned_computes_and_is_saved(kind, assign, tmp_path):
    layer = kind(3, 4, dtype=np.float64, seed=0)
    array = layer.parameters["weight_hh_l0"]
    new = fresh(array)
    expected = kind(3, 4, dtype=np.float64, seed=0)
    expected.load_state_dict({**expected.state_dict(), "weight_hh_l0": new})
    assign(layer, "weight_hh_l0", new)
    assert layer.parameters["weight_hh_l0"] is array
    np.testing.assert_array_equal(layer(X)[0], expected(X)[0])
    new[...] = 0  # a copy was taken
    np.testing.assert_array_equal(layer(X)[0], expected(X)[0])
    save(layer, tmp_path / "a")
    np.testing.assert_array_equal(load(tmp_path / "a")(X)[0], expected(X)[0])


def test_a_models_dotted_names_and_its_layers_names_are_one_array():
    model, batch = classifier(), features()
    before = model(batch.inputs)
    model.parameters["rnn.weight_hh_l1"] = fresh(model.parameters["rnn.weight_hh_l1"])
    assert (model(batch.inputs) != before).all()
    new = fresh(model.head.parameters["bias"])
    model.head.parameters["bias"] = new
    np.testing.assert_array_equal(model.parameters["head.bias"], new)


def test_tied_weights_stay_tied():
    model = language_model(tied=True)
    new = fresh(model.parameters["embedding.weight"])
    model.head.parameters["weight"] = new
    for array in (model.parameters["embedding.weight"], model.embedding.parameters["weight"]):
        np.testing.assert_array_equal(array, new)
    with pytest.raises(ValueError, match=r"LanguageModel.parameters: names .* got 'head.weight'; there are embedding"):
        model.parameters["head.weight"] = new


def test_after_an_assignment_a_model_trains_on():
    model, twin = (LanguageModel(6, 4, seed=0) for _ in range(2))
    model.parameters["rnn.weight_hh_l0"] = 2 * model.parameters["rnn.weight_hh_l0"]
    twin.load_state_dict(model.state_dict())
    for one in (model, twin):
        fit(one, Batches(), optimizer=Adam(1e-2), epochs=2, progress=False)
    for name, array in model.parameters.items():
        np.testing.assert_array_equal(array, twin.parameters[name])


class Batches:
    def __len__(self):
        return 2

    def batch(self, epoch, index):
        return text(seed=index)


def test_what_was_changed_in_place_may_be_handed_back():
    layer = Linear(3, 2, seed=0)
    array, before = layer.parameters["weight"], layer.parameters["weight"].copy()
    layer.parameters["weight"] *= 2
    layer.parameters["weight"] = layer.parameters["weight"]
    assert layer.parameters["weight"] is array
    np.testing.assert_array_equal(array, 2 * before)


def views(layer):
    """New values that are views of the layer's own arrays, and of one another."""
    own, gate = layer.parameters, layer.parameters["weight_hh_l0"]
    return {
        "weight_ih_l0": own["weight_ih_l1"],
        "weight_ih_l1": own["weight_ih_l0"].T,
        "weight_hh_l0": gate[::-1, ::-1],
        "weight_hh_l1": gate,
        **{f"bias_{kind}_l{k}": gate[int(kind == "hh")] for kind in ("ih", "hh") for k in range(2)},
    }


@pytest.mark.parametrize("write", [
    lambda layer, values: layer.load_state_dict(values),
    lambda layer, values: layer.parameters.update(values),
])  # fmt: skip
def test_values_may_be_views_of_what_is_written(write):
    layer = RNN(4, 4, 2, seed=0)
    expected = {name: value.copy() for name, value in views(layer).items()}
    write(layer, views(layer))
    for name, value in expected.items():
        np.testing.assert_array_equal(layer.parameters[name], value, err_msg=name)
    assert not any(
        np.shares_memory(one, other)
        for k, one in enumerate(layer.parameters.values())
        for other in list(layer.parameters.values())[:k]
    )


@pytest.mark.parametrize(
    "value, error, says",
    [
        (np.zeros((8, 3), np.float32), ValueError, r"weight_hh_l0 must have shape \(16, 4\), got \(8, 3\)"),
        (0, ValueError, r"weight_hh_l0 must have shape \(16, 4\), got \(\)"),
        (np.zeros((16, 4)), TypeError, "must be float32 or narrower, got float64; .* build the LSTM with dtype"),
        (np.full((16, 4), np.nan, np.float32), ValueError, r"weight_hh_l0 must be finite, got nan at index \(0, 0\)"),
        ("new", TypeError, "weight_hh_l0 must be an array of numbers, got 'new'"),
        (None, TypeError, "weight_hh_l0 must be an array of numbers, got None"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_changes(value, error, says):
    layer = LSTM(3, 4, seed=0)
    before = layer.state_dict()
    with pytest.raises(error, match=f"^LSTM.parameters: .*{says}"):
        layer.parameters["weight_hh_l0"] = value
    with pytest.raises(error, match=says):  # all or none
        layer.parameters.update({"bias_hh_l0": np.ones(16, np.float32), "weight_hh_l0": value})
    for name, array in before.items():
        np.testing.assert_array_equal(layer.parameters[name], array)


@pytest.mark.parametrize("layer", [LSTM(3, 4), Linear(3, 4), Embedding(3, 4), classifier()])
@pytest.mark.parametrize(
    "call",
    [
        lambda p: p.__setitem__("wieght", np.zeros(3)),
        lambda p: p.update(wieght=np.zeros(3)),
        lambda p: p.setdefault("wieght", np.zeros(3)),
    ],
)
def test_an_unknown_name_is_refused(layer, call):
    names = list(layer.parameters)
    with pytest.raises(ValueError, match=r"\.parameters: names must be those of the parameters, got 'wieght'; there"):
        call(layer.parameters)
    assert list(layer.parameters) == names


@pytest.mark.parametrize(
    "call",
    [
        lambda p: p.__delitem__("weight"),
        lambda p: p.pop("weight"),
        lambda p: p.pop("weight", None),
        lambda p: p.popitem(),
        lambda p: p.clear(),
    ],
)
def test_no_parameter_can_be_taken_out(call):
    layer = Linear(3, 2)
    with pytest.raises(TypeError, match="Linear.parameters: parameters must stay, all 2 of them"):
        call(layer.parameters)
    assert list(layer.parameters) == ["weight", "bias"]


@pytest.mark.parametrize("layer", [LSTM(3, 4), Linear(3, 4), SequenceClassifier(2, 4, input_size=3)])
def test_the_arrays_of_a_layer_are_not_exchanged_as_a_whole(layer):
    says = f"{type(layer).__name__}.parameters: the arrays must stay.*load_state_dict"
    exchanged: list[dict] = [layer.state_dict(), {}]
    for arrays in exchanged:
        with pytest.raises(ValueError, match=says):
            layer.parameters = arrays
    layer.parameters = dict(layer.parameters)  # the same arrays


def test_copies_are_layers_of_their_own():
    layer = LSTM(3, 4, dtype=np.float64, seed=0)
    before = layer(X)[0]
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        twin.parameters["weight_hh_l0"] = fresh(twin.parameters["weight_hh_l0"])
        assert (twin(X)[0][1:] != before[1:]).all()
        with pytest.raises(TypeError, match="LSTM.parameters: parameters must stay"):
            twin.parameters.clear()
    np.testing.assert_array_equal(layer(X)[0], before)
