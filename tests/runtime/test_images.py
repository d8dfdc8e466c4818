"""Reading and finding images."""

import os
import zlib

import cv2
import numpy as np
import pytest

from ov_xai import InputError
from ov_xai.runtime.images import find_images, natural_key, read_image, unique_stems

RED_LEFT = np.zeros((8, 12, 3), np.uint8)
RED_LEFT[:, :6] = (200, 20, 30)
RED_LEFT[:, 6:] = (10, 20, 220)


def exif_jpeg(image, orientation):
    """Return a JPEG file whose EXIF says how the camera was held."""
    _, encoded = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])
    tiff = b"II*\0\x08\0\0\0" + b"\x01\0" + b"\x12\x01\x03\0\x01\0\0\0" + bytes([orientation, 0, 0, 0]) + b"\0\0\0\0"
    payload = b"Exif\0\0" + tiff
    segment = b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload
    data = encoded.tobytes()
    return data[:2] + segment + data[2:]


#: What each EXIF orientation does to bring the stored picture upright.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_applied(tmp_path, orientation):
    big = np.kron(RED_LEFT, np.ones((4, 4, 1), np.uint8))
    big[:8] = 250
    path = tmp_path / "photo.jpg"
    path.write_bytes(exif_jpeg(big, orientation))
    expected = UPRIGHT[orientation](big)
    found = read_image(path)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 8


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".webp"])
def test_colours_are_rgb(tmp_path, suffix):
    path = tmp_path / f"photo{suffix}"
    cv2.imwrite(str(path), RED_LEFT[:, :, ::-1], [cv2.IMWRITE_WEBP_QUALITY, 101])
    assert np.abs(read_image(path).astype(int) - RED_LEFT).max() <= 2


def test_grey_becomes_rgb(tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), RED_LEFT[:, :, 0])
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.repeat(RED_LEFT[:, :, :1], 3, 2))


def test_sixteen_bits_become_eight(tmp_path):
    for suffix in (".png", ".tiff"):
        path = tmp_path / f"deep{suffix}"
        cv2.imwrite(str(path), RED_LEFT[:, :, ::-1].astype(np.uint16) * 257)
        assert np.abs(read_image(path).astype(int) - RED_LEFT).max() <= 1


def test_transparency_is_laid_over_white(tmp_path):
    alpha = np.full((*RED_LEFT.shape[:2], 1), 255, np.uint8)
    alpha[:4] = 0
    cv2.imwrite(str(tmp_path / "clear.png"), np.concatenate([RED_LEFT[:, :, ::-1], alpha], 2))
    found = read_image(tmp_path / "clear.png")
    assert (found[:4] == 255).all()
    np.testing.assert_array_equal(found[4:], RED_LEFT[4:])


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_transparency_turns_with_the_picture(tmp_path, orientation):
    stored = np.random.default_rng(0).integers(0, 256, (6, 9, 4), dtype=np.uint8)
    stored[:3, :4, 3] = 0
    exif = b"II*\0\x08\0\0\0" + b"\x01\0" + b"\x12\x01\x03\0\x01\0\0\0" + bytes([orientation, 0, 0, 0]) + b"\0" * 4
    _, encoded = cv2.imencode(".png", stored[:, :, [2, 1, 0, 3]])
    data = encoded.tobytes()
    chunk = b"eXIf" + exif
    chunk = len(exif).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    (tmp_path / "photo.png").write_bytes(data[:33] + chunk + data[33:])
    alpha = stored[:, :, 3:] / 255
    expected = UPRIGHT[orientation](np.rint(stored[:, :, :3] * alpha + 255 * (1 - alpha)))
    found = read_image(tmp_path / "photo.png")
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1


def test_the_first_frame_of_an_animation_is_read(tmp_path):
    animation = cv2.Animation()
    animation.frames = [RED_LEFT[:, :, ::-1].copy(), np.zeros_like(RED_LEFT)]
    animation.durations = [100, 100]
    assert cv2.imwriteanimation(str(tmp_path / "moving.gif"), animation)
    found = read_image(tmp_path / "moving.gif")  # the palette of a GIF is dithered
    for half in (np.s_[:, :6], np.s_[:, 6:]):
        assert np.abs(found[half].mean((0, 1)) - RED_LEFT[half].mean((0, 1))).max() < 25


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_what_is_not_an_image_is_said_so(tmp_path, content):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"photo\.jpg"):
        read_image(path)


def test_natural_order():
    assert sorted(["b10", "B2", "b1", "a"], key=natural_key) == ["a", "b1", "B2", "b10"]


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), RED_LEFT) if path.suffix != ".txt" else path.write_text("x")


def test_folders_are_walked_in_natural_order_without_the_output(tmp_path):
    make(tmp_path, "b/2.png", "b/10.png", "1.png", "notes.txt", "out/old.png")
    found = [str(image.path.relative_to(tmp_path)) for image in find_images(tmp_path, tmp_path / "out")]
    assert found == ["1.png", "b/2.png", "b/10.png"]


def found_in(folder):
    return [image.path.relative_to(folder).as_posix() for image in find_images(folder)]


def test_links_are_followed_but_not_in_circles(tmp_path):
    make(tmp_path, "elsewhere/1.png", "elsewhere/deep/2.png", "in/3.png")
    inside = tmp_path / "in"
    (inside / "linked").symlink_to(tmp_path / "elsewhere")
    (inside / "photo.png").symlink_to(tmp_path / "elsewhere" / "1.png")
    (inside / "self").symlink_to(inside)
    (tmp_path / "elsewhere" / "up").symlink_to(inside)
    assert found_in(inside) == ["3.png", "photo.png", "linked/1.png", "linked/deep/2.png"]


def test_a_link_to_nothing_is_an_image_that_cannot_be_read(tmp_path):
    make(tmp_path, "1.png")
    for name in ("gone.png", "gone", "gone.txt"):
        (tmp_path / name).symlink_to(tmp_path / "nowhere")
    (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
    assert found_in(tmp_path) == ["1.png", "circle.png", "gone", "gone.png"]
    for name in ("gone.png", "circle.png"):
        with pytest.raises(InputError, match=name):
            read_image(tmp_path / name)


def test_a_pipe_is_no_image(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert found_in(tmp_path) == []
    with pytest.raises(InputError, match="regular"):
        read_image(tmp_path / "pipe.png")


def test_a_missing_input_is_said_so(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        list(find_images(tmp_path / "nowhere"))


def test_stems_of_a_folder_are_unique():
    names = ["a.jpg", "a.png", "A.bmp", "b.jpg", "a.jpg.png"]
    stems = unique_stems(names)
    assert set(stems) == set(names)
    assert len({stem.casefold() for stem in stems.values()}) == len(names)
    assert stems["b.jpg"] == "b"
