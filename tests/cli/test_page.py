"""The site of `lanterna page`: it opens from disk, is whole or absent, and trains as torch does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
import torch
import torch.nn.functional as F
from bs4 import BeautifulSoup
from playwright.sync_api import expect
from safetensors.torch import load_file, save_file

from browsing import draw_stroke, violations
from lanterna import open_network, read_recipe, save_picture
from lanterna.errors import UsageError
from lanterna.files import MARKER
from lanterna.images.digits import mnist
from lanterna.images.recipe import make_recipe
from lanterna.lessons import LESSONS
from lanterna.networks.digits import conv, dense
from lanterna.surfaces.cli import main
from lanterna.surfaces.cli import page as command
from lanterna.surfaces.web import class_site
from lanterna.surfaces.web.class_site import MAX_FIRST_BYTES, Contents, write_site
from lanterna.surfaces.web.lesson_page import WIDGETS
from lanterna.techniques.dream.algorithm import Dream
from lanterna.techniques.grow.rule import Rule
from lanterna.techniques.train.algorithm import _optimiser
from lanterna.techniques.train.settings import Train
from places import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TRAINING = ROOT / "src/lanterna/surfaces/web/site/training.js"
THREE_STEPS = f"""
import {{ makeTrainer, networkFile, read }} from {json.dumps(TRAINING.as_uri())};
const [weights, batches] = JSON.parse(Deno.readTextFileSync("task.json"));
for (const name of ["hidden", "hiddenBias", "output", "outputBias"])
  weights[name] = Float32Array.from(weights[name]);
const step = makeTrainer(weights);
const floats = (images) => images.map((each) => Float32Array.from(each));
const losses = batches.map(([images, labels]) => step(floats(images), labels, 0.003));
const shares = Array.from(read(weights, batches[0][0][0]));
Deno.writeFileSync("my-digits.safetensors", networkFile(weights));
console.log(JSON.stringify([losses, shares]));
"""

STROKE = ((0.3, 0.2), (0.7, 0.5), (0.4, 0.8))
INPUT = """Array.from(
  document.querySelector('.answer canvas').getContext('2d').getImageData(0, 0, 28, 28).data)"""


@pytest.fixture(scope="module", autouse=True)
def quicker():
    """The still picture of a texture is after one step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(class_site, "_STEPS", 1)
        yield


@pytest.fixture(scope="module")
def networks():
    """A convolutional and a fully connected network that have learned nothing."""
    torch.manual_seed(0)
    return {"conv": conv().eval().requires_grad_(False), "dense": dense().eval().requires_grad_(False)}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A picture with a recipe, one without, and a texture."""
    here = tmp_path_factory.mktemp("given")
    picture = torch.rand(3, 30, 40, generator=torch.Generator().manual_seed(0))
    save_picture(picture, here / "my dream.png", recipe=make_recipe("dream", "dream", Dream(steps=3)))
    save_picture(picture, here / "plain.png")
    Rule().save(here / "bark.safetensors")
    return here


@pytest.fixture(scope="module")
def site(networks, given, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sites") / "class-site"
    pictures = [given / "my dream.png", given / "plain.png"]
    write_site(folder, Contents(networks=networks, textures=[given / "bark.safetensors"], pictures=pictures))
    return folder


def test_three_steps_are_those_of_torch(tmp_path):
    settings = Train(network="dense", hidden=(128,), learning_rate=0.003, weight_decay=0.01)
    network = dense()
    hidden, output = network.layers["hidden1"], network.layers["output"]
    weights = {
        "units": 128,
        "hidden": hidden.weight.T.flatten().tolist(), "hiddenBias": hidden.bias.tolist(),
        "output": output.weight.T.flatten().tolist(), "outputBias": output.bias.tolist(),
    }  # fmt: skip
    random = torch.Generator().manual_seed(1)
    images = torch.rand(3, 16, 784, generator=random).sub_(0.6).clamp_(0)
    labels = torch.randint(10, (3, 16), generator=random)
    task = [weights, [[each.tolist(), label.tolist()] for each, label in zip(images, labels, strict=True)]]
    (tmp_path / "task.json").write_text(json.dumps(task), encoding="utf-8")
    (tmp_path / "steps.js").write_text(THREE_STEPS, encoding="utf-8")
    deno = Path(sysconfig.get_path("scripts"), "deno")
    options = ["run", "--quiet", "--no-remote", "--allow-read", "--allow-write=."]
    ran = subprocess.run([deno, *options, "steps.js"], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    losses, shares = json.loads(ran.stdout)

    before = hidden.weight.detach().clone()
    optimiser, expected = _optimiser(settings, network), []
    for batch, label in zip(images, labels, strict=True):
        loss = F.cross_entropy(network(batch.view(-1, 1, 28, 28)), label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        expected.append(loss.item())
    assert losses == pytest.approx(expected, rel=1e-5)
    assert (hidden.weight - before).abs().mean() > 1e-3
    saved = load_file(tmp_path / "my-digits.safetensors")
    for name, weight in network.state_dict().items():
        difference = (saved[name] - weight).abs()
        assert difference.mean() < 1e-7, name
        assert difference.max() < 1e-5, name
    opened = open_network(str(tmp_path / "my-digits.safetensors"))
    with torch.no_grad():
        read = opened(images[0, :1].view(1, 1, 28, 28)).softmax(1)[0]
    assert shares == pytest.approx(read.tolist(), abs=1e-5)


def test_the_site_is_complete_and_small(site, given):
    files = {file.relative_to(site).as_posix(): file for file in site.rglob("*") if file.is_file()}
    lessons = {f"lessons/{name}.html" for name in WIDGETS}
    assert {"index.html", "dense.html", "train.html", "lessons.html", "texture.html", *lessons} <= set(files)
    assert files["index.html"].stat().st_size < MAX_FIRST_BYTES
    assert all(LESSONS[name].claim.split("'")[0] in files[f"lessons/{name}.html"].read_text(encoding="utf-8")
               for name in ("gates", "descent"))  # fmt: skip
    assert (
        read_recipe(files["pictures/01-my-dream.jpg"]).settings
        == read_recipe(given / "my dream.png").settings
    )
    wall = BeautifulSoup(files["pictures.html"].read_text(encoding="utf-8"), "html.parser")
    assert [each.get_text() for each in wall.select("figcaption code")] == [
        "lanterna dream --steps=3 -o 'my dream.jpg'"
    ]
    linked = {"index.html", MARKER}
    for name, file in files.items():
        if file.suffix != ".html":
            continue
        page = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
        for element in page.select("[href], [src]"):
            address = urlsplit(element.get("href") or element["src"])
            assert address.scheme in ("", "data"), (name, address)  # no other host
            if not address.scheme:
                target = (file.parent / unquote(address.path)).resolve()
                assert target.is_file(), (name, address)
                linked.add(target.relative_to(site).as_posix())
    assert linked == set(files)


def test_the_site_has_no_picture_of_a_data_set(site):
    """The numbers of a page's arrays are weights, and a digit that is in no data set."""
    text = (site / "index.html").read_text(encoding="utf-8")
    names = json.loads(re.search(r'id="lanterna-data">(.*?)</script>', text)[1])["index"]
    assert "given" in names
    assert all(
        name == "given" or name.rpartition(".")[2] in ("weight", "bias", "scale", "shift") for name in names
    )


def test_another_folder_is_never_overwritten(networks, tmp_path):
    contents = Contents()
    folder = tmp_path / "site"
    write_site(folder, contents)
    assert "Train a network" in (folder / "index.html").read_text(encoding="utf-8")  # there is no network
    with pytest.raises(UsageError, match="already has a site"):
        write_site(folder, contents)
    (folder / "CNAME").write_text("mine")
    with pytest.raises(UsageError, match="something else in it, such as CNAME"):
        write_site(folder, contents, force=True)
    assert (folder / "CNAME").read_text() == "mine"
    (folder / "CNAME").unlink()
    write_site(folder, Contents(networks=networks), force=True)
    assert (folder / "dense.html").exists()

    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    def stop(done: int, _: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_site(folder, contents, force=True, watch=stop)
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    assert list(tmp_path.iterdir()) == [folder]


def test_folders_links_and_where_one_stands_are_never_removed(tmp_path, monkeypatch):
    inside = tmp_path / "outer/inner"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    for folder in ("..", ".", "/", "../../../../../../../.."):
        with pytest.raises(UsageError, match="the current folder is in"):
            write_site(Path(folder), Contents(), force=True)
    site = tmp_path / "site"
    for made in (lambda: (site / "empty").mkdir(), lambda: (site / "link").symlink_to(inside)):
        site.mkdir(exist_ok=True)
        made()
        with pytest.raises(UsageError, match="something else in it"):
            write_site(site, Contents(), force=True)
        shutil.rmtree(site)
    site.mkdir()
    (site / MARKER).write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="already has a site"):
        write_site(site, Contents())
    assert inside.is_dir()


def test_the_commands_of_its_page_write_sites(networks, given, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "open_or_train", lambda name, **_: networks[name])
    monkeypatch.setattr(command, "is_trained", lambda _: True)
    for name in ("dream.png", "style.png"):
        shutil.copy(given / "my dream.png", name)
    shutil.copy(given / "bark.safetensors", "grow.safetensors")
    text = (ROOT / "docs/page.md").read_text(encoding="utf-8")
    first, second = re.findall(r"^    lanterna (page .+)$", text, re.MULTILINE)
    assert main([*first.split(), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["first_page_bytes"] == Path("class-site/index.html").stat().st_size
    assert main(second.split()) == 2
    assert "already has a site" in capsys.readouterr().err
    assert main([*second.split(), "--force"]) == 0
    assert Path("class-site/pictures/02-style.jpg").exists()
    capsys.readouterr()
    for words in (["--texture", "dream.png"], ["--picture", "grow.safetensors"]):
        assert main(["page", "-o", "other", *words]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert not Path("other").exists()


def test_a_damaged_network_of_a_page_is_one_line(tmp_path, capsys):
    network, file = dense(), tmp_path / "net.safetensors"
    Path(tmp_path / "page.png").write_bytes((ROOT / "docs/look.jpg").read_bytes())
    weights = {name: weight.contiguous() for name, weight in network.state_dict().items()}
    for plan, message in (
        ('{"network": "dense", "hidden": [64]}', "is damaged: save it again"),
        ("nonsense", "is damaged: save it again"),
        (None, "expected the folder of a trained network"),
    ):
        save_file(weights, file, metadata=plan and {"plan": plan})
        assert main(["read", str(tmp_path / "page.png"), "--network", str(file)]) in (1, 2)
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    file.write_bytes(file.read_bytes()[:-9])
    assert main(["read", str(tmp_path / "page.png"), "--network", str(file)]) == 1
    assert "is damaged: save it again" in capsys.readouterr().err


def ink(digit: int) -> str:
    """A test digit as the page's address has it, 16 levels a pixel."""
    test = mnist("test")
    pixels = test.images[(test.labels == digit).nonzero()[0, 0]].flatten()
    return "".join(f"{round(level / 17):x}" for level in pixels.tolist())


def test_the_site_from_disk_draws_trains_and_saves(site: Path, browser: Browser, tmp_path: Path):
    context = browser.new_context(
        viewport={"width": 360, "height": 640}, offline=True, reduced_motion="reduce"
    )
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: line.type == "error" and errors.append(line.text))
    page.goto((site / "index.html").as_uri())
    before = page.locator("#sum").inner_text()
    draw_stroke(page, page.locator(".pad canvas"), STROKE)
    expect(page.locator("#sum")).not_to_have_text(before)
    page.wait_for_url(re.compile("#.*ink="))
    page.get_by_role("link", name="fully connected network").click()
    page.wait_for_url(re.compile(r"dense\.html#.*ink="))
    assert page.evaluate("document.documentElement.scrollWidth") <= 360

    page.goto(f"{(site / 'train.html').as_uri()}#digits={'.'.join(map(ink, range(9)))}.")
    expect(page.get_by_text("9 of 10 digits drawn")).to_be_visible()
    draw_stroke(page, page.get_by_role("application").first, STROKE)
    page.get_by_role("button", name="Train").click()
    expect(page.locator(".training .numbers").first).to_contain_text("others read correctly")
    page.get_by_role("button", name="Stop").click()
    trial = page.get_by_role("application").nth(1)
    trial.scroll_into_view_if_needed()
    draw_stroke(page, trial, STROKE)
    expect(page.get_by_text("Read as")).to_be_visible()
    assert violations(page) == []
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the network").click()
    download.value.save_as(tmp_path / "mine.safetensors")
    read = page.locator(".read").inner_text().split()[2].rstrip(",")
    rgba = page.evaluate(INPUT)
    drawn = torch.tensor(rgba).view(28, 28, 4)[:, :, 3] / 255
    network = open_network(str(tmp_path / "mine.safetensors"))
    assert network(drawn[None, None]).argmax().item() == int(read)
    context.close()
    assert errors == []
