"""Try 30 networks of torchvision and timm with five techniques, and write the table `docs/others.md`.

Run it with `make networks-of-others`, which installs both packages into an environment of their own; it takes
20 minutes. The networks have random weights: what is tested is whether they can be opened, split into layers
and run forwards and backwards. A cell is `works, 3 s`, or the line that a person would read. Networks named
as arguments replace their rows only. Exits with 1 if fewer than 25 rows work throughout.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import time
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "others.md"
TECHNIQUES = ("classify", "look", "dream", "feature", "style")
NEEDED = 25  # rows that work throughout
LIMIT = 240  # seconds for one network
TORCHVISION = (
    *("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet"),
    *("inception_v3", "mnasnet1_0", "mobilenet_v2", "mobilenet_v3_small", "regnet_y_400mf", "resnet18"),
    *("resnet50", "resnext50_32x4d", "shufflenet_v2_x1_0", "squeezenet1_1", "swin_t", "vgg19", "vit_b_16"),
    "wide_resnet50_2",
)
TIMM = (
    *("convnext_atto", "edgenext_xx_small", "ghostnet_100", "mixnet_s", "mobilenetv3_small_100"),
    *("regnetx_002", "repvgg_a0", "resnet26d", "tf_efficientnet_lite0", "vit_tiny_patch16_224"),
)
NETWORKS = (
    *(f"torchvision.models:{name}" for name in TORCHVISION),
    *(f"timm.models:{name}" for name in TIMM),
)
HEAD = """\
# Networks of others

`--network module:function` opens a network of any package, or of a file of your own. This table is made by
`make networks-of-others`, which tries {count} networks of torchvision and timm with random weights, on small
pictures, on one core of a processor. The time of `look` is that of its first answer; then it gets finer.

| network | {titles} |
|---|{rules}|
"""


def main() -> int:
    """Try the networks, write the page, and return the exit code."""
    if sys.argv[1:2] == ["--one"]:
        try_one(sys.argv[2])
        return 0
    rows = read_page() if sys.argv[1:] else {}
    for name in sys.argv[1:] or NETWORKS:
        rows[name] = row_of(name)
        print(name, *rows[name], sep=" | ", flush=True)
    write_page({name: rows[name] for name in NETWORKS if name in rows})
    working = sum(all(cell.startswith("works") for cell in cells) for cells in rows.values())
    print(f"{working} of {len(rows)} networks work throughout")
    return 0 if working >= NEEDED or len(rows) < len(NETWORKS) else 1


def row_of(name: str) -> list[str]:
    """Try one network in a process of its own; return a cell for each technique."""
    command = [sys.executable, __file__, "--one", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
        lines, last = done.stdout.splitlines(), f"exit code {done.returncode}"
    except subprocess.TimeoutExpired as error:
        lines, last = (error.stdout or b"").decode().splitlines(), f"longer than {LIMIT} s"
    cells = [line.removeprefix("cell: ") for line in lines if line.startswith("cell: ")]
    return [*cells, *[last] * (len(TECHNIQUES) - len(cells))]


def try_one(name: str) -> None:
    """Try one network with every technique; print a line for each."""
    import tempfile
    import warnings

    import torch

    from lanterna.images import save_picture
    from lanterna.networks import cache_networks, open_network

    warnings.simplefilter("ignore")  # as the command does
    with tempfile.TemporaryDirectory() as folder, cache_networks():
        os.chdir(folder)
        generator = torch.Generator().manual_seed(0)
        for picture in ("photo.png", "painting.png"):
            save_picture(torch.rand(3, 96, 128, generator=generator), Path(picture))
        with contextlib.suppress(Exception):  # opened once, so that its time is in no cell
            open_network(name)
        small = ["--size", "96", "--steps", "2"]
        print_cell("classify", ["classify", "photo.png"], name)
        print_cell("look", [], name)
        print_cell("dream", ["dream", "photo.png", *small, "--octaves", "1"], name)
        print_cell("feature", ["feature", "--class", "3", "--steps", "2"], name)
        print_cell("style", ["style", "photo.png", "--style", "painting.png", *small], name)


def print_cell(technique: str, words: list[str], name: str) -> None:
    """Run one technique; print its time, or the reason that it gives."""
    from lanterna.surfaces.cli import main as lanterna

    begun, error = time.perf_counter(), io.StringIO()
    with contextlib.redirect_stderr(error), contextlib.redirect_stdout(io.StringIO()):
        if technique == "look":
            code = first_page(name)
        else:
            output = [] if technique == "classify" else ["-o", f"{technique}.png"]
            code = lanterna([*words, "--network", name, "--device", "cpu", *output])
    text = error.getvalue()
    if "Traceback" in text or "Warning" in text:
        code, reason = 1, "prints more than a line"
    else:
        reason = text.strip().splitlines()[-1].removeprefix("lanterna: ") if text.strip() else ""
    reason = re.sub(r"\s+", " ", reason).replace(name, "it").replace("|", "/")
    print(f"cell: {reason}" if code else f"cell: works, {time.perf_counter() - begun:.0f} s", flush=True)


def first_page(name: str) -> int:
    """Compute the first page of `look`, which goes on to finer ones."""
    from lanterna.errors import LanternaError
    from lanterna.images import open_picture
    from lanterna.networks import open_network, to_input
    from lanterna.surfaces.web.look_page import look_pages

    try:
        network = open_network(name)
        image = to_input(open_picture("photo.png"), network.input_spec)
        next(look_pages(network, image, name=name, title="photo.png"))
    except LanternaError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def read_page() -> dict[str, list[str]]:
    """Return the rows of the page."""
    lines = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")
    ]
    return {first.strip("`"): rest for first, *rest in cells}


def write_page(rows: dict[str, list[str]]) -> None:
    """Write the page."""
    titles, rules = " | ".join(TECHNIQUES), "|".join("---" for _ in TECHNIQUES)
    head = HEAD.format(count=len(NETWORKS), titles=titles, rules=rules)
    body = "".join(f"| `{name}` | {' | '.join(cells)} |\n" for name, cells in rows.items())
    PAGE.write_text(head + body, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
