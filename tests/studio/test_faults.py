"""What once went wrong in the studio: drops ignored, names, changed settings lost, parts out of view."""

from __future__ import annotations

import io
import os
import re
import resource
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from browsing import ENDLESS, SHIFTS, SMALL, drop, go, settings_in, stop_job, wait_until_settled
from lanterna.surfaces.studio.access import FILE, saved_access
from lanterna.surfaces.studio.names import automatic_title, file_name, without_folders
from lanterna.surfaces.studio.store import Store, new_id
from served import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from served import Server

PHONE = {"width": 390, "height": 844}
LAPTOP = {"width": 1280, "height": 800}


# Without a browser.


def test_names_say_what_how_and_when() -> None:
    title = automatic_title("cat_01.jpg", "Dream", "eyes")
    assert re.fullmatch(r"Cat 01 · dream · eyes · \d\d:\d\d", title)
    assert re.fullmatch(r"Cat 01 · style · \d\d:\d\d", automatic_title(title, "Style"))  # of that dream
    assert re.fullmatch(r"Random loop · \d\d:\d\d", automatic_title("", "Random loop"))
    picture = {"title": "Cat · dream · eyes · 14:32 (2)", "suffix": ".png", "kind": "dream"}
    assert file_name(picture) == "Cat-dream-eyes-14-32-2.png"
    assert file_name(picture, ".safetensors") == "Cat-dream-eyes-14-32-2.safetensors"
    assert file_name({"title": "../..", "suffix": ".jpg", "kind": ""}) == "picture.jpg"


def test_titles_are_numbered_and_old_jobs_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lanterna.surfaces.studio.store._MAX_FINISHED", 2)
    monkeypatch.setattr("lanterna.surfaces.studio.store._MAX_SAVED", 3)
    store = Store(tmp_path)
    jobs = [store.add_job(kind="dream", settings={}, inputs=[], title="Cat") for _ in range(5)]
    assert store.unique_title("jobs", "Dog") == "Dog"
    assert store.unique_title("jobs", "Cat") == "Cat (2)"
    for ended, job in enumerate(jobs[1:], start=1):
        for step in (10, 20, 30):
            store.record_progress(job, step, {"loss": 1.0})
        store.change_job(job, state="done", ended=float(ended))
    store.limit_jobs()
    assert {each["id"] for each in store.jobs()} == {jobs[0], jobs[3], jobs[4]}  # one still waits
    assert store.job(jobs[2])["title"] == "Cat"
    with pytest.raises(KeyError):
        store.job(jobs[1])
    assert [len(store.numbers(job, -1)) for job in jobs] == [0, 0, 0, 3, 3]
    store.record_progress(jobs[4], 20, {"loss": 2.0})  # it went back
    assert [row["step"] for row in store.numbers(jobs[4], -1)] == [10, 20]
    store.close()


def test_the_saved_secrets_are_private_and_renewed_if_damaged(empty_home: Path) -> None:
    folder = empty_home / "studio"
    access = saved_access(folder)
    assert saved_access(folder) == access
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600
    for damaged in ("", "[]", "{}", '{"token": "short"}', '{"token": "a b c d e f g h i j k"}'):
        (folder / FILE).write_text(damaged)
        renewed = saved_access(folder)
        assert renewed.token != access.token
        assert min(map(len, renewed.model_dump().values())) >= 32
        assert saved_access(folder) == renewed


def test_errors_name_no_folders(home: Path) -> None:
    message = f"the network in {home}/networks/mine is damaged: see {home}/studio/jobs/1/preview.jpg."
    assert without_folders(message) == "the network in mine is damaged: see preview.jpg."
    unchanged = "an input's picture is not in the studio: upload it to /api/pictures first, in 1/2 s"
    assert without_folders(unchanged) == unchanged


def test_jobs_and_their_pictures_have_real_names(studio: Server) -> None:
    cat = studio("POST", "/api/examples/chelsea.png")["id"]
    settings = {"size": 64, "octaves": 1, "steps": 1}
    job = studio.wait(studio.start("dream", preset="gentle", settings=settings, inputs=[("picture", cat)]))
    assert re.fullmatch(r"Cat · dream · gentle · \d\d:\d\d( \(\d+\))?", job["title"])
    picture = studio("GET", f"/api/pictures/{job['picture']}")
    assert picture["title"].startswith(job["title"])
    assert re.fullmatch(r"Cat-dream-gentle-\d\d-\d\d(-\d+)*\.png", picture["file"])
    studio("PATCH", f"/api/gallery/{picture['id']}", {"title": "Whiskers at dawn"})
    assert studio("GET", f"/api/jobs/{job['id']}")["title"] == "Whiskers at dawn"
    assert studio("GET", f"/api/pictures/{picture['id']}")["file"] == "Whiskers-at-dawn.png"


def test_settings_changed_at_the_same_time_are_all_kept(studio: Server) -> None:
    from concurrent.futures import ThreadPoolExecutor

    cat = studio("POST", "/api/examples/chelsea.png")["id"]
    settings = {"size": 256, "octaves": 1, "steps": 1000}
    job = studio.start("dream", settings=settings, inputs=[("picture", cat)])
    changes = {"step_size": 7.0, "layer": ["block5"], "jitter": 3}
    with ThreadPoolExecutor(len(changes)) as threads:
        for name, value in changes.items():
            threads.submit(studio, "PATCH", f"/api/jobs/{job}", {"settings": {name: value}})
    found = studio("GET", f"/api/jobs/{job}")["settings"]
    assert {name: found[name] for name in changes} == changes
    studio.stop(job)
    assert studio.error("PATCH", f"/api/jobs/{job}", {"settings": {"step_size": 1}})[0] == 409


def test_settings_changed_while_weights_are_fetched_are_applied(tmp_path: Path) -> None:
    import queue

    from lanterna.surfaces.studio import worker
    from lanterna.surfaces.studio.techniques import technique_named

    sent: list[dict[str, Any]] = []

    class Pipe:
        def send(self, message: dict[str, Any]) -> None:
            sent.append(message)

    technique = technique_named("random")
    settings = technique.settings.checked({"width": 24, "height": 24}).model_dump(mode="json")
    commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    job = {
        "job": "1",
        "settings": settings,
        "changed": None,
        "folder": str(tmp_path),
        "files": {},
        "title": "",
    }
    run = worker._Run(technique, job, commands, Pipe())  # type: ignore[arg-type]
    run.history = worker.History(tmp_path)
    commands.put({"do": "change", "job": "1", "settings": {**settings, "seed": 7}})
    run._report_progress("fetching weights", 1, 2)
    assert run.new_settings is not None
    assert run.new_settings["seed"] == 7


def test_a_job_is_checked_before_it_starts(studio: Server) -> None:
    cat = studio("POST", "/api/examples/chelsea.png")["id"]
    before = len(studio("GET", "/api/jobs"))
    photograph, painting = ({"role": role, "picture": cat} for role in ("picture", "style"))
    assert studio("POST", "/api/jobs/check", {"kind": "instant", "inputs": [photograph, painting]})
    status, words = studio.error("POST", "/api/jobs/check", {"kind": "instant", "inputs": [photograph]})
    assert (status, "expected a painting as the style" in words) == (422, True)
    for each in studio("GET", "/api/techniques")["techniques"]:
        if each["example"]:  # what a form starts with can be started
            studio("POST", "/api/jobs/check", {"kind": each["kind"], "settings": each["example"]})
    assert studio.error("POST", "/api/jobs/check", {"kind": "feature"})[0] == 422
    assert len(studio("GET", "/api/jobs")) == before


def test_a_transparent_picture_says_so(studio: Server) -> None:
    def upload(alpha: int) -> Any:
        file = io.BytesIO()
        picture = Image.new("RGBA", (40, 30), (10, 20, 200, 255))
        picture.paste((10, 20, 200, alpha), (5, 5, 20, 20))
        picture.save(file, "PNG")
        return studio("POST", "/api/pictures", file.getvalue(), headers={"Content-Type": "image/png"})

    assert upload(0)["note"] == "its transparent parts became white"
    assert upload(255)["note"] == ""


def seconds(pid: int) -> float:
    """Return a process's processor time."""
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def test_memory_that_runs_out_in_look_does_not_take_the_page_along(studio: Server) -> None:
    pictures = [studio("POST", f"/api/examples/{name}.png")["id"] for name in ("chelsea", "coffee")]
    address = f"/api/look?network=efficientnet-lite0&picture={{}}&n={new_id()}"
    before = {each: seconds(each) for each in studio.processes()}
    assert studio.request("GET", address.format(pictures[0]))[0] == 200
    looker = max(studio.processes(), key=lambda each: seconds(each) - before.get(each, 0.0))
    resource.prlimit(looker, resource.RLIMIT_AS, (2**20, resource.RLIM_INFINITY))
    status, words = studio.error("GET", address.format(pictures[1]))
    assert status == 500
    assert "memory" in words
    assert studio("GET", "/api/techniques")["rooms"]  # the page works on
    resource.prlimit(looker, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert studio.request("GET", address.format(pictures[1]))[0] == 200


def test_a_network_that_is_taught_again_answers_with_its_new_classes(studio: Server, tmp_path: Path) -> None:
    pictures = []
    for number in range(8):
        file = tmp_path / f"{number}.png"
        Image.new("RGB", (64, 64), (250, 20 * number, 0) if number < 4 else (0, 20 * number, 250)).save(file)
        pictures.append(studio.send(file)["id"])
    content = studio.file(pictures[0])
    for first, second in (("warm", "cold"), ("fire", "ice")):
        settings = {"labels": [first] * 4 + [second] * 4}
        inputs = [("picture", each) for each in pictures]
        job = studio.wait(studio.start("teach", settings=settings, inputs=inputs, title="again"))
        assert job["state"] == "done", job["error"]
        answers = studio(
            "POST", "/api/classify?network=again", content, headers={"Content-Type": "image/png"}
        )
        assert {each["name"] for each in answers["answers"]} == {first, second}
        studio("DELETE", "/api/networks/again")


# In a browser.


def on_top(element: Locator) -> bool:
    """Return whether a user can see and click the middle of an element."""
    found: bool = element.evaluate(
        """(element) => {
          const box = element.getBoundingClientRect();
          const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
          return !!top && (element.contains(top) || top.contains(element));
        }"""
    )
    return found


def test_what_is_dropped_in_any_room_is_taken(page: Page, studio: Server):
    go(page, "#/gallery")
    expect(page.get_by_role("heading", name="Gallery")).to_be_visible()
    assert drop(page, ".gallery", 1)
    page.get_by_role("button", name="Open in Dream").click()
    expect(page.get_by_role("img", name="Cat 0.png")).to_be_visible()
    for room in ("learn", "train"):
        page.evaluate("room => { location.hash = `#/${room}`; }", room)
        expect(page.get_by_role("heading", level=1)).to_contain_text(room.title())
        assert drop(page, "#main", 1)
        expect(page.get_by_role("button", name="Open in Dream").last).to_be_visible()
    page.evaluate("location.hash = '#/look?network=efficientnet-lite0'")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Look")
    assert drop(page, "header.finder h1", 1)
    expect(page.get_by_role("button", name=re.compile("^picture: Cat 0"))).to_be_visible()
    page.evaluate("location.hash = '#/teach'")
    expect(page.get_by_label("Pictures of class 1", exact=True)).to_contain_text("0")
    assert drop(page, ".teach .panel", 2)  # beside the classes
    expect(page.get_by_label("Pictures of class 1", exact=True)).to_contain_text("2")
    assert drop(page, ".taught-class >> nth=1", 3)
    expect(page.get_by_label("Pictures of class 2", exact=True)).to_contain_text("3")
    # Whatever is removed there can be brought back.
    page.get_by_role("button", name="Remove picture 2 of class 2").click()
    expect(page.get_by_label("Pictures of class 2", exact=True)).to_contain_text("2")
    page.locator(".notice", has_text="A picture of").get_by_role("button", name="Undo").click()
    expect(page.get_by_label("Pictures of class 2", exact=True)).to_contain_text("3")
    page.get_by_label("Name of class 2").fill("cats")
    page.get_by_role("button", name="Remove cats").click()
    expect(page.locator(".taught-class")).to_have_count(1)
    page.locator(".notice", has_text="cats was removed").get_by_role("button", name="Undo").click()
    expect(page.get_by_label("Pictures of cats", exact=True)).to_contain_text("3")
    # Several pictures where one is needed: a job for each.
    page.evaluate("location.hash = '#/dream?size=48&octaves=1&steps=1'")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Dream")
    assert drop(page, ".workspace", 3)
    expect(page.get_by_role("img", name="Cat 0.png")).to_be_visible()
    page.get_by_role("button", name="Start 3 jobs").click()

    def names() -> list[str]:
        titles = [job["title"] for job in studio("GET", "/api/jobs")]
        return sorted(each[:5] for each in titles if re.match(r"Cat \d", each))

    wait_until(lambda: names() == ["Cat 0", "Cat 1", "Cat 2"], names)


def test_a_running_job_keeps_every_change_and_shows_its_end_in_every_tab(page: Page, studio: Server):
    go(page, f"#/dream?{ENDLESS}")
    start = page.get_by_role("button", name="Start")
    expect(page.get_by_role("img", name="cat")).to_be_visible()
    start.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Start another")).to_be_focused()
    expect(page.get_by_role("img", name="Dream: the picture so far")).to_be_visible()
    expect(page).to_have_title(re.compile(r"^\d+ % · Dream – "))
    page.locator(".more summary").click()
    page.evaluate(
        """() => {  // two sliders within the time in which changes are collected
          for (const [name, place] of [["step_size", 700], ["jitter", 900]]) {
            const slider = document.getElementById(`set-${name}`);
            slider.value = place;
            slider.dispatchEvent(new Event("input", { bubbles: true }));
          }
        }"""
    )
    changed = settings_in(page)
    job = changed["job"]
    studio.wait_until(
        job,
        lambda found: all(
            found["settings"][name] == float(changed[name]) for name in ("step_size", "jitter")
        ),
    )
    # On a narrow screen every button of a running job can be clicked.
    page.set_viewport_size({"width": 768, "height": 900})
    for name in ("Start another", "Pause", "Stop"):
        button = page.locator(".go").get_by_role("button", name=name)
        expect(button).to_be_in_viewport(ratio=1)
        assert on_top(button), name
    page.set_viewport_size(LAPTOP)
    # Another tab shows the job too, and its end; a room of another technique does not.
    other = page.context.new_page()
    other.goto("#/dream?kind=dream-film")
    expect(other.get_by_role("heading", level=1)).to_be_visible()
    expect(other.locator(".strip")).to_contain_text("of 1000")
    expect(other.locator(".go").get_by_role("button", name="Stop")).to_have_count(0)
    go(other, "#/dream")
    expect(other.get_by_role("img", name="Dream: the picture so far")).to_be_visible()
    steps = page.get_by_role("radio", name=re.compile("^Step "))
    expect(steps.nth(2)).to_be_visible()
    stop_job(page)
    for tab in (page, other):
        expect(tab.get_by_role("img", name="Dream: the result")).to_be_visible()
    # The strip of steps shows the newest, and the chosen step in full.
    page.set_viewport_size(PHONE)
    page.reload()
    expect(page.get_by_role("radio", name="end")).to_be_in_viewport(ratio=1)
    page.get_by_role("radio", name="end").press("Home")
    expect(page.get_by_role("radio", checked=True, name=re.compile("^Step "))).to_be_in_viewport(ratio=1)
    other.close()


def test_a_finished_job_can_be_opened_from_anywhere(page: Page, studio: Server):
    go(page, "#/gallery")
    expect(page.get_by_role("heading", name="Gallery")).to_be_visible()
    cat = studio("POST", "/api/examples/chelsea.png")["id"]
    settings = {"size": 96, "octaves": 1, "steps": 30}
    job = studio.start("dream", settings=settings, inputs=[("picture", cat)], title="Moustache")
    page.locator(".notice", has_text="Moustache is done").get_by_role("button", name="Open").click()
    expect(page.get_by_role("img", name="Dream: the result")).to_be_visible()
    assert settings_in(page)["job"] == job
    # In the gallery: a real name for the file, and everything within the window.
    page.evaluate("location.hash = '#/gallery?words=moustache'")
    page.locator(".tile").first.click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Save").click()
    assert download.value.suggested_filename == "Moustache.png"
    for size in (LAPTOP, PHONE):
        page.set_viewport_size(size)
        page.get_by_text("Send to …").click()
        choices = page.locator(".menu[open] button")
        expect(choices.first).to_be_visible()
        assert all(on_top(each) for each in choices.all()), size
        page.keyboard.press("Escape")
        expect(page.locator(".menu[open]")).to_have_count(0)
        expect(page.get_by_role("dialog")).to_be_visible()
    command = page.get_by_label("Command line")
    assert command.evaluate("each => each.clientHeight >= Math.min(each.scrollHeight, 200)")


def test_a_mask_is_painted_on_a_phone(page: Page):
    page.set_viewport_size(PHONE)
    go(page, f"#/dream?{SMALL}")
    brush = page.get_by_role("button", name="Draw a mask")
    brush.click()
    canvas, tools = page.get_by_role("application"), page.get_by_role("toolbar", name="Mask")
    expect(canvas).to_be_in_viewport(ratio=1)
    expect(tools).to_be_in_viewport(ratio=1)
    paper, below = canvas.bounding_box(), tools.bounding_box()
    assert paper
    assert below
    assert paper["y"] + paper["height"] <= below["y"]
    assert all(on_top(each) for each in tools.get_by_role("button").all())
    page.get_by_role("button", name="Cancel").click()
    # At 200 % zoom Start is on the first screen.
    page.set_viewport_size({"width": 640, "height": 400})
    page.evaluate("scrollTo(0, 0)")
    expect(page.get_by_role("button", name="Start")).to_be_in_viewport(ratio=1)
    assert on_top(page.get_by_role("button", name="Start"))


def test_every_technique_starts_as_it_is_and_nothing_moves(page: Page):
    page.add_init_script(SHIFTS)
    for address in (
        "#/look?kind=feature&steps=2&size=64",
        "#/style?kind=instant&size=64",
        "#/dream?kind=dream-sheet&side=48&octaves=1&steps=1",
    ):
        go(page, address)
        start = page.locator(".go .primary")
        expect(start).to_have_text(re.compile("^Start"))  # and perhaps how long it takes
        expect(start).to_be_enabled()
        expect(page.locator(".go .hint")).to_have_count(0)
        wait_until_settled(page)
        start.click()
        expect(page.locator(".facts")).to_contain_text("done")
        assert page.evaluate("shifts") < 0.02, address
    # What is missing is said before Start, not after.
    go(page, "#/style?kind=instant&size=64")
    expect(page.locator('[data-role="style"] img')).to_be_visible()
    page.get_by_role("button", name="Remove style").click()
    expect(page.locator(".go .hint")).to_contain_text("Expected a painting as the style")
    expect(page.locator(".go .primary")).to_be_disabled()
    page.evaluate("location.hash = '#/train'")
    expect(page.get_by_role("heading", name="Train")).to_be_visible()


def test_an_example_stays_behind_and_links_keep_dotted_layers(page: Page):
    waiting: list[Any] = []
    page.route("**/api/examples/chelsea.png", lambda route: waiting.append(route))
    go(page, "#/dream")
    wait_until(lambda: page.wait_for_timeout(50) or waiting)
    page.evaluate("location.hash = '#/read'")
    expect(page.get_by_role("heading", name="Read")).to_be_visible()
    with page.expect_response("**/api/examples/chelsea.png"):
        waiting[0].continue_()
    wait_until_settled(page)
    assert "in.picture" not in settings_in(page)
    state = page.evaluate(
        """async () => {
          const { readState, writeState } = await import("lanterna/state.js");
          const hash = "#unit=layer1.0.14&cut=layer1.0.3,layer2.1:4-5";
          return [writeState(readState(hash)), hash];
        }"""
    )
    assert state[0] == state[1]
