"""Text to audio: sounds that are what they are said to be, spectra that see no future, and a quick run."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("threadpoolctl")

from benchmarks.experiments.sounds import audio, synthesis
from rnn_core.data.files import read_waveforms


def test_a_resonance_is_at_its_formant_and_leaves_a_constant():
    from scipy.signal import freqz

    b, a = synthesis.resonance(700, 80)
    assert sum(b) / sum(a) == pytest.approx(1)
    hertz, gain = freqz(b, a, worN=4000, fs=synthesis.RATE)
    assert hertz[np.abs(gain).argmax()] == pytest.approx(700, abs=10)


def test_a_glide_moves_from_the_formants_of_one_vowel_to_those_of_the_other():
    by = synthesis.Voice(100, 0.0, 1.0, 0.0, 0.0, 0.3, 60, 1.0)
    sound = synthesis.glide("ia", by, np.random.default_rng(0))
    assert sound.shape == (synthesis.RATE,)
    assert np.abs(sound).max() <= 1

    def first_formant(part):
        power = np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2
        hertz = np.fft.rfftfreq(len(part), 1 / synthesis.RATE)
        low = (hertz > 150) & (hertz < 1000)
        return (hertz[low] * power[low]).sum() / power[low].sum()

    quarter = len(sound) // 4
    assert first_formant(sound[:quarter]) < 400
    assert first_formant(sound[-quarter:]) > 600


def test_files_are_read_back_and_are_the_same_each_time(tmp_path):
    for name in ("one", "two"):
        synthesis.write_glides(tmp_path / name, 2, seed=3)
    one, two = (read_waveforms(tmp_path / name) for name in ("one", "two"))
    assert one.classes == tuple(sorted(synthesis.GLIDES))
    assert (len(one.rows), one.rate) == (16, synthesis.RATE)
    assert all(np.array_equal(a, b) for a, b in zip(one.rows, two.rows, strict=True))
    assert len({row.tobytes() for row in one.rows}) == 16


def test_a_column_of_the_spectrogram_sees_no_future():
    rng = np.random.default_rng(0)
    samples = rng.standard_normal(10 * audio.FRAME)
    before = audio.spectrogram(samples)
    assert before.shape == (10, audio.WINDOW // 2 + 1)
    samples[6 * audio.FRAME :] = 0
    after = audio.spectrogram(samples)
    np.testing.assert_array_equal(after[:6], before[:6])
    assert not np.array_equal(after[6], before[6])


def test_a_quick_run_compares_both_ways_with_every_control():
    outcome = audio.run(True, 1, lambda _: None)
    found = outcome.as_dict()
    json.dumps(found, allow_nan=False)
    assert list(found["results"]) == ["waveform", "spectrogram"]
    for results in found["results"].values():
        assert results["protocol"]["core"] == ["rnn.weight_hh_*"]
        arms = [arm["name"] for arm in results["protocol"]["arms"]]
        assert arms == ["carried", "carried, one rate", "scratch", *audio.CONTROLS]
        assert [row["against"] for row in results["beside controls"]] == list(audio.CONTROLS)
    assert found["claims"] == []
    assert found["markdown"].count("\n") == 1 + len(arms)


def test_a_claim_wants_more_than_scratch(monkeypatch):
    class Found:
        sizes = (16,)

        def difference(self, arm, size, against="scratch"):
            verdict = "inconclusive" if against == "matched core" else "positive"
            return type("D", (), {"verdict": verdict, "said": lambda self, digits: "+1.0"})()

    (claim,) = audio.claims_of("waveform", Found())
    assert not claim.holds
    assert "+1.0 on matched core" in claim.found
