"""A call that takes too long is ended together with its process, and the next call starts a new one."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

import pytest
import torch

from hostile import many_scans, png
from lanterna import save_picture
from lanterna.errors import UsageError
from lanterna.surfaces.studio.isolated import IsolatedProcess
from lanterna.surfaces.studio.routes.pictures import import_file
from lanterna.surfaces.studio.studio import Studio
from served import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from served import Served

pytestmark = pytest.mark.slow


def run_in_thread(function: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine in a new thread: a browser's event loop may be running in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(function())).result()


def test_a_call_that_takes_too_long_is_ended_even_while_it_holds_the_gil() -> None:
    async def hang() -> None:
        process = IsolatedProcess(0.2)
        with pytest.raises(BrokenProcessPool):
            await process.run(sum, range(2**62))  # a single call into C
        process.seconds = TIMEOUT
        assert await process.run(sum, range(3)) == 3
        running = asyncio.create_task(process.run(time.sleep, 10 * TIMEOUT))
        await asyncio.sleep(0.1)
        process.close()
        with pytest.raises(BrokenProcessPool):
            await running

    run_in_thread(hang)


def test_a_picture_that_takes_too_long_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    async def send() -> None:
        studio = Studio(tmp_path / "studio")
        async with studio.lifespan(None):  # type: ignore[arg-type]  (the unused app)
            studio.decoder.seconds = 1e-6
            with pytest.raises(UsageError, match="cannot be decoded within 60 seconds"):
                await import_file(studio, tmp_path / "a.png", "upload", "")
            assert not list((tmp_path / "studio/pictures").iterdir())
            studio.decoder.seconds = TIMEOUT
            assert (await import_file(studio, tmp_path / "a.png", "upload", ""))["width"] == 64

    save_picture(torch.rand(3, 48, 64), tmp_path / "a.png")
    run_in_thread(send)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(many_scans(1200), "scans"), (png(1, 200_000_000, 8, 0, bytes(1000)), "sides of at most")],
)
def test_small_files_that_would_take_minutes_are_refused_immediately(
    studio: Served, content: bytes, expected: str
) -> None:
    for path in ("/api/pictures", "/api/classify"):
        status, message = studio.error("POST", path, content, headers={"Content-Type": "image/png"})
        assert (status, expected in message) == (422, True), (path, message)
    assert not list((studio.home / "studio/incoming").iterdir())
