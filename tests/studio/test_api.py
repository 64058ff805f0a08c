"""The studio's API matches its description, whatever is sent to it."""

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

# Schemathesis checks that do not apply: a deleted picture can be restored; a value that matches its schema
# may still be refused (a file that is not a picture, a recipe's own rules); HEAD comes with GET.
_EXCLUDED_CHECKS = "use_after_free,positive_data_acceptance,unsupported_method"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    served = Server(tmp_path_factory.mktemp("described"))
    yield served
    served.close()


def test_the_api_matches_its_description(studio: Server, tmp_path: Path) -> None:
    studio.wait(studio.start("random", settings={"width": 32, "height": 32}))
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{studio.base}/api/openapi.json",
        "--header", f"Authorization: Bearer {studio.token}", "--exclude-path", "/api/events",
        "--exclude-checks", _EXCLUDED_CHECKS, "--max-examples", "4", "--phases", "fuzzing",
        "--request-timeout", "180", "--seed", "1", "--no-color",
    ]  # fmt: skip
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONWARNINGS"}
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout[-6000:]


def test_settings_are_described_by_their_pydantic_fields(studio: Server) -> None:
    kinds = {each["kind"]: each for each in studio("GET", "/api/techniques")["techniques"]}
    assert {"dream", "style", "instant", "paint", "train", "random", "feature"} <= kinds.keys()
    properties = kinds["dream"]["schema"]["properties"]
    assert list(properties) == list(Dream.model_fields)
    assert properties["octaves"]["maximum"] == 12
    assert properties["octaves"]["description"] == Dream.model_fields["octaves"].description
    assert kinds["dream"]["presets"]["mosaic"] == {"layer": "block9:38", "step_size": 2.0}
    for kind in kinds.values():
        assert {*kind["live"], *kind["plain"], *kind["hidden"]} <= kind["schema"]["properties"].keys()


def test_a_wrong_body_is_refused_in_one_line(studio: Server) -> None:
    job = studio.start("random", settings={"width": 32, "height": 32})
    picture = studio.wait(job)["picture"]
    job_fields = "kind, settings, preset, inputs, title, parent, at"
    for method, path, body, message in (
        ("POST", "jobs", {"kind": "random", "colour": 1}, f"unknown field 'colour': expected {job_fields}"),
        ("POST", "jobs", {"kind": "random", "x" * 90: 1},
         f"unknown field '{'x' * 40}': expected {job_fields}"),
        ("POST", "jobs", {"kind": 3}, "kind has the wrong type"),
        ("POST", "jobs", {"kind": "random", "settings": []}, "settings has the wrong type"),
        ("POST", "jobs", {"kind": "random", "title": None}, "title has the wrong type"),
        ("POST", "jobs", {"kind": "random", "parent": 7}, "parent has the wrong type"),
        ("POST", "jobs", {"kind": "random", "parent": job, "at": True}, "at has the wrong type"),
        ("POST", "jobs", {"kind": "random", "parent": job, "at": 1.0}, "at has the wrong type"),
        ("POST", "jobs", {"kind": "random", "inputs": {}}, "inputs has the wrong type"),
        ("POST", "jobs", {"kind": "random", "inputs": [3]}, "expected an input as {role, picture}"),
        ("POST", "jobs", {"kind": "random", "inputs": [{"role": 3, "picture": picture}]},
         "role has the wrong type"),
        ("POST", "jobs", {"kind": "random", "inputs": [{"rol": 3, "picture": picture}]},
         "unknown field 'rol': expected role, picture"),
        ("PATCH", f"jobs/{job}", {"before": 3}, "before has the wrong type"),
        ("PATCH", f"jobs/{job}", {"state": "gone"}, "state: expected paused, running, stopped, got 'gone'"),
        ("PATCH", f"gallery/{picture}", {"starred": 1}, "starred has the wrong type"),
        ("PATCH", f"gallery/{picture}", {"star": True},
         "unknown field 'star': expected starred, title, tags"),
        ("PATCH", "networks/mine", {"name": 3}, "name has the wrong type"),
        ("POST", "imagine", {"digit": 10}, "digit: expected a number from 0 to 9, got 10"),
        ("POST", "imagine", {"digit": 1, "guidance": 1e9},
         "guidance: expected a number from 0 to 10, got 1000000000.0"),
        ("POST", "lessons/gates/explain", {"exercise": 1, "words": "x" * 5001},
         "words: expected at most 5,000 characters, got 5,001"),
    ):  # fmt: skip
        assert studio.error(method, f"/api/{path}", body) == (422, message)
    assert "answer" in studio.error("POST", "/api/lessons/gates/check", {"exercise": 1})[1]


def test_the_server_starts_without_torch() -> None:
    from importlib.util import find_spec

    assert find_spec("torch")
    code = "import sys, lanterna.surfaces.studio.server; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_browser_caches_the_pages_files(studio: Server) -> None:
    status, content, headers = studio.request("GET", "/web/look.js?v=1")
    assert (status, headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert "immutable" in headers["cache-control"]
    assert content
    again = studio.request("GET", "/web/look.js", headers={"If-None-Match": headers["etag"]})
    assert (again[0], again[1]) == (304, b"")
