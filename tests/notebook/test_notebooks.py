"""The notebooks run from top to bottom, without a word of warning, and show what they speak of.

What is run is what is stored, but for the cells marked as settings: there the numbers that cost time are made
smaller, as a reader may.
"""

from __future__ import annotations

import base64
import io
import os
import re

import nbclient
import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_async, run_sync
from nbclient.exceptions import CellExecutionComplete
from PIL import Image

from lanterna.lessons import LESSONS
from lanterna.lessons.exercises import sheet
from lanterna.lessons.quickstart import PROGRAM
from places import ROOT

FOLDER = ROOT / "docs" / "notebooks"
LONGEST = 300  # seconds that a cell may take
# In the lecture's order: the lessons of each, and the settings that are made smaller.
NOTEBOOKS = {
    "1-gradients": (("gates", "derivative", "circuits"), {"gates": 2}),
    "2-neurons-and-layers": (
        ("neuron", "layers", "functions"),
        {"digits": 50, "runs": 1, "points": "'xor'", "hidden": 2, "neurons": 8},
    ),
    "3-learning": (
        ("descent", "curve", "squash"),
        {"depths": (1,), "steps": 25, "points": 8, "degree": 5, "neurons": 2},
    ),
    "4-digits": (
        ("digit", "normalised", "quickstart"),
        {"sides": (7,), "examples": 500, "epochs": 1, "digits": 50, "fraction": 0.02, "units": 8},
    ),
    "5-looking-inside": (("edges", "paths"), {"networks": ("conv", "efficientnet-lite0"), "digits": 1}),
    "6-style-and-dream": (
        ("parts", "dream", "style"),
        {
            "size": 64,
            "steps": 10,
            "training": 10,
            "pixels": 96,
            "climbs": 1,
            "side_by_side": 64,
            "turns": 5,
            "side": 64,
            "rounds": 1,
        },
    ),
    "7-painting": (
        ("painting", "noise", "cells"),
        {"size": 16, "steps": 20, "seconds": 1, "training": 50, "learning": 1, "runs": 1, "large": 64},
    ),
}


def stored(name: str) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def smaller(notebook: nbformat.NotebookNode, settings: dict[str, object]) -> None:
    """Give settings other values, in the cells that are marked as settings."""
    unused = set(settings)
    for cell in notebook.cells:
        if "settings" in cell.metadata.get("tags", ()):
            for name, value in settings.items():
                if re.search(rf"^{name} =", cell.source, re.MULTILINE):
                    cell.source += f"\n{name} = {value}"
                    unused.discard(name)
    assert not unused


def message(cell: nbformat.NotebookNode) -> str:
    """All that a cell put out, as text. On a busy machine what it prints comes in pieces, also of a line."""
    return "".join(
        each.get("text") or each.get("data", {}).get("text/plain", "") + "\n" for each in cell.outputs
    )


def pictures(cell: nbformat.NotebookNode) -> list[Image.Image]:
    data = [each.data["image/png"] for each in cell.outputs if "image/png" in each.get("data", {})]
    return [Image.open(io.BytesIO(base64.b64decode(each))) for each in data]


class Client(nbclient.NotebookClient):
    """A client that updates a display whichever cell is running, as a browser does."""

    async def _async_poll_output_msg(self, parent_msg_id, cell, cell_index):
        while True:
            message = await ensure_async(self.kc.iopub_channel.get_msg(timeout=None))
            ours = message["parent_header"].get("msg_id") == parent_msg_id
            if ours or message["msg_type"] == "update_display_data":
                try:
                    self.process_message(message, cell, cell_index)
                except CellExecutionComplete:
                    return


@pytest.fixture(scope="module")
def run(trained, tmp_path_factory):
    """Runs a notebook once, in a folder of its own, and keeps it. In their home `conv` is there already.

    One kernel runs them all, one after the other, and forgets every name before each: starting it takes
    longer than most of them.
    """
    done: dict[str, nbformat.NotebookNode] = {}
    kernel = AsyncKernelManager(kernel_name="python3")
    run_sync(kernel.start_kernel)(env={**os.environ, "LANTERNA_HOME": str(trained)})
    client = kernel.client()
    client.start_channels()
    run_sync(client.wait_for_ready)(timeout=LONGEST)

    def made(name: str) -> nbformat.NotebookNode:
        if name not in done:
            notebook = stored(name)
            smaller(notebook, NOTEBOOKS[name][1])
            folder = str(tmp_path_factory.mktemp(name))
            notebook.cells.insert(0, nbformat.v4.new_code_cell(f"%reset -f\n%cd -q {folder}"))
            running = Client(notebook, km=kernel, timeout=LONGEST)
            running.kc = client
            running.execute()
            del notebook.cells[0]
            done[name] = notebook
        return done[name]

    yield made
    client.stop_channels()
    run_sync(kernel.shutdown_kernel)(now=True)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_stored_as_a_reader_should_find_it(name):
    notebook = stored(name)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert '"google.colab" in sys.modules' in code[0].source
    assert '    %pip install --quiet "lanterna[notebook]"' in code[0].source
    assert max(len(line) for cell in code for line in cell.source.splitlines()) <= 110
    # Questions, claims and exercises are those of the lessons.
    output = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for lesson in NOTEBOOKS[name][0]:
        assert LESSONS[lesson].question in output
        assert LESSONS[lesson].claim in output
        for exercise in re.split(r"\n\n(?=\d+\. |To make: )", sheet(lesson))[1:]:
            assert all(part.strip() in output for part in re.split("To make: |Look for: ", exercise))


def test_they_hold_every_lesson_once():
    found = [path.stem for path in sorted(FOLDER.glob("*.ipynb"))]
    assert found == list(NOTEBOOKS)
    assert sorted(lesson for lessons, _ in NOTEBOOKS.values() for lesson in lessons) == sorted(LESSONS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs_and_shows_what_it_finds(run, name):
    notebook = run(name)
    assert [
        each for cell in notebook.cells for each in cell.get("outputs", ()) if each.get("name") == "stderr"
    ] == []
    assert notebook.cells[1].outputs == []  # nothing is installed here, and nothing said
    for lesson in NOTEBOOKS[name][0]:
        cell = next(cell for cell in notebook.cells if cell.source.startswith(f'lanterna.lesson("{lesson}"'))
        question, verdict = message(cell).splitlines()[:2]
        assert question == LESSONS[lesson].question
        assert re.match("(True|Partly true|Not true): ", verdict)
        (picture,) = pictures(cell)
        assert picture.width > 900
        assert "<img alt=" in cell.outputs[0].data["text/html"]
    checks = [cell for cell in notebook.cells if cell.source.startswith("lanterna.check(")]
    assert checks
    assert all(message(cell).startswith("No answer yet: ") for cell in checks)


def numbers(text: str) -> list[float]:
    return [float(each) for each in re.findall(r"-?\d+\.\d+", text)]


def cell_with(notebook: nbformat.NotebookNode, code: str) -> nbformat.NotebookNode:
    (cell,) = [cell for cell in notebook.cells if cell.cell_type == "code" and code in cell.source]
    return cell


def test_what_the_lines_of_the_first_three_say(run):
    tried, nudged, _, _, ruled = numbers(message(cell_with(run("1-gradients"), "def gate")))[:5]
    assert -6 < tried < ruled == pytest.approx(nudged, abs=1e-6)
    circuit = message(cell_with(run("1-gradients"), "from lanterna.lessons.scalars"))
    ours = {line.split()[0]: numbers(line)[1] for line in circuit.splitlines()[:-1]}
    assert numbers(circuit.splitlines()[-1]) == pytest.approx([ours[name] for name in "abc"], abs=2e-3)
    assert "answers [0.0, 1.0, 1.0, 0.0]" in message(cell_with(run("2-neurons-and-layers"), "Adam"))
    heard = message(cell_with(run("3-learning"), "for name, activation in"))
    squared, absolute = numbers(message(cell_with(run("3-learning"), "l1_loss")))
    assert absolute < squared / 10
    sigmoid, relu = (
        float(re.search(rf"{name} +(\S+) of the correction", heard)[1]) for name in ("sigmoid", "relu")
    )
    assert sigmoid < 1e-5 < relu == 1


def test_what_the_lines_of_the_others_say(run):
    program = cell_with(run("4-digits"), PROGRAM)  # the lesson's, and the probabilities add up
    rows = [line.split(":")[1].split()[:10] for line in message(program).splitlines()]
    assert [sum(map(float, row)) for row in rows] == pytest.approx([100] * 5, abs=5)
    cleaned = message(cell_with(run("4-digits"), "normalise(["))
    assert "normalised read as 2" in cleaned
    assert "original   read as 2" not in cleaned
    logit, *sums = numbers(message(cell_with(run("5-looking-inside"), "lanterna.paths")))
    assert sums[2::3] == pytest.approx([logit] * (len(sums) // 3), abs=1e-3)
    chances = numbers(message(cell_with(run("6-style-and-dream"), "def draw_a_three")))
    assert min(chances) > 0.9
    psnr = numbers(message(cell_with(run("7-painting"), "waves = ")))
    assert psnr[-1] > 25 > psnr[0] + 10


def test_views_become_pictures_without_widgets(run):
    view = "application/vnd.jupyter.widget-view+json"
    looked = cell_with(run("5-looking-inside"), "notebook.look")
    assert view in looked.outputs[0].data
    assert pictures(looked)
    for name, first, last in (
        ("6-style-and-dream", 'notebook.make("dream"', "dreamed.frame"),
        ("6-style-and-dream", 'notebook.make("style"', "styled.frame"),
        ("7-painting", 'notebook.make("paint"', "mine.frame"),
    ):
        begun = cell_with(run(name), first)
        assert view in begun.outputs[0].data
        assert ": done, step" in message(begun)  # what was shown at first has given way to the end
        (shown,), (end,) = pictures(begun), pictures(cell_with(run(name), last))
        assert shown.tobytes() == end.tobytes()
