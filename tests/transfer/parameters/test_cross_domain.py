"""Across domains: recurrent weights alone, and controls that keep one property of them each."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import GRU, LSTM, LanguageModel, SequenceClassifier, quantize
from rnn_core.data import Examples, TextStream, Tokenizer
from rnn_core.training import Adam, fit
from tests.model_cases import CELLS, classifier, language_model, tokens_classifier
from transfer import Arm, Study, compare
from transfer.comparing.arms import CROSS_DOMAIN_ARMS
from transfer.parameters.cross_domain import CONTROLS, copy_recurrent, matched, rotated, scrambled

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


def same(a, b):
    """Return the names of the parameters that have the same bits in two models."""
    return {name for name in a.parameters if a.parameters[name].tobytes() == b.parameters[name].tobytes()}


def gates(model, name):
    return np.split(model.parameters[name], model.gate_blocks[name])


def singular(matrix):
    return np.linalg.svd(matrix, compute_uv=False)


# ── Copying the recurrent weights alone ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_only_the_recurrent_weights_cross_over(cell, biases):
    source, target = language_model(cell=cell), classifier(cell=cell, seed=9)
    before = target.state_dict()
    report = copy_recurrent(source, target, biases=biases)
    for name, array in target.parameters.items():
        crosses = "weight_hh" in name or (biases and name.startswith("rnn.bias"))
        expected = source.parameters[name] if crosses else before[name]
        np.testing.assert_array_equal(array, expected)
        assert report[name].status == ("copied" if crosses else "skipped" if name in source.parameters else "fresh")
    assert not (before["rnn.weight_hh_l0"] == target.parameters["rnn.weight_hh_l0"]).any()


def test_rows_to_characters():
    """From rows of pixels to characters: features below, tokens above."""
    source = SequenceClassifier(5, 6, input_size=8, seed=0)
    target = LanguageModel(30, 6, seed=1)
    before = target.state_dict()
    copy_recurrent(source.state_dict(), target)
    assert (target.parameters["rnn.weight_hh_l0"] == source.parameters["rnn.weight_hh_l0"]).all()
    assert all((target.parameters[name] == before[name]).all() for name in before if name != "rnn.weight_hh_l0")


def test_layers_will_do():
    source, target = GRU(3, 4, seed=0), GRU(7, 4, seed=1)
    copy_recurrent(source, target)
    assert (target.parameters["weight_hh_l0"] == source.parameters["weight_hh_l0"]).all()
    assert target.parameters["weight_ih_l0"].shape == (12, 7)


@pytest.mark.parametrize(
    "source, target, says",
    [
        (GRU(3, 4), LSTM(3, 4), "copy_recurrent: source must have the target's cell, LSTM, got GRU; build the target"),
        (language_model(cell="rnn"), classifier(cell="gru"), "must have the target's cell, GRU, got RNN"),
        (GRU(3, 4).state_dict(), LSTM(3, 4), "source must have the target's shapes"),
        (GRU(3, 4), GRU(3, 5), "source must have the target's shapes"),
    ],
)
def test_cores_must_be_alike(source, target, says):
    before = target.state_dict()
    with pytest.raises(ValueError, match=says):
        copy_recurrent(source, target)
    assert all((target.parameters[name] == before[name]).all() for name in before)


def test_a_target_has_a_core():
    with pytest.raises(TypeError, match="copy_recurrent: target must be a model or a layer, got dict"):
        copy_recurrent(GRU(3, 4), {})


# ── Controls ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_control_changes_what_was_chosen_and_nothing_else(cell, control, dtype):
    model = tokens_classifier(cell=cell, dtype=dtype)
    model.frozen = frozenset(["head.bias"])
    before = model.state_dict()
    twin = CONTROLS[control](model, seed=3)
    assert all((model.parameters[name] == before[name]).all() for name in before)
    changed = {"rnn.weight_hh_l0", "rnn.weight_hh_l1"}
    assert same(twin, model) == set(before) - changed
    assert all(not (twin.parameters[name] == before[name]).all() for name in changed)
    assert all(array.dtype == dtype for array in twin.parameters.values())
    assert twin.frozen == model.frozen
    again, other = (CONTROLS[control](model, seed=seed) for seed in (3, 4))
    assert same(again, twin) == set(before)
    assert same(other, twin) == set(before) - changed


@pytest.mark.parametrize("cell", CELLS)
def test_scrambling_keeps_the_entries(cell):
    model = tokens_classifier(cell=cell)
    twin = scrambled(model, "rnn.*", seed=0)
    for name in model.parameters:
        a, b = (np.sort(m.parameters[name], axis=None) for m in (model, twin))
        np.testing.assert_array_equal(a, b)
    spectra = [singular(m.parameters["rnn.weight_hh_l0"]) for m in (model, twin)]
    assert not np.allclose(*spectra)


@pytest.mark.parametrize("cell", CELLS)
def test_a_match_keeps_singular_values(cell):
    model = tokens_classifier(cell=cell, bidirectional=True)
    twin = matched(model, "rnn.*", seed=0)
    for name in model.groups["rnn.l0"] + model.groups["rnn.l1"]:
        assert model.gate_blocks[name] == GATES[cell]
        parts = zip(gates(model, name), gates(twin, name), strict=True)
        for pair in [(model.parameters[name], twin.parameters[name]), *parts]:
            a, b = (array.reshape(len(array), -1) for array in pair)  # a vector is a matrix of one column
            np.testing.assert_allclose(singular(b), singular(a), rtol=1e-12, atol=1e-12)
            assert np.abs(a - b).max() > 1e-3
    if cell == "rnn":
        moduli = [np.sort(abs(np.linalg.eigvals(m.parameters["rnn.weight_hh_l0"]))) for m in (model, twin)]
        assert not np.allclose(*moduli), "these are what `rotated` keeps"


@pytest.mark.parametrize("cell", CELLS)
def test_a_rotation_keeps_eigenvalues_and_singular_values(cell):
    model = tokens_classifier(cell=cell)
    twin = rotated(model, seed=0)
    for name in ("rnn.weight_hh_l0", "rnn.weight_hh_l1"):
        for a, b in zip(gates(model, name), gates(twin, name), strict=True):
            np.testing.assert_allclose(singular(b), singular(a), rtol=1e-12, atol=1e-12)
            # Characteristic polynomials: eigenvalues in an order that rounding can't upset.
            np.testing.assert_allclose(np.poly(b), np.poly(a), rtol=1e-11, atol=1e-12)
            assert np.abs(a - b).max() > 1e-3


def test_random_rotations_are_uniform():
    """Each entry of a uniform orthogonal 2 × 2 matrix has mean 0 and mean square 1/2; QR's own signs would show."""
    model = SequenceClassifier(2, 2, input_size=1, cell="rnn", dtype=np.float64, seed=0)
    model.parameters["rnn.weight_hh_l0"][...] = np.eye(2)
    drawn = np.stack([matched(model, seed=seed).parameters["rnn.weight_hh_l0"] for seed in range(400)])
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.15)  # four standard errors
    np.testing.assert_allclose((drawn**2).mean(axis=0), 0.5, atol=0.08)


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: scrambled(GRU(2, 3), seed=0), TypeError, "scrambled: model must be a Model, .* got GRU"),
        (lambda: matched(classifier(), "core", seed=0), ValueError, "matched: patterns must match .*, got 'core'"),
        (lambda: matched(classifier(), seed=-1), ValueError, "matched: seed must be at least 0, got -1"),
        (lambda: scrambled(classifier(), seed=0.5), TypeError, "scrambled: seed must be an int, got 0.5"),
        (
            lambda: rotated(classifier(), "rnn.weight_ih_l0", seed=0),
            ValueError,
            r"rotated: patterns must choose square gate blocks, got 4×2 in rnn\.weight_ih_l0; the recurrent weights",
        ),
    ],
)
def test_arguments_are_checked(call, error, says):
    with pytest.raises(error, match=says):
        call()


# ── From text to waveforms, with controls ────────────────────────────────────────────────────────────────────────────

PROSE = "the cat sat on the mat, and the dog sat on the log. "


class TextToWaveform(Study):
    """A language model's recurrent weights, under a classifier of waveforms: sine, square or sawtooth."""

    core = "rnn.weight_hh_*"
    metric = "accuracy"

    def pretrain(self, seed, shuffled):
        letters = Tokenizer("char", padding=False).fit(PROSE)
        tokens = np.array(letters.encode(PROSE * 4))
        if shuffled:
            tokens = np.random.default_rng(seed).permutation(tokens)
        model = LanguageModel(len(letters), 8, cell="gru", seed=seed + 100)
        fit(model, TextStream(tokens, batch_size=4, steps=13), optimizer=Adam(1e-2), epochs=2, progress=False)
        return model

    def build(self, seed):
        return SequenceClassifier(3, 8, input_size=1, cell="gru", seed=seed)

    def train(self, model, plan, size, seed):
        data = Examples(*self.waves(seed, size), batch_size=8, seed=seed)
        fit(model, data, optimizer=Adam(1e-2), epochs=3, updates=plan.resolve(model), progress=False)

    def score(self, model):
        x, y = self.waves(999, 60)
        return np.mean(model.predict(x) == y)

    @staticmethod
    def waves(seed, size):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 3, size)
        t = rng.uniform(0, 1, (size, 1)) + rng.uniform(0.05, 0.1, (size, 1)) * np.arange(24)
        shapes = np.stack([np.sin(2 * np.pi * t), np.sign(np.sin(2 * np.pi * t)), 2 * (t % 1) - 1])
        x = shapes[y, np.arange(size)] + 0.1 * rng.standard_normal(t.shape)
        return x[..., None].astype(np.float32), y


class Watched(TextToWaveform):
    """Trains no target, and keeps what each arm begins from."""

    def __init__(self):
        self.begun, self.pretrained = [], []

    def pretrain(self, seed, shuffled):
        self.pretrained.append(shuffled)
        return super().pretrain(seed, shuffled)

    def train(self, model, plan, size, seed):
        self.begun.append(model.state_dict())

    def score(self, model):
        return float(len(self.begun))


def test_each_arm_begins_from_its_own_core():
    study = Watched()
    arms = [*CROSS_DOMAIN_ARMS, Arm("rotated core", "rotated"), Arm("shuffled text", "shuffled")]
    compare(study, sizes=[6], seeds=1, arms=arms)
    assert study.pretrained == [False, True], "one source serves the trained core and its controls"
    name = "rnn.weight_hh_l0"
    begun = dict(zip([arm.name for arm in arms], study.begun, strict=True))
    source = study.pretrain(0, False)
    np.testing.assert_array_equal(begun["fine-tuned"][name], source.parameters[name])
    for arm, control in (("scrambled core", scrambled), ("matched core", matched), ("rotated core", rotated)):
        np.testing.assert_array_equal(begun[arm][name], control(source, study.core, seed=0).parameters[name])
    cores = {array[name].tobytes() for array in study.begun}
    assert len(cores) == len(arms)
    for other in set(begun["scratch"]) - {name}:
        assert len({array[other].tobytes() for array in study.begun}) == 1, other


def test_text_to_waveforms_runs():
    comparison = compare(TextToWaveform(), sizes=[24], seeds=2, arms=CROSS_DOMAIN_ARMS)
    assert [arm.name for arm in comparison.arms] == ["fine-tuned", "scratch", "scrambled core", "matched core"]
    assert all(0 <= run.score <= 1 for run in comparison.runs)
    against = comparison.difference("fine-tuned", 24, against="scrambled core")
    assert len(against.gains) == 2
    assert comparison.as_dict()["protocol"]["arms"][2]["source"] == "scrambled"


def test_an_arm_names_a_source_that_there_is():
    with pytest.raises(ValueError, match="'scrambled', 'matched', 'rotated' or None, got 'random'"):
        Arm("x", "random")


@pytest.mark.parametrize("control", [scrambled, matched, rotated])
def test_there_are_no_controls_of_integers(control):
    with pytest.raises(TypeError, match=rf"^{control.__name__}: model must be in float32 .* quantized; "):
        control(quantize(LanguageModel(5, 4, seed=0)), seed=0)
