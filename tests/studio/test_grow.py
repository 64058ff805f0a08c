"""The room Grow: a texture is grown, and lives in a page of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from playwright.sync_api import expect

from browsing import go
from lanterna.images import save_picture

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from served import Server


def test_a_grown_texture_is_watched_live(page: Page, studio: Server, tmp_path: Path) -> None:
    save_picture(torch.rand(3, 48, 48, generator=torch.Generator().manual_seed(0)), tmp_path / "sand.png")
    given = studio.send(tmp_path / "sand.png")["id"]
    settings = {"training": 1, "side": 32, "detail": 32, "size": 32, "steps": 2}
    job = studio.start("grow", settings=settings, inputs=[("picture", given)])
    assert studio.wait(job)["state"] == "done"
    page.add_init_script("if (parent !== window) requestAnimationFrame = () => 0")  # slow here
    go(page, f"#/grow?job={job}")
    page.get_by_role("link", name="Watch it live").click()
    texture = page.frame_locator("iframe")
    expect(texture.get_by_role("application")).to_be_visible()
    expect(texture.get_by_role("button", name="Pause")).to_be_visible()
    page.get_by_role("link", name="Back to the picture").click()
    expect(page.get_by_role("img", name="Grow: the result")).to_be_visible()
    assert studio.error("GET", f"/api/look/texture?picture={given}")[0] == 404


def test_a_grown_shape_has_a_page_too(page: Page, studio: Server, tmp_path: Path) -> None:
    drawing = torch.ones(3, 48, 48)
    drawing[:2, 12:36, 12:36] = 0.2
    save_picture(drawing, tmp_path / "square.png")
    given = studio.send(tmp_path / "square.png")["id"]
    job = studio.start(
        "grow-shape", settings={"training": 1, "detail": 16, "steps": 2}, inputs=[("drawing", given)]
    )
    assert studio.wait(job)["state"] == "done"
    page.add_init_script("if (parent !== window) requestAnimationFrame = () => 0")  # slow here
    go(page, f"#/grow?kind=grow-shape&job={job}")
    page.get_by_role("link", name="Watch it live").click()
    shape = page.frame_locator("iframe")
    expect(shape.get_by_role("application", name="Enter plants a cell")).to_be_visible()
    page.get_by_role("link", name="Back to the picture").click()
    expect(page.get_by_role("img", name="Shape: the result")).to_be_visible()
