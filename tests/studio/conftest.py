"""What the tests of the studio share, as they use one studio, one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from served import Server


@pytest.fixture(autouse=True)
def nothing_goes_on(request: pytest.FixtureRequest) -> Iterator[None]:
    """No job of a test that has failed holds up the next test's."""
    yield
    if "studio" not in request.fixturenames:
        return
    studio: Server = request.getfixturevalue("studio")
    for job in studio("GET", "/api/jobs"):
        if job["state"] in ("queued", "running", "paused"):
            studio.stop(job["id"])
