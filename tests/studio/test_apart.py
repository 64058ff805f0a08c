"""What takes too long is ended with its process, and the next one begins anew."""

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
from lanterna.surfaces.studio.apart import Apart
from lanterna.surfaces.studio.routes.pictures import take_in
from lanterna.surfaces.studio.studio import Studio
from served import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from served import Server

pytestmark = pytest.mark.slow


def in_a_loop(does: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """In a thread of its own: a browser's loop may be running in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(does())).result()


def test_what_takes_too_long_is_ended_even_where_python_does_not_come_to_its_turn() -> None:
    async def hang() -> None:
        apart = Apart(0.2)
        with pytest.raises(BrokenProcessPool):
            await apart.do(sum, range(2**62))  # one call, in C
        apart.seconds = TIMEOUT
        assert await apart.do(sum, range(3)) == 3
        going_on = asyncio.create_task(apart.do(time.sleep, 10 * TIMEOUT))
        await asyncio.sleep(0.1)
        apart.close()
        with pytest.raises(BrokenProcessPool):
            await going_on

    in_a_loop(hang)


def test_a_picture_that_takes_too_long_is_refused_and_nothing_of_it_stays(tmp_path: Path) -> None:
    async def send() -> None:
        studio = Studio(tmp_path / "studio")
        async with studio.opened(None):  # type: ignore[arg-type]  (the app, which it does not look at)
            studio.decoder.seconds = 1e-6
            with pytest.raises(UsageError, match="cannot be decoded within 60 seconds"):
                await take_in(studio, tmp_path / "a.png", "upload", "")
            assert not list((tmp_path / "studio/pictures").iterdir())
            studio.decoder.seconds = TIMEOUT
            assert (await take_in(studio, tmp_path / "a.png", "upload", ""))["width"] == 64

    save_picture(torch.rand(3, 48, 64), tmp_path / "a.png")
    in_a_loop(send)


@pytest.mark.parametrize(
    ("content", "words"),
    [(many_scans(1200), "scans"), (png(1, 200_000_000, 8, 0, bytes(1000)), "sides of at most")],
)
def test_small_files_that_cost_minutes_are_refused_at_once(
    studio: Server, content: bytes, words: str
) -> None:
    for path in ("/api/pictures", "/api/classify"):
        status, told = studio.error("POST", path, content, headers={"Content-Type": "image/png"})
        assert (status, words in told) == (422, True), (path, told)
    assert not list((studio.home / "studio/incoming").iterdir())
