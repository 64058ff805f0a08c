"""What a person installs: from the wheel alone the tour runs to its end and leaves a gallery that opens."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hatchling.builders.wheel import WheelBuilder
from PIL import Image

from places import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PATIENCE = 600.0  # seconds, so that a test that hangs ends
ROOMS = ["train", "read", "classify", "look", "dream", "style", "paint"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with Lanterna's wheel, and of this environment all but Lanterna."""
    folder = tmp_path_factory.mktemp("wheel")
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(folder / "built"), versions=["standard"])
    words = [sys.executable, "-m", "venv", "--without-pip", str(folder / "clean")]
    subprocess.run(words, check=True, timeout=PATIENCE)
    python = folder / "clean/bin/python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "clean/lib" / version / "site-packages"
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(packages)
    # Named so, a folder is looked through and its own .pth files, which name our source, are not.
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    return python


@pytest.mark.slow
def test_the_tour_runs_from_the_wheel_to_its_end(
    installed: Path, trained: Path, tmp_path: Path, browser: Browser
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("shelf", "networks"):
        (home / name).symlink_to(trained / name, target_is_directory=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"LANTERNA_HOME": str(home), "LANTERNA_OFFLINE": "1"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [installed, *words], cwd=tmp_path, env=environment, capture_output=True, text=True,
            timeout=PATIENCE,
        )  # fmt: skip

    toured = run("-m", "lanterna", "tour", "--quick")
    assert toured.returncode == 0, toured.stderr
    message = run("-c", "import lanterna, sys; print(lanterna.__file__, *sys.path)").stdout
    assert Path(message.split()[0]).is_relative_to(installed.parent.parent)
    assert str(ROOT / "src") not in message
    assert f"Open {Path('gallery/index.html')}" in toured.stderr
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.append(request.url))
    page.goto((tmp_path / "gallery/index.html").as_uri())
    assert page.locator("section").evaluate_all("all => all.map(one => one.id)") == ROOMS
    page.locator("img").evaluate_all("all => Promise.all(all.map(one => one.decode()))")
    hung = {Path(src).name for src in page.locator("img").evaluate_all("all => all.map(one => one.src)")}
    for link in page.locator("figure a").evaluate_all("all => all.map(one => one.getAttribute('href'))"):
        assert (tmp_path / "gallery" / link).is_file()
    assert len(hung) > 10
    for name in hung:
        with Image.open(tmp_path / "gallery" / name) as picture:
            picture.load()
    page.close()
    assert wrong == []
