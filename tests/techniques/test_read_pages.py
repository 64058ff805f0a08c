"""Pages hold lines, boxes, words, signs and tables besides digits; each page's right text is known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

import drawn
from lanterna.images import open_picture
from lanterna.images.digits import mnist
from lanterna.images.drawing import font
from lanterna.images.normalise import normalise
from lanterna.images.segments import find_segments
from lanterna.networks.trained import open_trained
from lanterna.surfaces.cli import main
from lanterna.techniques.read.algorithm import read
from lanterna.techniques.read.refinement import squeezed_patches
from lanterna.techniques.read.symbols import read_symbols
from places import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from lanterna.techniques.read.algorithm import ReadPage

NUMBERS = ("31962", "80453", "27168")


@pytest.fixture(scope="module")
def network(trained: Path):
    """The network that `lanterna read` trains if there is none."""
    return open_trained(trained / "networks" / "conv")


def sure_text(page: ReadPage) -> str:
    """Return the text without the marks of doubt."""
    return page.text.replace("?", "")


def distance(a: str, b: str) -> int:
    """Return how many characters must be changed, added or removed (Levenshtein 1966)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def written(seed: int, size: tuple[int, int] = (900, 460)) -> drawn.Sheet:
    sheet = drawn.Sheet(*size, seed)
    for row, number in enumerate(NUMBERS):
        sheet.write(number, 100, 70 + 125 * row)
    return sheet


def underline(sheet: drawn.Sheet) -> None:
    for row in range(3):
        sheet.line((80, 144 + 125 * row), (560, 140 + 125 * row))


def underline_touching(sheet: drawn.Sheet) -> None:
    for row in range(3):
        sheet.line((80, 129 + 125 * row), (560, 127 + 125 * row))


def frame(sheet: drawn.Sheet) -> None:
    for row in range(3):
        sheet.box(75, 52 + 125 * row, 480, 98)


def frame_of_the_page(sheet: drawn.Sheet) -> None:
    sheet.box(20, 20, 860, 420)


def cross(sheet: drawn.Sheet) -> None:
    for row in range(3):
        sheet.line((80, 104 + 125 * row), (560, 100 + 125 * row), pen=3)


def dots(sheet: drawn.Sheet) -> None:
    for x in range(20, 900, 40):
        for y in range(20, 460, 40):
            sheet.dot(x, y, 4)


@pytest.mark.parametrize("decorate", [underline, underline_touching, frame, frame_of_the_page, cross, dots])
def test_lines_do_not_change_what_is_read(network, decorate):
    """The digits are read as without the lines; before, a single underline made all of them vanish."""
    sheet = written(3)
    plain = sure_text(read(sheet.jpeg(), network=network))
    assert distance(plain, "\n".join(NUMBERS)) <= 1
    decorate(sheet)
    assert distance(sure_text(read(sheet.jpeg(), network=network)), plain) <= 1


def test_boxes_lines_and_corners_are_no_digits(network):
    sheet = drawn.Sheet(1100, 700, 5)
    for place in range(10):
        x, y = 60 + place % 5 * 200, 40 + place // 5 * 150
        sheet.box(x, y, 70, 90)
        sheet.line((x, y + 330), (x + 90, y + 325 + 2 * place))
        sheet.line((x, y + 400), (x, y + 440), (x + 40, y + 440))
    page = read(sheet.jpeg(), network=network)
    assert sum(not reading.doubtful for reading in page) <= 1


@pytest.mark.slow
def test_digits_are_not_lost_as_other_symbols():
    """At most one in a thousand of MNIST's test digits is taken for no digit."""
    images = mnist("test").images.float() / 255
    assert int(read_symbols(images).excluded.sum()) <= 10
    cropped = []
    for image in images[:1000, 0]:
        ys, xs = (image > 0.3).nonzero(as_tuple=True)
        cropped.append(image[int(ys.min()) : int(ys.max()) + 1, int(xs.min()) : int(xs.max()) + 1])
    assert int(read_symbols(normalise(cropped).images).excluded.sum()) <= 3


@pytest.mark.parametrize(
    "lines",
    [
        ("12.50", "3,99", "-5", "17.3"),
        ("8+4=12", "9-3=6", "6×7=42", "80÷8=10"),
        ("3/4", "25%", "(7+2)", "10:45"),
        ("31 415 926", "27 18"),
        ("12\t345\t6", "7\t89\t12", "30\t\t567"),
    ],
    ids=["decimals", "sums", "others", "spaces", "columns"],
)
def test_signs_spaces_and_columns_are_read(network, lines):
    sheet = drawn.Sheet(1200, 560, 7)
    for row, line in enumerate(lines):
        for column, words in enumerate(line.split("\t")):
            sheet.write(words, 80 + 380 * column, 60 + 115 * row)
    page = read(sheet.jpeg(), network=network)
    text = sure_text(page)
    assert [line.count("\t") for line in text.splitlines()] == [line.count("\t") for line in lines]
    assert distance(text, "\n".join(lines)) <= 1
    signs = [sign.text for sign in page.signs]
    expected = [
        character for line in lines for character in line if not (character.isdigit() or character.isspace())
    ]
    assert sorted(signs) == sorted(expected)


def test_a_sign_that_is_not_read_is_reported(network):
    sheet = written(9)
    sheet.write("42", 640, 70)
    sheet.line((600, 80), (640, 120), (600, 120), (640, 80), (620, 60), (620, 135), (590, 100), (650, 95))
    page = read(sheet.jpeg(), network=network)
    assert "[?]" in page.text.splitlines()[0]
    assert any("could not be read" in note for note in page.notes)


@pytest.mark.parametrize("wide", [1.6, 2.0])
def test_wide_digits_are_not_cut(network, wide):
    sheet = drawn.Sheet(1300, 420, 11)
    for row, number in enumerate(("04702", "47023")):
        x = 60.0
        for digit in number:
            x = sheet.digit(int(digit), x, 60 + 160 * row, 60, wide) + 25
    assert distance(sure_text(read(sheet.jpeg(), network=network)), "04702\n47023") <= 1


def test_touching_digits_are_separated(network):
    sheet = drawn.Sheet(1000, 420, 13)
    numbers = ("306548", "340228", "482306")
    for row, number in enumerate(numbers):
        x = 60.0
        for place, digit in enumerate(number):
            x = sheet.digit(int(digit), x, 50 + 120 * row) + (22 if place % 2 else -3)
    page = read(sheet.jpeg(), network=network)
    assert distance(sure_text(page), "\n".join(numbers)) <= 2
    assert any("touching" in note for note in page.notes)


SUDOKU = (
    "53..7....",
    "6..195...",
    ".98....6.",
    "8...6...3",
    "4..8.3..1",
    "7...2...6",
    ".6....28.",
    "...419..5",
)


def sudoku() -> drawn.Sheet:
    cell = 84
    sheet = drawn.Sheet(120 + 9 * cell, 120 + 8 * cell, 17)
    for place in range(10):
        pen = 6 if place % 3 == 0 else 3
        at = 60 + place * cell
        sheet.line((at, 60), (at, 60 + 8 * cell), pen=pen)
        if place < 9:
            sheet.line((60, at), (60 + 9 * cell, at), pen=pen)
    for row, line in enumerate(SUDOKU):
        for column, digit in enumerate(line):
            if digit != ".":
                sheet.digit(int(digit), 60 + column * cell + 24, 60 + row * cell + 18, 48)
    return sheet


def test_the_square_bowl_of_a_six_is_no_box(network):
    """On the example page one digit has a bowl of four straight sides."""
    page = read(open_picture(ROOT / "src/lanterna/surfaces/cli/page.jpg"), network=network)
    assert sure_text(page).split("\n") == ["020 7946 0958", "24.12.2026", "3486", "715", "4201"]


@pytest.mark.parametrize("angle", ["straight", "photographed"])
def test_a_sudoku_is_read_cell_by_cell(network, angle):
    sheet = sudoku()
    data, size = sheet.jpeg(), sheet.ink.size
    if angle == "photographed":
        data, _ = drawn.photograph(sheet, [(130, 120), (1040, 230), (980, 1000), (60, 860)], (1150, 1100))
        size = (1150, 1100)
    page = read(data, network=network)
    cells = [line.split("\t") for line in sure_text(page).splitlines()]
    assert [len(line) for line in cells] == [9] * 8
    expected = [["" if digit == "." else digit for digit in line] for line in SUDOKU]
    assert (
        sum(
            a != b
            for row, other in zip(cells, expected, strict=True)
            for a, b in zip(row, other, strict=True)
        )
        <= 1
    )
    for reading in page:
        assert cells[reading.row][reading.column] == str(reading.digit)
        assert 0 <= reading.box[0] < reading.box[2] <= size[0]


@pytest.mark.usefixtures("network")
def test_a_table_has_rows_and_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    cells = [["92", "478", "9358"], ["14", "", "2705"], ["", "516", ""]]
    sheet = drawn.Sheet(1000, 400, 19)
    for x in (60, 260, 520, 900):
        sheet.line((x, 60), (x, 324), pen=3)
    for y in range(60, 325, 88):
        sheet.line((60, y), (900, y), pen=3)
    for row, line in enumerate(cells):
        for x, number in zip((80, 290, 560), line, strict=True):
            sheet.write(number, x, 82 + 88 * row, 48, 12)
    (tmp_path / "table.jpg").write_bytes(sheet.jpeg())
    assert main(["read", str(tmp_path / "table.jpg"), "--json"]) == 0
    (output,) = json.loads(capsys.readouterr().out)
    text = output["text"].replace("?", "")
    assert distance(text, "\n".join("\t".join(line) for line in cells)) <= 1
    found = {(digit["row"], digit["column"]) for digit in output["digits"]}
    assert found == {(r, c) for r, line in enumerate(cells) for c, number in enumerate(line) if number}
    assert main(["read", str(tmp_path / "table.jpg"), "--quiet"]) == 0
    assert capsys.readouterr().out == output["text"] + "\n"  # with real tabs, for a spreadsheet


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_page_is_turned_back(network, turn):
    sheet = drawn.Sheet(900, 560, 23)
    numbers = ("7283545", "0755167", "5250812", "5062264")
    for row, number in enumerate(numbers):
        sheet.write(number, 100, 40 + 130 * row)
    page = read(drawn.as_jpeg(sheet.picture().rotate(turn, expand=True)), network=network)
    assert distance(sure_text(page), "\n".join(numbers)) <= 1
    assert any("turned" in note for note in page.notes)
    (x0, y0, x1, y1), (width, height) = sheet.digits[0].box, sheet.ink.size
    expected = {
        90: (y0, width - x1, y1, width - x0),
        180: (width - x1, height - y1, width - x0, height - y0),
        270: (height - y1, x0, height - y0, x1),
    }[turn]
    assert page[0].box == pytest.approx(expected, abs=5)


def test_a_small_sheet_on_a_rough_table_is_found(network):
    sheet = drawn.Sheet(700, 450, 29)
    for row, number in enumerate(NUMBERS):
        sheet.write(number, 80, 60 + 120 * row, 58)
    corners = [(420.0, 330.0), (1010.0, 400.0), (960.0, 790.0), (380.0, 700.0)]
    data, digits = drawn.photograph(sheet, corners, (1500, 1100), table="rough")
    page = read(data, network=network)
    assert distance(sure_text(page), "\n".join(NUMBERS)) <= 1
    assert any("a sheet was found" in note for note in page.notes)
    first = min(digits, key=lambda digit: digit.box[0] + digit.box[1])
    assert page[0].box == pytest.approx(first.box, abs=12)


@pytest.mark.parametrize(
    ("corners", "table"),
    [
        ([(180.0, 60.0), (1160.0, 150.0), (1040.0, 950.0), (120.0, 1010.0)], "rough"),  # half of the picture
        ([(330.0, 90.0), (1230.0, 330.0), (930.0, 1110.0), (110.0, 800.0)], "rough"),  # turned by 15 degrees
        (
            [(250.0, 120.0), (1050.0, 200.0), (1180.0, 980.0), (80.0, 860.0)],
            "plain",
        ),  # its upright lines lean
    ],
)
def test_a_sudoku_photographed_at_an_angle_keeps_its_cells(corners, table, network):
    sheet, text = sudoku(), "\n".join("\t".join(line).replace(".", "") for line in SUDOKU)
    data, _ = drawn.photograph(sheet, corners, (1300, 1150), table=table)
    page = read(data, network=network)
    assert sure_text(page).count("\t") == text.count("\t")
    assert distance(sure_text(page), text) <= 2


def test_squared_paper_is_no_table(network):
    """A sum with a digit in each square, on paper whose lines run to its edge."""
    sheet = drawn.Sheet(900, 700, 59)
    for x in range(30, 900, 60):
        sheet.draw.line((x, 0, x, 700), fill=80, width=2)
    for y in range(20, 700, 60):
        sheet.draw.line((0, y, 900, y), fill=80, width=2)
    numbers = ("3406", "2021", "5427")
    for number, y in zip(numbers, (140, 260, 440), strict=True):
        for place, digit in enumerate(number):
            sheet.digit(int(digit), 282 + 60 * place, y + 6, 48)
    page = read(sheet.jpeg(), network=network)
    assert "\t" not in page.text
    assert distance(sure_text(page), "\n".join(numbers)) <= 1


@pytest.mark.parametrize("high", [300, 460])
@pytest.mark.parametrize("square", [45, 60])
def test_a_plus_on_squared_paper_is_read(network, high, square):
    sheet = drawn.Sheet(900, high, 3)
    for x in range(30, 900, square):
        sheet.draw.line((x, 0, x, high), fill=140, width=2)
    for y in range(20, high, square):
        sheet.draw.line((0, y, 900, y), fill=140, width=2)
    for place, character in enumerate("34+12"):
        sheet.write(character, 282 + place * square, 146 - square, 0.8 * square)
    page = read(sheet.jpeg(), network=network)
    assert [sign.text for sign in page.signs] == ["+"]
    assert "\t" not in page.text


@pytest.mark.parametrize("text", ["(1985) 47458", "(030) 63887", "+44 (0) 194320"])
def test_brackets_of_a_telephone_number_are_kept(text, network):
    sheet = drawn.Sheet(1000, 220, 61)
    sheet.write(text, 80, 70, 64)
    assert sure_text(read(sheet.jpeg(), network=network)) == text


def test_ones_next_to_words_are_no_slashes(network):
    """The letters, which are lower, say nothing about the height of digits."""
    sheet = drawn.Sheet(1000, 560, 68)
    prices = ("11.77", "17.11", "31.71")
    for row, (word, price) in enumerate(zip(("rice", "sauce", "cream"), prices, strict=True)):
        sheet.draw.text((80, 60 + 150 * row), word, 255, font(44))
        sheet.write(price, 640, 60 + 150 * row, 56)
    text = sure_text(read(sheet.jpeg(), network=network))
    assert "/" not in text
    assert [line.split("\t")[-1] for line in text.splitlines()] == list(prices)


def test_the_corners_left_by_empty_boxes_are_no_digits(network):
    sheet = drawn.Sheet(1100, 350, 71)
    for place in range(10):
        sheet.box(60 + place % 5 * 200, 40 + place // 5 * 150, 70, 90)
    page = read(sheet.jpeg(), network=network)
    assert not [reading for reading in page if not reading.doubtful]


def test_every_digit_of_a_full_page_is_found():
    """Before, the smallest of more than 4,000 were dropped without a word."""
    sheet = drawn.Sheet(2000, 1560, 31)
    for row in range(66):
        for column in range(64):
            sheet.dot(20 + 31 * column, 20 + 23 * row, 14)
    ink = np.asarray(sheet.ink) / 255
    found = find_segments(ink.astype(np.float32), 0.01)
    assert len(found.digits) + len(found.marks) == 66 * 64
    assert found.dropped == 0


def test_wide_patches_are_squeezed():
    sheet = drawn.Sheet(200, 100, 37)
    sheet.digit(0, 20, 20, 60, 2.0)
    (segment,) = find_segments((np.asarray(sheet.ink) / 255).astype(np.float32), 0.01).digits
    (patch,) = squeezed_patches([segment])
    assert segment.width > 1.2 * segment.height
    assert patch.shape[1] <= 0.91 * patch.shape[0]
    assert torch.isfinite(patch).all()


@pytest.mark.usefixtures("network")
def test_pages_after_a_broken_one_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("one.jpg", "two.jpg"):
        (tmp_path / name).write_bytes(written(41).jpeg())
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    for order in (["bad.jpg", "one.jpg", "two.jpg"], ["one.jpg", "bad.jpg", "missing.jpg", "two.jpg"]):
        assert main(["read", *[str(tmp_path / name) for name in order], "--json"]) == 1
        output = capsys.readouterr()
        assert [document["photo"].rpartition("/")[2] for document in json.loads(output.out)] == [
            "one.jpg",
            "two.jpg",
        ]
        assert "bad.jpg" in output.err


@pytest.mark.usefixtures("network")
def test_a_page_of_a_scan_is_read_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    scanned = []
    for number in ("31962", "80453"):
        sheet = drawn.Sheet(700, 220, 43)
        sheet.write(number, 80, 70)
        scanned.append(sheet.picture())
    scan = tmp_path / "scan.tif"
    scanned[0].save(scan, save_all=True, append_images=scanned[1:])
    for options, number, text in (([], 1, "31962"), (["--page", "2"], 2, "80453")):
        assert main(["read", str(scan), *options]) == 0
        output = capsys.readouterr()
        assert distance(output.out.replace("?", "").strip(), text) <= 1
        assert f"page {number} of 2 was read: --page chooses another" in output.err
    assert main(["read", str(scan), "--page", "3"]) == 2
    assert "--page: expected a page from 1 to 2, got 3" in capsys.readouterr().err


def test_a_picture_is_unchanged_by_reading(network):
    picture = open_picture(written(47).jpeg())
    before = picture.clone()
    read(picture, network=network)
    assert torch.equal(picture, before)


@pytest.mark.parametrize("text", ["-5", "-7", "-0"])
@pytest.mark.parametrize(("length", "gap", "pen"), [(0.2, 20, 6), (0.4, 10, 3), (0.7, 25, 4)])
def test_a_minus_before_a_single_digit_is_read(network, text, length, gap, pen):
    """Before, a page was turned by up to 20 degrees to level its only digit, and the minus was lost."""
    sheet = drawn.Sheet(900, 460, 73)
    sheet.line((100, 100), (100 + 60 * length, 100), pen=pen)
    sheet.digit(int(text[1]), 100 + 60 * length + gap, 70)
    assert read(sheet.jpeg(), network=network).text.startswith("-")


@pytest.mark.parametrize("high", [24, 28])
def test_signs_between_wide_gaps_are_read(network, high):
    sheet = drawn.Sheet(900, 460, 2)
    sheet.write("8+4=12", 80, 100, high, 40)
    sheet.write("7-2=5", 80, 250, high, 40)
    signs = [sign.text for sign in read(sheet.jpeg(), network=network).signs]
    assert signs == ["+", "=", "-", "="]


@pytest.mark.parametrize("low", [0.0, 0.12])
@pytest.mark.parametrize("size", [8, 14])
def test_a_round_dot_is_a_point_however_low(network, low, size):
    sheet = drawn.Sheet(900, 460, 1)
    x = sheet.write("12", 100, 100) + 14
    sheet.dot(x + size / 2, 160 + 60 * low - size / 2, size)
    sheet.write("50", x + size + 14, 100)
    sheet.write("12,50", 100, 250)
    assert [sign.text for sign in read(sheet.jpeg(), network=network).signs] == [".", ","]


@pytest.mark.parametrize("step", [100, 150, 260])
def test_a_heading_above_boxes_has_no_columns(network, step):
    sheet = drawn.Sheet(1300, 460, 3)
    sheet.write("2026 17", 80, 40)
    for x in range(80, 80 + 5 * step, step):
        for y in (160, 300):
            sheet.box(x, y, 84, 96, pen=3)
            sheet.digit(2, x + 18, y + 18, 58)
    assert sure_text(read(sheet.jpeg(), network=network)).splitlines()[0] == "2026 17"


def test_what_is_no_page_has_no_sure_digits(network, real_shelf: Path):
    """Photographs of other things, gradients, noise and empty paper."""
    rng = np.random.default_rng(8)
    ramp = torch.linspace(0.2, 0.9, 400).expand(3, 300, 400)
    distance = torch.hypot(
        *torch.meshgrid(torch.arange(-150.0, 150.0), torch.arange(-200.0, 200.0), indexing="ij")
    )
    paper = 225 + rng.normal(0, 3, (450, 350)) + np.linspace(-40, 20, 350)
    pictures = [
        ramp, ramp.mT.contiguous(), 1 - (distance / 255).expand(3, -1, -1), torch.full((3, 300, 400), 0.5),
        torch.rand(3, 300, 400, generator=torch.Generator().manual_seed(0)),
        torch.from_numpy(paper / 255).float().clamp(0, 1).expand(3, -1, -1),
    ]  # fmt: skip
    pictures += [
        open_picture(real_shelf / "photographs" / name)
        for name in ("chelsea.png", "coffee.png", "rocket.jpg")
    ]
    for number, picture in enumerate(pictures):
        page = read(picture, network=network)
        assert all(reading.doubtful for reading in page), number
        assert page.notes, number


@pytest.mark.parametrize("shape", [(1, 400), (400, 1), (12, 3000), (5, 10_400), (1, 1)])
def test_nothing_is_read_on_the_thinnest_pictures(network, shape, tmp_path):
    Image.effect_noise(shape, 60).save(tmp_path / "thin.png")
    page = read(tmp_path / "thin.png", network=network)
    assert len(page) == 0
    assert "no digits were found on this page" in page.notes


def test_a_much_reduced_page_says_so(network):
    page = read(drawn.Sheet(10_400, 60, 1).jpeg(), network=network)
    assert any("cut the picture into parts" in note for note in page.notes)
