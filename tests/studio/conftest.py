"""Shared by the studio's tests, which use one studio, one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from served import Server


@pytest.fixture(autouse=True)
def stop_jobs(request: pytest.FixtureRequest) -> Iterator[None]:
    """Stop the jobs that a failed test has left, so that they do not block the next test."""
    yield
    if "studio" not in request.fixturenames:
        return
    studio: Server = request.getfixturevalue("studio")
    for job in studio("GET", "/api/jobs"):
        if job["state"] in ("queued", "running", "paused"):
            studio.stop(job["id"])
