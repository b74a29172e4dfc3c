"""`rnn-core demo`: a tiny run from the first gradient to the last picture, its options and its errors."""

from __future__ import annotations

import base64
import json
import re
import struct
import subprocess
import sys

import numpy as np
import pytest

from rnn_core import GRU, LSTM, RNN, LanguageModel, cli, load
from rnn_core.data import Tokenizer
from rnn_core.showing.page import table
from transfer.demo import characters, run, vanishing
from transfer.demo.corpus import different, load_corpus
from transfer.demo.digits import DigitsStudy, move
from transfer.demo.settings import QUICK, DigitsSettings, with_seeds
from transfer.showing.judged import badge


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A quick run that has ended: its exit code and its folder."""
    folder = tmp_path_factory.mktemp("demo")
    return cli.main(["demo", "--quick", "--workers", "1", "--out", str(folder)]), folder


def test_it_succeeds_and_writes_everything(finished) -> None:
    code, folder = finished
    assert code == 0
    names = {path.name for path in folder.iterdir()}
    assert {"report.html", "results.json", "digits-source.safetensors", "characters-tuned.safetensors"} <= names
    assert len([name for name in names if name.endswith(".png")]) == 6
    assert not [name for name in names if name.endswith(".part")]


def test_the_report_is_one_file_with_its_pictures_inside(finished) -> None:
    _, folder = finished
    page = (folder / "report.html").read_text(encoding="utf-8")
    pictures = re.findall(r'<img alt="([^"]+)" src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == page.count("<img") == 6
    for alt, data in pictures:
        assert len(alt) > 10
        png = base64.b64decode(data)
        assert png.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", png[16:24])
        assert min(width, height) > 300
    assert not re.search(r'(src|href)="(?!#|data:)', page)  # nothing from a network, nor from beside it
    assert "Its numbers mean nothing" in page
    cards = re.findall(r'<div class="card">(.*?)</div>', page)
    said = ["A quick run, whose numbers mean nothing:" in card for card in cards]
    assert said == [False, True, True, True]  # the gradients are checked in earnest


def test_the_results_hold_seeds_protocol_scores_and_verdicts(finished) -> None:
    _, folder = finished
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert results["settings"]["quick"] is True
    assert results["versions"]["numpy"] == np.__version__
    digits = results["digits"]
    assert len(digits["runs"]) == QUICK.digits.seeds * len(QUICK.digits.shots) * 5
    assert {difference["verdict"] for difference in digits["differences"]} <= {
        "positive", "negative", "inconclusive", "NEGATIVE TRANSFER",
    }  # fmt: skip
    assert "other seeds" in results["protocol"]["settings"]
    assert all(len(norms) == QUICK.fading_steps + 1 for norms in results["fading gradient"].values())


def test_the_weights_can_be_loaded_and_used_with_their_tokenizer(finished) -> None:
    _, folder = finished
    model = load(folder / "characters-tuned.safetensors")
    tokens = Tokenizer.from_dict(json.loads((folder / "characters-tuned.tokens.json").read_text(encoding="utf-8")))
    drawn = model.generate(tokens.encode("Return "), 5, rng=0)
    assert len(tokens.decode(drawn)) >= 1


def test_ctrl_c_names_the_checkpoint_and_resume_goes_on(finished, tmp_path, monkeypatch, capsys) -> None:
    steps = iter(range(1000))

    def interrupted(*args, **options):
        if next(steps) == 5:
            raise KeyboardInterrupt
        return step(*args, **options)

    step = LanguageModel.loss_and_gradients
    arguments = ["demo", "--quick", "--workers", "1", "--out", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(run, "_digits", lambda *a: (None, None))
        patch.setattr(LanguageModel, "loss_and_gradients", interrupted)
        assert cli.main(arguments) == 130
    error = capsys.readouterr().err
    checkpoint = tmp_path / "checkpoint" / "last.safetensors"
    assert f"the checkpoint {checkpoint} stands: go on with `rnn-core demo --quick --out {tmp_path} --resume`" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "report.html").exists()
    assert cli.main([*arguments, "--resume"]) == 0
    assert (tmp_path / "report.html").exists()
    _, whole = finished
    source = "characters-source.safetensors"
    assert (tmp_path / source).read_bytes() == (whole / source).read_bytes()


def test_ctrl_c_before_the_first_checkpoint_says_so(tmp_path, monkeypatch, capsys) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_gradients", interrupt)
    assert cli.main(["demo", "--quick", "--out", str(tmp_path), "--seeds", "3"]) == 130
    error = capsys.readouterr().err
    assert f"before the first checkpoint; `rnn-core demo --quick --out {tmp_path} --seeds 3` begins again" in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "1"], "--seeds must be at least 2"),
        (["--workers", "0"], "--workers must be at least 1, got 0"),
        (["--resume"], "--resume must find a checkpoint, got none"),
    ],
)
def test_bad_options_are_one_line(arguments, message, tmp_path, capsys) -> None:
    assert cli.main(["demo", "--quick", "--out", str(tmp_path), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_folder_that_cannot_be_written_to_ends_it_before_anything_is_computed(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(run, "_compute", lambda *a: pytest.fail("computed"))
    file = tmp_path / "file"
    file.write_text("in the way", encoding="utf-8")
    assert cli.main(["demo", "--quick", "--out", str(file / "below")]) == 2
    assert "--out must be a folder that can be written to" in capsys.readouterr().err
    assert file.read_text(encoding="utf-8") == "in the way"


def test_a_missing_package_names_the_extra(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert cli.main(["demo", "--quick", "--out", str(tmp_path)]) == 2
    assert 'pip install "rnn_core[report]"' in capsys.readouterr().err


def test_importing_transfer_imports_no_pictures() -> None:
    code = "import transfer, transfer.demo, sys; print([m for m in ('matplotlib', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_target_images_are_apart_and_balanced() -> None:
    study = DigitsStudy.of(DigitsSettings())
    shots, again, other = study.shots(2, 0), study.shots(2, 0), study.shots(2, 1)
    np.testing.assert_array_equal(shots.x, again.x)
    assert not np.array_equal(shots.x, other.x)
    assert np.bincount(shots.label).tolist() == [2] * 5
    seen = {image.tobytes() for image in study.shots(50, 0).x}
    assert not seen.intersection(image.tobytes() for image in study.test.x)


def test_moved_images_are_the_same_a_pixel_away() -> None:
    images = np.random.default_rng(0).random((40, 8, 8))
    moved = move(images, np.random.default_rng(1))
    middle = moved[:, 1:-1, 1:-1]
    places = set()
    for image, found in zip(images, middle, strict=True):
        ways = [(i, j) for i in range(3) for j in range(3) if np.array_equal(image[i : i + 6, j : j + 6], found)]
        assert len(ways) == 1
        places.update(ways)
    assert len(places) == 9
    np.testing.assert_array_equal(moved, move(images, np.random.default_rng(1)))


def test_the_texts_share_nothing() -> None:
    corpus = load_corpus(QUICK.characters)
    assert corpus.training_text(300, 0) == corpus.training_text(300, 0)
    assert corpus.training_text(300, 0) != corpus.training_text(300, 1)
    assert len(corpus.training_text(300, 0)) == 300
    for held_out in (corpus.test, corpus.validation):
        assert held_out[:50] not in corpus.source


@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_the_gradient_norms_are_exact(kind) -> None:
    """‖∂L/∂h_t‖ is what the rest of the sequence, run as a sequence of its own, says of its initial state."""
    rng = np.random.default_rng(0)
    layer = kind(3, 4, backend="numpy", dtype=np.float64, seed=0)
    x, dh_T = rng.standard_normal((6, 2, 3)), rng.standard_normal((1, 2, 4))
    norms = vanishing.gradient_norms(layer, x, dh_T)
    for t in range(6):
        state = layer(x[:t])[1] if t else None
        _, _, tape = layer.forward(x[t:], state)
        _, dstate, _ = layer.backward(tape, None, (dh_T, None) if kind is LSTM else dh_T)
        dh = dstate[0] if kind is LSTM else dstate
        np.testing.assert_allclose(norms[t], np.linalg.norm(dh[0], axis=-1), rtol=1e-12)


def test_the_gradient_fades_and_an_open_gate_keeps_it() -> None:
    """At the last step the norm is 1 by definition; a fresh RNN's falls monotonically, many decades in 30 steps."""
    norms = {curve.label: curve.values for curve in vanishing.fading(30)}
    for name, values in norms.items():
        assert values[-1] == pytest.approx(1), name
    assert norms["RNN"][0] < 1e-4
    assert norms["LSTM, forget gate open"][0] > 0.01


def test_documents_that_repeat_one_another_are_left_out() -> None:
    source, other = "ab" * 40, "cd" * 40
    kept, dropped = different([other, "x" + other[:60], "before " + source[:55], "short"], source)
    assert (kept, dropped) == ([other, "short"], 2)


def test_a_python_without_docstrings_is_told_so(monkeypatch) -> None:
    monkeypatch.setattr("transfer.demo.corpus.docstrings", lambda modules: ["only one"])
    with pytest.raises(RuntimeError, match="run Python without -OO"):
        load_corpus(QUICK.characters)


def test_frequencies_alone_give_the_entropy() -> None:
    assert characters.unigram_bits("abab", "ab" * 5000) == pytest.approx(1, abs=1e-3)


def test_tables_escape_what_is_not_markup() -> None:
    made = table(("a<b",), [("1 < 2",), (badge("positive"),)])
    assert "a&lt;b" in made
    assert "1 &lt; 2" in made
    assert '<span class="badge good">positive</span>' in made


def test_seeds_can_be_chosen() -> None:
    assert with_seeds(QUICK, None) is QUICK
    chosen = with_seeds(QUICK, 6)
    assert (chosen.digits.seeds, chosen.characters.seeds) == (6, 2)


def test_a_character_is_worth_what_a_straight_line_says() -> None:
    scratch = np.array([4.0, 3.0, 2.0])
    assert characters.equivalent_size((100, 1000, 10000), scratch, 2.5) == pytest.approx(10**3.5)
    assert characters.equivalent_size((100, 1000, 10000), scratch, 1.9) is None
