"""Layers, channels and classes are chosen, not typed."""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import expect

from browsing import SMALL, go, settings_in, violations, wait_until_settled
from lanterna.images import open_picture
from lanterna.networks import open_network, to_input

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from served import Server


def test_a_network_is_described_from_the_picture_to_the_answer(studio: Server) -> None:
    found = studio("GET", "/api/networks/efficientnet-lite0/layers")
    layers = {each["name"]: each for each in found["layers"]}
    assert list(layers) == list(open_network("efficientnet-lite0").layers)
    assert layers["block9"]["shape"] == [112, 14, 14]
    # The words follow one another with what a unit sees.
    words = list(dict.fromkeys(each["sees"] for each in found["layers"] if not each["minor"]))
    assert words == ["edges", "textures", "parts", "objects"]
    assert layers["output"]["sees"] == "classes"
    assert found["classes"][1] == "goldfish"
    assert studio("GET", "/api/networks/vgg19/layers")["classes"] == []
    assert studio.error("GET", "/api/networks/torch:nn/layers")[0] in (404, 422)


def test_channels_are_shown_by_what_they_respond_to(studio: Server, real_shelf: Path) -> None:
    picture = studio("POST", "/api/examples/chelsea.png")["id"]
    found = studio("GET", f"/api/channels?network=efficientnet-lite0&layer=block9&picture={picture}")
    network = open_network("efficientnet-lite0")
    image = to_input(open_picture(real_shelf / "photographs" / "chelsea.png"), network.input_spec)
    with torch.no_grad():
        maps = dict(network.run(image[None]))["block9"][0]
    assert sorted(found["channels"]) == list(range(112))
    assert found["channels"][0] == int(maps.mean((1, 2)).argmax())
    side, columns = found["side"], found["columns"]
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["picture"].partition(",")[2]))), float)
    assert sheet.shape == (112 // columns * side, columns * side, 3)
    # A tile is brightest where its channel is active, and shows a part of the picture.
    photograph = (image.permute(1, 2, 0).numpy() * 255).mean((0, 1))
    tile = sheet[:side, :side]
    assert np.abs(tile.mean((0, 1)) / tile.mean() - photograph / photograph.mean()).max() < 0.5
    assert studio.error("GET", "/api/channels?network=efficientnet-lite0&layer=nine")[1].startswith(
        "efficientnet-lite0 has no layer 'nine'"
    )


def test_layers_and_channels_are_chosen_in_a_dialog(page: Page, studio: Server) -> None:
    go(page, f"#/dream?{SMALL}")
    page.locator(".field", has=page.locator("#set-layer")).get_by_role("button", name="Choose …").click()
    dialog = page.get_by_role("dialog", name="Layers of efficientnet-lite0")
    dialog.get_by_role("checkbox", name="block5").check()
    dialog.get_by_role("button", name="block9 parts").click()  # is shown, but not chosen
    expect(dialog.get_by_role("group", name="Channels")).to_have_attribute("data-pictures", "true")
    expect(dialog.get_by_role("status")).to_have_text("block5")
    channels = dialog.get_by_role("button", name=re.compile("^Channel "))
    expect(channels).to_have_count(112)
    channels.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    second = channels.nth(1)
    expect(second).to_have_attribute("aria-pressed", "true")
    number = str(second.get_attribute("aria-label")).removeprefix("Channel ")
    first = str(channels.first.get_attribute("aria-label")).removeprefix("Channel ")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    wait_until_settled(page)
    assert violations(page) == []
    dialog.get_by_role("button", name="Use these").click()
    expect(dialog).to_have_count(0)
    assert settings_in(page)["layer"] == f"block5,block9:{number},{first}"
    expect(page.locator("#set-layer")).to_have_value(f"block5, block9:{number},{first}")
    expect(page.get_by_text(f"block5; block9, channels {number} and {first}")).to_be_visible()
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".facts")).to_contain_text("done")
    job = studio("GET", f"/api/jobs/{settings_in(page)['job']}")
    assert job["settings"]["layer"] == ["block5", f"block9:{number},{first}"]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("block9:31,40", ["block9:31,40"]),
        ("block9:31, 40*0.5, block12", ["block9:31,40*0.5", "block12"]),
        ("block5 block9:strongest4", ["block5", "block9:strongest4"]),
    ],
)
def test_targets_can_be_typed_and_survive_a_link(page: Page, typed: str, expected: list[str]) -> None:
    go(page, "#/dream")
    field = page.locator("#set-layer")
    field.fill(typed)
    field.press("Enter")
    expect(field).to_have_value(", ".join(expected))
    with page.expect_request(lambda request: request.url.endswith("/api/jobs/check")) as checked:
        page.reload()
    assert checked.value.post_data_json["settings"]["layer"] == expected


def test_classes_are_found_by_search(page: Page, studio: Server) -> None:
    go(page, f"#/dream?{SMALL}")
    page.get_by_text("More", exact=False).first.click()
    search = page.get_by_role("combobox", name="Class")
    search.fill("cat")
    options = page.get_by_role("listbox", name="Matching classes").get_by_role("option")
    expect(options.first).to_have_text("tabby cat")
    assert options.all_inner_texts()[:2] == ["tabby cat", "tiger cat"]
    assert "catamaran" in options.all_inner_texts()
    search.press("ArrowDown")
    assert violations(page) == []
    search.press("Enter")
    search.fill("1")
    search.press("Enter")
    assert settings_in(page)["class_"] == "tiger cat,goldfish"
    page.get_by_role("button", name="Remove goldfish").click()
    search.fill("no such animal")
    expect(page.get_by_text("efficientnet-lite0 has no class like “no such animal”.")).to_be_visible()
    search.press("Escape")
    page.reload()
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".facts")).to_contain_text("done")
    job = studio("GET", f"/api/jobs/{settings_in(page)['job']}")
    assert job["settings"]["class_"] == ["tiger cat"]


def test_start_works_whatever_is_chosen_to_look_at(page: Page) -> None:
    start = page.get_by_role("button", name="Start")
    go(page, "#/look?kind=feature&steps=2&size=64")
    page.locator(".field", has=page.locator("#set-channel")).get_by_role("button", name="Choose …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Channel 31", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    dialog.get_by_role("button", name="Channel 40", exact=True).click()
    dialog.get_by_role("button", name="Use these").click()
    expect(page.locator("#set-channel")).to_have_value("40")
    search = page.get_by_role("combobox", name="Class")
    search.fill("goldfi")
    expect(page.get_by_role("option", name="goldfish")).to_be_visible()
    search.press("Enter")
    expect(page.locator("#set-channel")).to_have_value("")  # one target at a time
    expect(start).to_be_enabled()
    page.get_by_label("Network", exact=True).select_option("vgg19")  # which has no block9, and no classes
    expect(page.locator("#set-layer")).to_have_value("relu5_1")
    search.click()
    expect(page.get_by_text("vgg19 has no classes.")).to_be_visible()
    search.press("Escape")
    start.click()
    expect(page.locator(".facts")).to_contain_text("done")
