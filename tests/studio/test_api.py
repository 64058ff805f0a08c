"""The studio's API is as its description says, whatever is sent to it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lanterna.techniques.dream.algorithm import Dream
from served import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What schemathesis wants otherwise: a deleted picture can be had back; a value may be refused that its schema
# cannot tell apart (a file that is no picture, a recipe's own rules); HEAD comes with GET.
_NOT_OURS = "use_after_free,positive_data_acceptance,unsupported_method"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    served = Server(tmp_path_factory.mktemp("described"))
    yield served
    served.close()


def test_the_api_is_as_described(studio: Server, tmp_path: Path) -> None:
    studio.wait(studio.start("random", settings={"width": 32, "height": 32}))
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{studio.base}/api/openapi.json",
        "--header", f"Authorization: Bearer {studio.token}", "--exclude-path", "/api/events",
        "--exclude-checks", _NOT_OURS, "--max-examples", "4", "--phases", "fuzzing",
        "--request-timeout", "180", "--seed", "1", "--no-color",
    ]  # fmt: skip
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONWARNINGS"}
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout[-6000:]


def test_recipes_are_described_from_their_own_fields(studio: Server) -> None:
    kinds = {each["kind"]: each for each in studio("GET", "/api/techniques")["techniques"]}
    assert {"dream", "style", "instant", "paint", "train", "random", "feature"} <= kinds.keys()
    properties = kinds["dream"]["schema"]["properties"]
    assert list(properties) == list(Dream.model_fields)
    assert properties["octaves"]["maximum"] == 12
    assert properties["octaves"]["description"] == Dream.model_fields["octaves"].description
    assert kinds["dream"]["presets"]["eyes"] == {"layer": "block9"}
    for kind in kinds.values():
        assert {*kind["live"], *kind["plain"], *kind["hidden"]} <= kind["schema"]["properties"].keys()


def test_what_is_wrong_about_a_body_is_said_in_one_line(studio: Server) -> None:
    job = studio.start("random", settings={"width": 32, "height": 32})
    picture = studio.wait(job)["picture"]
    of_a_job = "kind, settings, preset, inputs, title, parent, at"
    for method, path, body, line in (
        ("POST", "jobs", {"kind": "random", "colour": 1}, f"there is no 'colour' here: there is {of_a_job}"),
        ("POST", "jobs", {"kind": "random", "x" * 90: 1},
         f"there is no '{'x' * 40}' here: there is {of_a_job}"),
        ("POST", "jobs", {"kind": 3}, "kind is of another type"),
        ("POST", "jobs", {"kind": "random", "settings": []}, "settings is of another type"),
        ("POST", "jobs", {"kind": "random", "title": None}, "title is of another type"),
        ("POST", "jobs", {"kind": "random", "parent": 7}, "parent is of another type"),
        ("POST", "jobs", {"kind": "random", "parent": job, "at": True}, "at is of another type"),
        ("POST", "jobs", {"kind": "random", "parent": job, "at": 1.0}, "at is of another type"),
        ("POST", "jobs", {"kind": "random", "inputs": {}}, "inputs is of another type"),
        ("POST", "jobs", {"kind": "random", "inputs": [3]}, "an input is {role, picture}"),
        ("POST", "jobs", {"kind": "random", "inputs": [{"role": 3, "picture": picture}]},
         "role is of another type"),
        ("POST", "jobs", {"kind": "random", "inputs": [{"rol": 3, "picture": picture}]},
         "there is no 'rol' here: there is role, picture"),
        ("PATCH", f"jobs/{job}", {"before": 3}, "before is of another type"),
        ("PATCH", f"jobs/{job}", {"state": "gone"}, "state: expected paused, running, stopped, got 'gone'"),
        ("PATCH", f"gallery/{picture}", {"starred": 1}, "starred is of another type"),
        ("PATCH", f"gallery/{picture}", {"star": True},
         "there is no 'star' here: there is starred, title"),
        ("PATCH", "networks/mine", {"name": 3}, "name is of another type"),
    ):  # fmt: skip
        assert studio.error(method, f"/api/{path}", body) == (422, line)
    assert "answer" in studio.error("POST", "/api/lessons/gates/check", {"exercise": 1})[1]


def test_the_page_is_there_before_torch() -> None:
    from importlib.util import find_spec

    assert find_spec("torch")
    code = "import sys, lanterna.surfaces.studio.server; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_each_file_of_the_page_is_kept_by_the_browser(studio: Server) -> None:
    status, content, headers = studio.request("GET", "/web/look.js?v=1")
    assert (status, headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert "immutable" in headers["cache-control"]
    assert content
    again = studio.request("GET", "/web/look.js", headers={"If-None-Match": headers["etag"]})
    assert (again[0], again[1]) == (304, b"")
