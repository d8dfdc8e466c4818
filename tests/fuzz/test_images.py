"""Image files with faults, lying headers, absurd sizes."""

import resource
import struct
import tempfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import strategies as st

from ov_xai import InputError
from ov_xai.runtime.image_size import MAX_PIXELS, image_size
from ov_xai.runtime.images import read_image
from tests.fuzz import mutations
from tests.fuzz.bench import check, require_order, short_and_long, unfinished

COLOURS = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)
EXTENTS = [b"\xff\xff", b"\0\0", b"\x7f\xff", b"\xff\x7f", b"\x20\x4e", b"\x4e\x20"]
EXTENTS += [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\xea\x60", b"\x60\xea\0\0", b"\0\0\0\0"]


def encoded(suffix, pixels):
    """Return an image file."""
    done, data = cv2.imencode(suffix, pixels)
    assert done
    return data.tobytes()


def encoded_animation(suffix):
    """Return a file of two frames."""
    animation = cv2.Animation()
    animation.frames = [COLOURS[:, :, :3].copy(), COLOURS[::-1, :, :3].copy()]
    animation.durations = [100, 100]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        assert cv2.imwriteanimation(str(path), animation)
        return path.read_bytes()


FILES = {
    "png": encoded(".png", COLOURS),
    "grey png": encoded(".png", COLOURS[:, :, 0]),
    "deep png": encoded(".png", COLOURS.astype(np.uint16) * 257),
    "moving png": encoded_animation(".png"),
    "jpeg": encoded(".jpg", COLOURS[:, :, :3]),
    "tiff": encoded(".tiff", COLOURS),
    "float tiff": encoded(".tiff", COLOURS[:, :, :3].astype(np.float32)),
    "webp": encoded(".webp", COLOURS),
    "moving webp": encoded_animation(".webp"),
    "gif": encoded(".gif", COLOURS[:, :, :3]),
    "moving gif": encoded_animation(".gif"),
    "bmp": encoded(".bmp", COLOURS[:, :, :3]),
}


def with_true_checksums(data):
    """Return a PNG file whose chunks have the checksum of what they hold, else no decoder looks at them."""
    result, position = data[:8], 8
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        chunk = data[position + 4 : position + 8 + length]
        result += data[position : position + 4] + chunk + struct.pack(">I", zlib.crc32(chunk))
        position += 12 + length
    return result


def spoilt(random, data):
    """Return an image file with faults, most of them in its header."""
    for _ in range(random.choice([0, 1, 1, 2, 4])):
        at = random.randrange(min(len(data), random.choice([32, 64, 200, len(data)])))
        extent = random.choice(EXTENTS)
        data = random.choice(
            [data[:at] + extent + data[at + len(extent) :], mutations.any_byte(random, data), data[: max(at, 12)]]
        )
    return with_true_checksums(data) if data.startswith(b"\x89PNG") else data


@pytest.fixture(scope="module")
def patched(models, tmp_path_factory):
    """Return the path of a patched model."""
    folder = tmp_path_factory.mktemp("patched")
    for suffix, data in zip((".xml", ".bin"), models["patched_mean"], strict=True):
        (folder / f"m{suffix}").write_bytes(data)
    return folder / "m.xml"


@short_and_long(10, 400)
def test_a_spoilt_image_is_explained_or_skipped(worker, patched, cases):
    options = st.sampled_from(["", "--report", "--no-process-saliency-maps", "--resize crop"])

    @check(cases, random=st.randoms(use_true_random=False), kind=st.sampled_from(list(FILES)), option=options)
    def _(random, kind, option):
        with tempfile.TemporaryDirectory() as name:
            source = Path(name) / "in"
            source.mkdir()
            for index in range(3):
                (source / f"{index}.png").write_bytes(spoilt(random, FILES[kind]))
            outcome = worker.run(f"explain -m {patched} -i in -o out {option}".split(), name)
            require_order(outcome)
            assert outcome.code in (0, 9)
            assert not unfinished(name)
            for picture in (Path(name) / "out").glob("*.png"):
                assert cv2.imread(str(picture)) is not None


def with_size(kind, width, height):
    """Return an image file that claims another size."""
    data = bytearray(FILES[kind])
    if kind == "png":
        data[16:24] = struct.pack(">II", width, height)
    if kind == "jpeg":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", height, width)
    if kind == "gif":
        data[6:10] = struct.pack("<HH", width, height)
    if kind == "bmp":
        data[18:26] = struct.pack("<ii", width, -height)
    if kind == "webp":  # a still picture has at most 16384 x 16384; the canvas of a moving one has no such limit
        data[8:] = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4)
        data += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    if kind == "tiff":
        start = struct.unpack_from("<I", data, 4)[0]
        for entry in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
            tag = struct.unpack_from("<H", data, entry)[0]
            if tag in (256, 257):
                data[entry + 2 : entry + 12] = struct.pack("<HII", 4, 1, width if tag == 256 else height)
    return with_true_checksums(bytes(data)) if kind == "png" else bytes(data)


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "bmp", "webp", "tiff"])
def test_a_bomb_is_refused_by_its_header(tmp_path, kind):
    path = tmp_path / "bomb.png"
    path.write_bytes(with_size(kind, 60000, 60000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=f"60000x60000 pixels; at most {MAX_PIXELS}"):
        read_image(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB; decoded it takes 10 GB


@pytest.mark.parametrize("kind", FILES)
def test_the_size_in_the_header_is_found(kind):
    assert image_size(memoryview(FILES[kind])) == (30, 20)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tiff", ".webp", ".gif", ".bmp"])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (300, 2)])
def test_the_size_in_the_header_is_that_of_the_picture(suffix, size):
    data = encoded(suffix, np.zeros((size[1], size[0], 3), np.uint8))
    assert image_size(memoryview(data)) == size


@pytest.mark.parametrize("length", range(0, 60, 7))
@pytest.mark.parametrize("kind", FILES)
def test_a_header_that_is_cut_off_says_nothing_or_the_truth(kind, length):
    assert image_size(memoryview(FILES[kind][:length])) in (None, (30, 20))


@pytest.mark.parametrize("size", [(1, 1), (1, 20000), (20000, 1)])
def test_absurd_sizes_are_explained(worker, patched, tmp_path, size):
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "x.png"), np.full((size[1], size[0], 3), 90, np.uint8))
    for resize in ("standard", "fit_to_window_letterbox", "crop"):
        outcome = worker.run(f"explain -m {patched} -i in -o {resize} --report --resize {resize}".split(), tmp_path)
        assert outcome.code == 0, outcome.err
        overlay = cv2.imread(str(next((tmp_path / resize).glob("*_overlay_img.png"))))
        assert overlay.shape == (size[1], size[0], 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pixels_that_are_no_numbers_are_read_as_some(tmp_path, dtype):
    pixels = COLOURS[:, :, :3].astype(dtype)
    pixels[:5], pixels[5:10], pixels[10:15] = np.nan, np.inf, -np.inf
    (tmp_path / "x.tiff").write_bytes(encoded(".tiff", pixels))
    try:
        found = read_image(tmp_path / "x.tiff")
    except InputError:
        return
    assert (found.dtype, found.shape) == (np.uint8, (20, 30, 3))
