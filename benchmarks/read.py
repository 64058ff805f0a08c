"""How well and how fast pages are read: bare handwriting, and pages with lines, boxes, tables and marks.

`python benchmarks/read.py [--quick] [--network conv] [--pages 6]`: each kind has that many pages, drawn by a
program from MNIST test digits, in perspective, unevenly lit, blurred, noisy, as JPEG. Recall is the share of
the digits that are found and read correctly; precision is the share of the readings without a question mark
that are correct. At the end the share of the 10,000 test digits that are excluded as no digit.
"""

import sys
import time
from pathlib import Path

import bench
import numpy as np

from lanterna.images.digits import mnist
from lanterna.techniques.read.algorithm import read
from lanterna.techniques.read.symbols import read_symbols
from lanterna.techniques.train.technique import open_or_train

sys.path.append(str(Path(__file__).parent.parent / "tests" / "shared"))
import drawn


def main() -> None:
    options = bench.options(__doc__, network="conv", pages=(6, 2))
    network = open_or_train(options.network, device="cpu")
    read(drawn.Sheet(200, 200, 0).jpeg(), network=network)  # computes the scorer's statistics
    kinds = {}
    for name, make in KINDS.items():
        bench.say(name)
        counts = np.zeros(5)
        for number in range(options.pages):
            counts += measure(*photograph(make(1000 * number + len(name)), number), network)
        kinds[name] = figures(counts, options.pages)
    grids = [kinds[name] for name in ("form", "table", "sudoku")]
    images = mnist("test").images.float() / 255
    bench.show(
        {
            "network": options.network,
            "threads": options.threads,
            "kinds": kinds,
            "grids": {
                each: round(float(np.mean([kind[each] for kind in grids])), 4)
                for each in ("precision", "recall")
            },
            "test digits excluded": float(read_symbols(images).excluded.float().mean()),
        }
    )


def measure(data, written, network):
    """Return counts: digits, those read correctly, sure readings, those that are correct; and seconds."""
    started = time.process_time()
    page = read(data, network=network)
    seconds = time.process_time() - started
    left, right, sure, sure_right = list(written), 0, 0, 0
    for reading in page:
        x, y = (reading.box[0] + reading.box[2]) / 2, (reading.box[1] + reading.box[3]) / 2
        hit = next(
            (
                each
                for each in left
                if each.digit == reading.digit
                and each.box[0] - 6 <= x <= each.box[2] + 6
                and each.box[1] - 6 <= y <= each.box[3] + 6
            ),
            None,
        )
        if hit is not None:
            left.remove(hit)
            right += 1
        if not reading.doubtful:
            sure += 1
            sure_right += hit is not None
    return np.array([len(written), right, sure, sure_right, seconds])


def figures(counts, pages):
    """Return the figures of one kind of page."""
    written, right, sure, sure_right, seconds = counts
    return {
        "recall": round(right / written, 4) if written else None,
        "precision": round(sure_right / sure, 4) if sure else None,
        "wrong sure readings": int(sure - sure_right),
        "CPU seconds a page": round(seconds / pages, 2),
    }


def photograph(sheet, seed):
    """Photograph a sheet, which nearly fills the picture."""
    rng = np.random.default_rng(seed)
    width, height = sheet.ink.size
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float) * 0.94
    corners += 0.03 * np.array([width, height]) + rng.uniform(-0.025, 0.025, (4, 2)) * height
    return drawn.photograph(sheet, [tuple(corner) for corner in corners], (width, height), seed)


def rows(sheet, count=4, length=7):
    """Write rows of random digits."""
    for row in range(count):
        sheet.write("".join(map(str, sheet.rng.integers(0, 10, length))), 100, 70 + 130 * row)
    return sheet


def bare(seed):
    return rows(drawn.Sheet(1100, 620, seed))


def underlined(seed):
    sheet = bare(seed)
    for row in range(4):
        sheet.line((80, 140 + 130 * row), (700, 137 + 130 * row))
    return sheet


def framed(seed):
    sheet = bare(seed)
    for row in range(4):
        sheet.box(70, 50 + 130 * row, 660, 98)
    return sheet


def form(seed):
    """Boxes of a form, a digit in each, some empty."""
    sheet = drawn.Sheet(1100, 620, seed)
    for row in range(4):
        for column in range(9):
            x, y = 80 + 100 * column, 60 + 130 * row
            sheet.box(x, y, 84, 96, pen=3)
            if sheet.rng.random() < 0.7:
                sheet.digit(int(sheet.rng.integers(10)), x + 18, y + 18, 58)
    return sheet


def table(seed):
    sheet = drawn.Sheet(1100, 700, seed)
    columns = (60, 260, 520, 1000)
    for x in columns:
        sheet.line((x, 60), (x, 620), pen=3)
    for row in range(8):
        sheet.line((60, 60 + 80 * row), (1000, 60 + 80 * row), pen=3)
    for row in range(7):
        for column, x in enumerate(columns[:3]):
            number = "".join(map(str, sheet.rng.integers(0, 10, column + 2)))
            if sheet.rng.random() < 0.8:
                sheet.write(number, x + 22, 76 + 80 * row, 46, 12)
    return sheet


def sudoku(seed):
    sheet = drawn.Sheet(876, 876, seed)
    for place in range(10):
        pen, at = (6 if place % 3 == 0 else 3), 60 + 84 * place
        sheet.line((at, 60), (at, 816), pen=pen)
        sheet.line((60, at), (816, at), pen=pen)
    for cell in range(81):
        if sheet.rng.random() < 0.4:
            x, y = 84 + cell % 9 * 84, 78 + cell // 9 * 84
            sheet.digit(int(sheet.rng.integers(1, 10)), x, y, 48)
    return sheet


def no_digits(seed):
    """Empty boxes, lines, corners and scribbles: every sure reading is wrong."""
    sheet = drawn.Sheet(1100, 620, seed)
    for place in range(20):
        x, y = 60 + place % 5 * 200, 40 + place // 5 * 140
        kind = place % 4
        if kind == 0:
            sheet.box(x, y, 70, 90)
        elif kind == 1:
            sheet.line((x, y + 40), (x + 90, y + 30 + 20 * sheet.rng.random()))
        elif kind == 2:
            sheet.line((x, y), (x, y + 80), (x + 60, y + 80))
        else:
            sheet.line(*((x + 110 * sheet.rng.random(), y + 80 * sheet.rng.random()) for _ in range(9)))
    return sheet


KINDS = {
    "bare": bare, "underlined": underlined, "framed": framed, "form": form, "table": table, "sudoku": sudoku,
    "no digits": no_digits,
}  # fmt: skip


if __name__ == "__main__":
    main()
