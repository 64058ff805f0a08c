"""A saved film is read back: every frame, in order, the right way up, one at a time."""

from __future__ import annotations

import itertools
import struct
import weakref
from typing import TYPE_CHECKING

import pytest
import torch
from PIL import Image

from lanterna.errors import MissingError, UsageError
from lanterna.images import film_reading, save_picture
from lanterna.images.drawing import as_image
from lanterna.images.film_reading import open_film
from lanterna.images.films import save_film

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 7
KINDS = ["webp", "avif", "gif", "png", "mp4", "webm", "folder"]


def pictures(count: int = COUNT, height: int = 90, width: int = 130):
    """Yield a soft colour ramp over which a bright bar moves to the right, so that all frames differ."""
    y, x = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)
    for number in range(count):
        bar = torch.exp(-(((x - (number + 1) / (count + 1)) / 0.06) ** 2)).expand(height, width)
        yield torch.stack([0.2 + 0.7 * bar, 0.6 * y.expand(height, width), 0.8 * x.expand(height, width)])


def saved(kind: str, folder: Path) -> Path:
    if kind == "folder":
        path = folder / "frames"
        for number, frame in enumerate(pictures()):
            save_picture(frame, path / f"frame{number + 4}.png")  # 4 to 10: alphabetical order would be wrong
        (path / "notes.txt").write_text("mine")
        (path / ".frame0.png").write_bytes(b"hidden")
        return path
    path = folder / f"film.{kind}"
    if kind == "png":
        first, *rest = (as_image(frame) for frame in pictures())
        first.save(path, save_all=True, append_images=rest, duration=100)
    else:
        save_film(pictures(), path, count=COUNT, fps=10, quality=90)
    return path


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(-10 * (a - b).square().mean().clamp_min(1e-12).log10())


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_film_is_read(kind: str, tmp_path: Path):
    film = open_film(saved(kind, tmp_path))
    assert (film.width, film.height, film.count) == (130, 90, COUNT)
    assert film.fps == pytest.approx(25 if kind == "folder" else 10)
    read = list(film)
    assert len(read) == COUNT
    min_psnr = {"png": 50, "folder": 50, "gif": 26}.get(kind, 36)
    for number, (frame, original) in enumerate(zip(read, pictures(), strict=True)):
        assert frame.dtype == torch.float32
        assert psnr(frame, original) > min_psnr
        similarities = [psnr(frame, other) for other in pictures()]
        assert similarities.index(max(similarities)) == number


@pytest.mark.parametrize("kind", KINDS)
def test_a_film_is_read_again_and_from_the_middle(kind: str, tmp_path: Path):
    film = open_film(saved(kind, tmp_path))
    first, second = list(film), list(film)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    for start in (1, 4, COUNT):
        rest = list(film.frames(start=start))
        assert len(rest) == COUNT - start
        assert all(torch.equal(one, other) for one, other in zip(rest, first[start:], strict=True))
    a, b = iter(film), iter(film)  # two iterators at the same time
    assert torch.equal(next(a), next(b))
    assert torch.equal(next(a), first[1])
    with pytest.raises(UsageError, match="got -1"):
        next(film.frames(-1))


@pytest.mark.parametrize("kind", ["webp", "mp4"])
def test_frames_are_not_held_in_memory(kind: str, tmp_path: Path):
    living: set[int] = set()
    max_living = 0
    for number, frame in enumerate(open_film(saved(kind, tmp_path))):
        living.add(number)
        weakref.finalize(frame, living.discard, number)
        max_living = max(max_living, len(living))
    assert number == COUNT - 1
    assert max_living <= 2


@pytest.mark.parametrize(
    ("matrix", "turns"),
    [((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)],  # a b c d of the file; 90° to the left
    ids=["clockwise", "upside down", "anticlockwise"],
)
def test_a_phone_video_is_rotated_upright(matrix: tuple[int, ...], turns: int, tmp_path: Path):
    path = saved("mp4", tmp_path)
    data = bytearray(path.read_bytes())
    a, b, c, d = (value << 16 for value in matrix)
    offset = data.index(b"tkhd") + 4 + 40  # ISO 14496-12: the matrix follows 40 bytes of other fields
    struct.pack_into(">9i", data, offset, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    film = open_film(path)
    assert (film.width, film.height) == ((90, 130) if turns % 2 else (130, 90))
    for frame, original in zip(film, pictures(), strict=True):
        assert psnr(frame, torch.rot90(original, turns, (1, 2))) > 32


def test_the_content_determines_the_format(tmp_path: Path):
    path = saved("webm", tmp_path)
    renamed = path.rename(tmp_path / "film.gif")
    assert len(list(open_film(renamed))) == COUNT


def test_transparency_becomes_white(tmp_path: Path):
    clear = [Image.new("RGBA", (8, 8), (255, 0, 0, alpha)) for alpha in (0, 255)]
    clear[0].save(tmp_path / "film.webp", save_all=True, append_images=clear[1:], lossless=True)
    white, red = open_film(tmp_path / "film.webp")
    assert white[:, 0, 0].tolist() == [1, 1, 1]
    assert red[:, 0, 0].tolist() == [1, 0, 0]


def test_the_default_image_of_an_animated_png_is_skipped(tmp_path: Path):
    frames = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (10, 120, 250)]
    frames[0].save(tmp_path / "film.png", save_all=True, append_images=frames[1:], default_image=True)
    film = open_film(tmp_path / "film.png")
    assert [round(float(frame[0].mean() * 255)) for frame in film] == [120, 250]
    assert film.count == 2


@pytest.mark.parametrize("kind", ["webp", "avif", "gif", "mp4", "webm"])
def test_a_damaged_film_is_reported_in_one_line(kind: str, tmp_path: Path):
    path = saved(kind, tmp_path)
    data = path.read_bytes()
    errors: list[str] = []
    for share, junk in itertools.product((0.1, 0.5, 0.9), (False, True)):
        at = int(len(data) * share)
        path.write_bytes(data[:at] + (bytes(range(256)) * 99)[: len(data) - at] if junk else data[:at])
        try:
            frames = list(open_film(path))
        except UsageError as error:
            errors.append(str(error))
        else:
            assert len(frames) <= COUNT + 1
    assert len(errors) >= 2
    assert all(line.startswith(str(path)) and len(line.splitlines()) == 1 for line in errors)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "is not a film"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "is not a film"),
        (b"\0\0\0\x18ftypisom" + bytes(200), "broken or truncated|no video"),
        (b"\x1aE\xdf\xa3" + bytes(200), "broken or truncated|no video"),
        (b"RIFF\xff\0\0\0WEBP" + bytes(99), "not a picture|broken"),
    ],
    ids=["empty", "playlist", "list of files", "mp4", "matroska", "webp"],
)
def test_other_files_are_refused_in_one_line(content: bytes, words: str, tmp_path: Path):
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=words) as raised:
        open_film(path)
    assert len(str(raised.value).splitlines()) == 1


def test_missing_files_and_empty_folders_are_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="does not exist: give the path of an MP4"):
        open_film(tmp_path / "none.mp4")
    with pytest.raises(UsageError, match="has no pictures in it"):
        open_film(tmp_path)


def test_a_frame_of_another_size_is_reported_by_number(tmp_path: Path):
    for number, width in enumerate((8, 8, 9)):
        save_picture(torch.zeros(3, 6, width), tmp_path / f"{number}.png")
    frames = iter(open_film(tmp_path))
    next(frames), next(frames)
    with pytest.raises(UsageError, match="frame 2 is 9 × 6, the first is 8 × 6"):
        next(frames)


@pytest.mark.parametrize("kind", ["mp4", "webm", "webp", "gif"])
def test_a_bomb_is_refused_undecoded(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = saved(kind, tmp_path)
    monkeypatch.setattr("lanterna.images.decoding.PIXEL_LIMIT", 1000)
    monkeypatch.setattr(film_reading, "PIXEL_LIMIT", 1000)
    monkeypatch.setattr(film_reading, "_to_tensor", lambda _: pytest.fail("decoded"))
    monkeypatch.setattr(film_reading, "_decode_picture", lambda _: pytest.fail("decoded"))
    with pytest.raises(UsageError, match="million pixels"):
        open_film(path)


def test_without_pyav_videos_are_refused_and_animations_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    video, animation = saved("mp4", tmp_path), saved("webp", tmp_path)
    monkeypatch.setattr(film_reading, "find_spec", lambda _: None)
    with pytest.raises(MissingError, match=r"pip install 'lanterna\[video\]'"):
        open_film(video)
    assert open_film(animation).count == COUNT
