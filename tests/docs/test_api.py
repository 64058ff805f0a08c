"""What docs/api.md says of the API, and the examples of programs that use it, with a real studio."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageDraw

from lanterna import open_picture, save_picture
from places import ROOT
from served import Server
from trained import install_untrained_flow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = (ROOT / "docs/api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
TOKEN, *CALLS = [call for block in BLOCKS for call in re.split(r"\n(?=curl )", block.strip())]
PROGRAM = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, trained: Path, real_shelf: Path) -> Iterator[Server]:
    """A studio in whose home the shelf and a network are."""
    home = tmp_path_factory.mktemp("home")
    (home / "shelf").symlink_to(trained / "shelf")
    shutil.copytree(trained / "networks" / "conv", home / "networks" / "conv")
    install_untrained_flow(home)
    save_picture(open_picture(real_shelf / "photographs/chelsea.png", longest=128), home / "cat.png")
    three = Image.new("L", (100, 100))
    drawn = ImageDraw.Draw(three)
    drawn.arc((30, 15, 70, 50), 180, 90, 255, 9)
    drawn.arc((30, 46, 72, 86), 270, 180, 255, 9)
    three.save(home / "three.png")
    served = Server(home)
    yield served
    served.close()


def operations(description: dict) -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, each in description["paths"].items() for method in each}


def message(call: str) -> tuple[str, str]:
    """The method and the path, with names for its parts, that a line of the page asks for."""
    method = re.search(r"-X (\w+)", call)
    path = re.search(r'"\$S([^"?]+)', call)
    assert path, call
    named = re.sub(r"\$[A-Z]+", "{id}", path[1])
    named = re.sub(r"(/api/(?:examples|shelf|networks|lessons)/)[^/]+", r"\1{name}", named)
    named = named.replace("/history/{id}", "/history/{step}")
    sends = "-d " in call or "--data-binary" in call
    return (method[1] if method else "POST" if sends else "GET"), named


def test_each_call_has_an_example(studio: Server) -> None:
    assert {message(call) for call in CALLS} == operations(studio("GET", "/api/openapi.json"))


def test_each_example_works(studio: Server) -> None:
    ids = {"S": studio.base, "STUDIO": str(studio.home / "studio")}
    subprocess.run(["bash", "-euc", TOKEN], cwd=studio.home, env={"PATH": "/usr/bin:/bin", **ids}, check=True)
    assert (studio.home / "token.txt").stat().st_mode & 0o077 == 0
    cat = [("picture", studio.send(studio.home / "cat.png")["id"])]
    painted = studio.start("paint", settings={"steps": 20, "size": 32}, inputs=cat)
    ids["PAINTING"] = studio.wait(painted)["picture"]
    small = {"training": 1, "side": 32, "detail": 32, "size": 32, "steps": 2}
    ids["GROWN"] = studio.wait(studio.start("grow", settings=small, inputs=cat))["picture"]
    for call in CALLS:
        if '"kind": "dream"' in call:  # one that does not end by itself: there is time to look at it
            assert '"size": 384' in call
            call = call.replace('"size": 384', '"size": 320, "octaves": 1, "steps": 1000')
        if "/preview" in call:
            studio.wait_until(ids["JOB"], lambda job: job["preview"] > 0)
        if "/history/" in call:
            kept = studio.wait_until(ids["JOB"], lambda job: len(job["history"]) > 1)["history"]
            ids["STEP"] = str(kept[0]["step"])
        if "DELETE" in call and "/jobs/" in call:
            for job in studio("GET", "/api/jobs"):
                if job["state"] not in ("done", "stopped", "failed"):
                    studio.stop(job["id"])
            ids["MADE"] = studio.wait(ids["JOB"])["picture"]
        failing = call.replace("curl ", "curl --silent --show-error --fail-with-body ", 1)
        found = subprocess.run(
            ["bash", "-euc", failing], cwd=studio.home, env={"PATH": "/usr/bin:/bin", **ids},
            capture_output=True, text=True,
        )  # fmt: skip
        lasting = "--max-time" in call  # events do not end by themselves
        assert found.returncode == (28 if lasting else 0), (call, found.stdout, found.stderr)
        if "-o " in call:
            name = re.search(r"-o (\S+)", call)[1]
            assert (studio.home / name).stat().st_size > 200, call
        elif lasting:
            assert "event: job" in found.stdout
        elif found.stdout:
            answer = json.loads(found.stdout)
            if '"kind": "dream"' in call:
                ids["JOB"] = answer["id"]
            elif message(call) == ("POST", "/api/pictures"):
                ids["PICTURE"] = answer["id"]
            elif message(call) == ("POST", "/api/read"):
                assert answer["text"] == "3"


def test_the_program_of_the_page_counts_the_jobs(studio: Server) -> None:
    (program,) = PROGRAM
    found = subprocess.run(
        [sys.executable, "-c", program], env={"STUDIO": str(studio.home / "studio")},
        capture_output=True, text=True,
    )  # fmt: skip
    assert (found.stdout, found.stderr) == (f"{len(studio('GET', '/api/jobs'))} jobs\n", "")


def test_reading_restarts_after_a_crash(studio: Server) -> None:
    three = (studio.home / "three.png").read_bytes()

    def asked() -> tuple[int, bytes]:
        headers = {"Content-Type": "image/png"}
        return studio.request("POST", "/api/read?surface=pad", three, headers=headers)[:2]

    assert asked()[0] == 200
    for each in set(studio.processes()) - set(studio.workers()):
        os.kill(each, signal.SIGKILL)
    refused, words = asked()
    assert (refused, b"try again" in words) == (500, True)
    answered, words = asked()
    assert (answered, json.loads(words)["text"]) == (200, "3")


def test_a_program_dreams_with_it(studio: Server, tmp_path: Path) -> None:
    program = (ROOT / "examples/studio_client.py").read_text(encoding="utf-8")
    assert '{"size": 384}' in program
    small = tmp_path / "studio_client.py"
    small.write_text(program.replace('{"size": 384}', '{"size": 96, "steps": 2}'), encoding="utf-8")
    file = studio.home / "studio" / "address.txt"
    command = [sys.executable, small, file, studio.home / "cat.png"]
    found = subprocess.run([*command, tmp_path / "dream.png"], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
    assert open_picture(tmp_path / "dream.png").shape[0] == 3
    (tmp_path / "address.txt").write_text(f"{studio.base}/?token=wrong\n")
    wrong = [*command[:2], tmp_path / "address.txt", *command[3:], tmp_path / "other.png"]
    found = subprocess.run(wrong, capture_output=True, text=True)
    assert (found.returncode, found.stderr.count("\n")) == (1, 1)
    assert "token" in found.stderr
