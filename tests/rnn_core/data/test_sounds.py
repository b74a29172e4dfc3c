"""Sounds, byte by byte: every kind of WAV file, damaged ones, FLAC and OGG, other rates."""

from __future__ import annotations

import struct
import sys
import warnings

import numpy as np
import pytest

from rnn_core.data.files import read_waveforms

TONE = np.sin(np.arange(40) / 3)

READERS = ("soundfile", "scipy", "neither")


@pytest.fixture(params=READERS)
def reader(request, monkeypatch) -> str:
    """Take away what is installed beside the reader that is to be tried."""
    if request.param == "soundfile":
        pytest.importorskip("soundfile")
    else:
        monkeypatch.setitem(sys.modules, "soundfile", None)
    if request.param == "neither":
        monkeypatch.setitem(sys.modules, "scipy.io", None)
    return request.param


def chunk(name: bytes, data: bytes, size: int | None = None, pad: bool = True) -> bytes:
    return name + struct.pack("<I", len(data) if size is None else size) + data + b"\0" * (len(data) % 2 and pad)


def form(code: int, width: int, channels: int = 1, rate: int = 8000, bits: int | None = None) -> bytes:
    block = width * channels
    return struct.pack("<HHIIHH", code, channels, rate, rate * block, block, 8 * width if bits is None else bits)


def write(path, *chunks: bytes, mark: bytes = b"RIFF"):
    path.parent.mkdir(parents=True, exist_ok=True)
    body = b"WAVE" + b"".join(chunks)
    path.write_bytes(mark + struct.pack("<I", len(body)) + body)
    return path


def pcm(samples: np.ndarray, width: int) -> bytes:
    """Samples from −1 to 1 as integers of so many bytes, the least first; those of one byte have no sign."""
    scaled = np.round(samples * (2 ** (8 * min(width, 6) - 1) - 1)).astype(np.int64) << 8 * (width - min(width, 6))
    low = (scaled + 128 * (width == 1))[..., None].view(np.uint8)[..., :width]
    return np.ascontiguousarray(low).tobytes()


def samples(path, **options) -> np.ndarray:
    return read_waveforms(path, labelled=False, **options).rows[0][:, 0]


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_pcm_of_every_width_whatever_is_installed(tmp_path, reader, width) -> None:
    stereo = np.stack([TONE, -TONE], axis=1)[:31]
    write(tmp_path / "low" / "a.wav", chunk(b"fmt ", form(1, width)), chunk(b"data", pcm(TONE, width)))
    write(tmp_path / "high" / "b.WAV", chunk(b"fmt ", form(1, width, 2)), chunk(b"data", pcm(stereo, width)))
    found = read_waveforms(tmp_path, frame=4)
    assert (found.inputs.shape, found.rate, found.classes) == ((2, 10, 4), 8000, ("high", "low"))
    assert (found.lengths.tolist(), found.places) == ([7, 10], ("high/b.WAV", "low/a.wav"))
    assert np.abs(found.rows[1].reshape(-1) - TONE).max() < 2.0 ** (2 - 8 * width) + 1e-6
    assert np.abs(found.rows[0]).max() <= 2.0 ** (1 - 8 * width) + 1e-6  # the channels cancel


def extensible(code: int, width: int) -> bytes:
    guid = struct.pack("<H", code) + b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
    return form(0xFFFE, width) + struct.pack("<HHI", 22, 8 * width, 4) + guid


@pytest.mark.parametrize("reader", READERS[:2], indirect=True)
@pytest.mark.parametrize(
    ("head", "data"),
    [
        (form(3, 4), TONE.astype("<f4").tobytes()),
        (form(3, 8), TONE.astype("<f8").tobytes()),
        (form(3, 4) + b"\0\0", TONE.astype("<f4").tobytes()),  # with the size of what follows, which is none
        (extensible(1, 2), pcm(TONE, 2)),
        (extensible(1, 3), pcm(TONE, 3)),
        (extensible(3, 4), TONE.astype("<f4").tobytes()),
    ],
)
def test_floats_and_the_extensible_format(tmp_path, reader, head, data) -> None:
    path = write(tmp_path / "a.wav", chunk(b"fmt ", head), chunk(b"fact", b"\x28\0\0\0"), chunk(b"data", data))
    assert np.abs(samples(path) - TONE).max() < 1e-4


def test_extensible_pcm_is_read_with_nothing_installed(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    path = write(tmp_path / "a.wav", chunk(b"fmt ", extensible(1, 2)), chunk(b"data", pcm(TONE, 2)))
    assert np.abs(samples(path) - TONE).max() < 1e-4
    floats = write(tmp_path / "b.wav", chunk(b"fmt ", form(3, 4)), chunk(b"data", TONE.astype("<f4").tobytes()))
    with pytest.raises(
        ValueError, match=r"b\.wav' must be .* decoded, got 32-bit float; pip install 'rnn_core\[audio\]'"
    ):
        samples(floats)


@pytest.mark.parametrize("width", [5, 8])
def test_pcm_of_40_and_64_bits(tmp_path, width) -> None:
    pytest.importorskip("scipy")
    path = write(tmp_path / "a.wav", chunk(b"fmt ", form(1, width)), chunk(b"data", pcm(TONE, width)))
    assert np.abs(samples(path) - TONE).max() < 1e-9


def test_mu_law_and_a_law(tmp_path, monkeypatch) -> None:
    """The codes of G.711 for the largest and for the smallest numbers, by hand."""
    for code, data, wanted in (
        (7, b"\x80\x00\xff\x7f", [32124, -32124, 0, 0]),
        (6, b"\xaa\x2a\xd5\x55", [32256, -32256, 8, -8]),
    ):
        path = write(tmp_path / "a.wav", chunk(b"fmt ", form(code, 1)), chunk(b"data", data))
        with monkeypatch.context() as without:
            without.setitem(sys.modules, "soundfile", None)
            with pytest.raises(
                ValueError, match=r"a\.wav' must be .* got 8-bit .-law \(.*\); pip install 'rnn_core\[audio"
            ):
                samples(path)
        pytest.importorskip("soundfile")
        assert (samples(path) * 2**15).tolist() == wanted


def test_rf64_and_big_endian(tmp_path, reader) -> None:
    data = pcm(TONE, 2)
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 0, len(data), len(TONE), 0))
    path = write(
        tmp_path / "a.wav", ds64, chunk(b"fmt ", form(1, 2)), chunk(b"data", data, 0xFFFFFFFF), b"junk", mark=b"RF64"
    )
    assert np.abs(samples(path) - TONE).max() < 1e-4
    if reader == "neither":
        return
    head = b"fmt " + struct.pack(">IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    body = b"WAVE" + head + b"data" + struct.pack(">I", len(data)) + np.frombuffer(data, "<i2").astype(">i2").tobytes()
    (tmp_path / "b.wav").write_bytes(b"RIFX" + struct.pack(">I", len(body)) + body)
    assert np.abs(samples(tmp_path / "b.wav") - TONE).max() < 1e-4


@pytest.mark.parametrize("kind", ["IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32"])
def test_packed_samples_are_libsndfiles(tmp_path, kind) -> None:
    soundfile = pytest.importorskip("soundfile")
    if kind not in soundfile.available_subtypes("WAV"):
        pytest.skip("this libsndfile doesn't write it")
    soundfile.write(tmp_path / "a.wav", np.repeat(TONE, 200), 8000, subtype=kind)
    wanted, _ = soundfile.read(tmp_path / "a.wav")
    assert samples(tmp_path / "a.wav").tolist() == wanted.tolist()
    assert samples(tmp_path / "a.wav", max_steps=100).tolist() == wanted[:100].tolist()


# damaged and odd


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_what_was_streamed_is_read_as_far_as_it_goes(tmp_path, reader, size) -> None:
    path = write(tmp_path / "a.wav", chunk(b"fmt ", form(1, 2)), chunk(b"data", pcm(TONE, 2), size))
    assert np.abs(samples(path) - TONE).max() < 1e-4


def test_a_file_that_ends_early_is_told_with_its_numbers(tmp_path, reader) -> None:
    for name, size, more in (("a", 8000, b"\1"), ("b", 4000, b"\1"), ("c", 8, b"")):
        data = chunk(b"data", b"\1\0" * 4 + more, size, pad=False)
        write(tmp_path / name / "x.wav", chunk(b"fmt ", form(1, 2)), data)
    with pytest.warns(
        UserWarning, match=r"2 of 3 files end before .*x\.wav' has 4 of 4,000 samples; .* 4 of 2,000 samples"
    ):
        found = read_waveforms(tmp_path)
    assert [len(row) for row in found.rows] == [4, 4, 4]


def test_an_odd_chunk_without_its_pad_byte_before_what_was_streamed(tmp_path, reader) -> None:
    odd = chunk(b"LIST", b"abc", pad=False)
    path = write(tmp_path / "a.wav", chunk(b"fmt ", form(1, 2)), odd, chunk(b"data", pcm(TONE, 2), 0xFFFFFFFF))
    assert np.abs(samples(path) - TONE).max() < 1e-4


@pytest.mark.parametrize("pad", [True, False])
def test_an_odd_chunk_with_its_pad_byte_or_without(tmp_path, reader, pad) -> None:
    odd = chunk(b"LIST", b"INFOISFT\x03\0\0\0abc", pad=pad)
    path = write(tmp_path / "a.wav", odd, chunk(b"fmt ", form(1, 2)), odd, chunk(b"data", pcm(TONE, 2)), odd)
    assert np.abs(samples(path) - TONE).max() < 1e-4


def test_only_what_is_asked_for_is_read(tmp_path) -> None:
    path = write(tmp_path / "a.wav", chunk(b"fmt ", form(1, 2)), chunk(b"data", pcm(TONE, 2)))
    found = read_waveforms(path, frame=4, labelled=False, max_steps=3)
    assert (found.rows[0].shape, found.whole.tolist()) == ((3, 4), [10])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is missing
        assert read_waveforms(path, frame=50 - 10, labelled=False, max_steps=9).whole.tolist() == [1]


FMT = chunk(b"fmt ", form(1, 2))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"must be a WAV file, got one that is empty"),
        (b"no sound", r"must be a WAV file, got one that begins with b'no sound'"),
        (b"RIFF\0\0\0\0WAVE", r"must hold at least a sample, got neither a format nor data"),
        (b"RIFF\0\0\0\0WAVE" + FMT, r"must hold at least a sample, got none"),
        (b"RIFF\0\0\0\0WAVE" + FMT + chunk(b"data", b""), r"must hold at least a sample, got none"),
        (b"RIFF\0\0\0\0WAVE" + FMT + chunk(b"data", b"\1", 7, pad=False), r"must hold at least a sample, got none"),
        (b"RIFF\0\0\0\0WAVE" + chunk(b"data", b"\1\1"), r"must tell its format before its data, got no chunk 'fmt '"),
        (b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", b"\1\0\1\0"), r"must have 16 bytes of format, got 4"),
        (
            b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", form(1, 2, 0)),
            r"must have channels, a rate and bytes .* got 0 channels",
        ),
        (
            b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", form(1, 2, 1, 0)),
            r"must have channels, a rate and .*, 0 samples a second",
        ),
        (
            b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", form(999, 2)) + chunk(b"data", b"\1\1"),
            r"must be a WAV file that can be decoded, got 16-bit format 999 \(.*\); convert it to 16-bit PCM",
        ),
        (
            b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", form(3, 4)) + chunk(b"data", np.array([0, np.nan], "<f4").tobytes()),
            r"must hold finite numbers that float32 has, got nan as sample 1",
        ),
        (
            b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", form(3, 8)) + chunk(b"data", np.array([1e39], "<f8").tobytes()),
            r"must hold finite numbers that float32 has, got 1e\+39 as sample 0",
        ),
    ],
)
def test_broken_sounds_are_named_in_a_line(tmp_path, data, message) -> None:
    pytest.importorskip("soundfile")
    (tmp_path / "x.wav").write_bytes(data)
    with pytest.raises(ValueError, match=r"read_waveforms: '.*x\.wav' " + message) as caught:
        read_waveforms(tmp_path, labelled=False)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_no_mutated_header_ends_in_anything_else(tmp_path) -> None:
    whole = write(
        tmp_path / "a.wav", chunk(b"LIST", b"abc"), chunk(b"fmt ", extensible(3, 4)), chunk(b"data", b"\0" * 64)
    ).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        changed = np.frombuffer(whole, np.uint8).copy()
        places = rng.integers(0, len(whole), rng.integers(1, 4))
        changed[places] = rng.choice(np.array([0, 1, 255, 128, 7], np.uint8), len(places))
        (tmp_path / "a.wav").write_bytes(changed.tobytes()[: rng.integers(1, len(whole) + 1)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            try:
                read_waveforms(tmp_path, labelled=False)
            except ValueError as error:
                assert str(error).startswith("read_waveforms: '")
                assert "\n" not in str(error)


def test_what_can_not_be_decoded_is_no_sample(tmp_path) -> None:
    """Blocks are said to be larger than their samples are: a decoder may find fewer samples than there are blocks."""
    pytest.importorskip("soundfile")
    head = struct.pack("<HHIIHH", 1, 3, 8000, 16000, 2, 16)
    path = write(tmp_path / "a.wav", chunk(b"fmt ", head), chunk(b"data", bytes(18)))
    try:
        found = read_waveforms(path, labelled=False, frame=4, max_steps=9)
    except ValueError as error:
        assert "a.wav' must " in str(error)
    else:
        assert all(len(row) for row in found.rows)


# other formats, and other rates


@pytest.mark.parametrize("name", ["a.flac", "a.FLAC", "a.ogg"])
def test_flac_and_ogg(tmp_path, name, monkeypatch) -> None:
    soundfile = pytest.importorskip("soundfile")
    (tmp_path / "hum").mkdir()
    kind = name.rpartition(".")[2].upper()
    soundfile.write(tmp_path / "hum" / name, np.repeat(TONE, 50)[:, None] * [1, 0.5], 8000, format=kind)
    found = read_waveforms(tmp_path)
    assert (found.rows[0].shape, found.rate, found.classes) == ((2000, 1), 8000, ("hum",))
    assert np.abs(found.rows[0][:, 0] - 0.75 * np.repeat(TONE, 50)).max() < (1e-4 if kind == "FLAC" else 0.3)
    assert len(read_waveforms(tmp_path, max_steps=7).rows[0]) == 7
    data = (tmp_path / "hum" / name).read_bytes()
    (tmp_path / "hum" / name).write_bytes(data[:60])
    with pytest.raises(ValueError, match=r"' must (be a sound that can be decoded|hold at least a sample), got "):
        read_waveforms(tmp_path)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(RuntimeError, match=r"takes the package soundfile to read: pip install 'rnn_core\[audio\]'"):
        read_waveforms(tmp_path)


def test_two_rates_are_refused_or_resampled(tmp_path) -> None:
    pytest.importorskip("scipy")
    for name, rate, count in (("a", 8000, 800), ("b", 16000, 1600)):
        wave = np.sin(2 * np.pi * 200 * np.arange(count) / rate)
        write(tmp_path / name / "x.wav", chunk(b"fmt ", form(1, 2, 1, rate)), chunk(b"data", pcm(wave, 2)))
    with pytest.raises(ValueError, match=r"one rate, got 8000 in '.*' and 16000 in '.*'; rate=8000 res"):
        read_waveforms(tmp_path)
    found = read_waveforms(tmp_path, rate=8000)
    assert (found.rate, [len(row) for row in found.rows]) == (8000, [800, 800])
    assert np.abs(found.rows[0] - found.rows[1])[50:-50].max() < 1e-2  # one tone, heard twice
    cut = read_waveforms(tmp_path, rate=8000, max_steps=100)
    assert cut.rows[1].tolist() == found.rows[1][:100].tolist()
    assert cut.whole.tolist() == [800, 800]
    with pytest.raises(
        ValueError, match=r"must have a rate that 100 can be made of, .* got 8,000; is its header right"
    ):
        read_waveforms(tmp_path, rate=100)
    with pytest.raises(ValueError, match=r"rate must be a whole number of at least 1, got 0\.5"):
        read_waveforms(tmp_path, rate=0.5)


def test_resampling_says_what_it_takes(tmp_path, monkeypatch) -> None:
    write(tmp_path / "a.wav", chunk(b"fmt ", form(1, 2)), chunk(b"data", pcm(TONE, 2)))
    monkeypatch.setitem(sys.modules, "scipy.signal", None)
    with pytest.raises(RuntimeError, match=r"rate must be left out without the package scipy: pip install 'rnn_core"):
        read_waveforms(tmp_path, labelled=False, rate=4000)


def test_a_class_has_a_name(tmp_path) -> None:
    for name in ("low", "NA"):
        write(tmp_path / name / "a.wav", chunk(b"fmt ", form(1, 2)), chunk(b"data", bytes(18)))
    with pytest.raises(ValueError, match=r"must have subfolders named as classes, got 'NA', as pandas writes a mis"):
        read_waveforms(tmp_path)
    assert read_waveforms(tmp_path, keep_missing_labels=True).classes == ("NA", "low")
    (tmp_path / "NA").rename(tmp_path / " ")
    with pytest.raises(ValueError, match=r"must have subfolders named as classes, got ' '; rename it"):
        read_waveforms(tmp_path)


def test_waveforms_without_labels(tmp_path) -> None:
    for name in ("b.wav", "more/a.wav"):
        write(tmp_path / name, chunk(b"fmt ", form(1, 2)), chunk(b"data", bytes(18)))
    found = read_waveforms(tmp_path, frame=3, labelled=False)
    assert (found.labels, found.classes, found.places) == (None, (), ("b.wav", "more/a.wav"))
    assert read_waveforms(tmp_path / "b.wav", labelled=False).places == ("b.wav",)
    with pytest.raises(ValueError, match=r"path must be a folder with a subfolder for each class"):
        read_waveforms(tmp_path / "b.wav")
    with pytest.raises(ValueError, match=r"b\.wav' must hold at least 10 samples, got 9"):
        read_waveforms(tmp_path, frame=10, labelled=False)
    (tmp_path / "c.mp4").write_bytes(b"")
    with pytest.raises(ValueError, match=r"path must be a folder or one of \.wav, \.flac, \.ogg, got '.*c\.mp4'"):
        read_waveforms(tmp_path / "c.mp4", labelled=False)
