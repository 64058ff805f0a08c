"""Photographs, folders of them and digits are named; what cannot be read is said and does not stop the
rest."""

import io
import json
import shutil
import sys
import types

import pytest
import torch

from lanterna import shelf
from lanterna.errors import UsageError
from lanterna.images import open_picture, save_picture
from lanterna.networks import InputSpec, Network, open_network
from lanterna.networks.digits import dense
from lanterna.networks.plan import Plan
from lanterna.networks.trained import save_trained
from lanterna.settings import networks_folder
from lanterna.surfaces.cli import main
from lanterna.techniques.classify.algorithm import BATCH, Classify, classify

CATS = {"tabby cat", "tiger cat", "Persian cat", "Siamese cat", "Egyptian Mau"}
KNOWN = {
    "chelsea.png": CATS,
    "coffee.png": {"espresso", "coffeemaker", "cup", "coffee mug", "tea cup"},
    "camera.png": {"tripod"},
}
ROCKETS = {"missile", "projectile", "space shuttle"}  # ImageNet has no class of its own for a launch


def photograph(name):
    return shelf.need("photographs") / name


class Nearest(torch.nn.Module):
    """Answers with the class whose brightness is nearest, so that every right answer is known."""

    def __init__(self, classes):
        super().__init__()
        self.levels = torch.nn.Parameter(torch.linspace(0, 1, classes))

    def forward(self, x):
        return -100 * (x.mean((1, 2, 3))[:, None] - self.levels).abs()


@pytest.fixture
def by_brightness():
    spec = InputSpec(3, 8, (0.0,) * 3, (1.0,) * 3)
    names = [f"level {level}" for level in range(101)]
    return Network("by brightness", spec, {"output": Nearest(101)}, names).eval()


@pytest.mark.slow
@pytest.mark.parametrize("network", ["efficientnet-lite0", "lite2"])
def test_photographs_are_named(network):
    settings = Classify(network=network, top=3)
    for found in classify(map(photograph, KNOWN), settings):
        assert found.answers[0].name in KNOWN[found.source.name]
        likely = [answer.probability for answer in found.answers]
        assert likely == sorted(likely, reverse=True)
        assert len(likely) == 3
        assert 0 < sum(likely) <= 1
    (launch,) = classify([photograph("rocket.jpg")], settings)
    assert len(ROCKETS.intersection(answer.name for answer in launch.answers)) >= 2


def test_the_answer_does_not_depend_on_the_company(by_brightness):
    sources = [torch.full((3, 20, 30), level / 100) for level in range(101)] * 2  # many batches
    found = list(classify(sources, Classify(top=2), network=by_brightness))
    assert [f"level {index % 101}" for index in range(202)] == [each.answers[0].name for each in found]
    network = open_network("lite0")
    alone = next(classify([photograph("chelsea.png")], network=network))
    (among, *_) = classify([photograph(name) for name in KNOWN], network=network)
    assert [answer.index for answer in alone.answers] == [answer.index for answer in among.answers]
    assert alone.answers[0].probability == pytest.approx(among.answers[0].probability, abs=1e-4)


def test_answers_stream_and_only_a_little_is_held(by_brightness):
    asked = []

    def endless():
        while True:
            asked.append(None)
            yield torch.full((3, 8, 8), 0.25)

    answers = classify(endless(), network=by_brightness)
    assert next(answers).answers[0].name == "level 25"
    assert len(asked) <= 3 * BATCH
    answers.close()


def test_a_bad_picture_comes_back_with_its_error(by_brightness, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(photograph("chelsea.png").read_bytes()[:5000])
    good, bad, missing = classify(
        [torch.zeros(3, 8, 8), broken, tmp_path / "missing.jpg"], network=by_brightness
    )
    assert good.answers[0].name == "level 0"
    assert good.error is None
    for each in (bad, missing):
        assert not each.answers
        assert isinstance(each.error, UsageError)
        assert str(each.source) in str(each.error)


def test_only_networks_with_classes_answer():
    with pytest.raises(UsageError, match="no classes"):
        classify([], Classify(network="vgg16"))


# The command


def test_the_command_names_one_photograph(capsys):
    assert main(["classify", str(photograph("coffee.png")), "--top", "2"]) == 0
    captured = capsys.readouterr()
    _, first, second = captured.out.splitlines()
    assert first.endswith("espresso")
    assert "%" in first
    assert first.count("█") > second.count("█")
    assert captured.err == ""


def test_a_folder_is_done_although_one_picture_is_bad(tmp_path, capsys):
    for name in KNOWN:
        shutil.copy(photograph(name), tmp_path)
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("not asked for")
    assert main(["classify", str(tmp_path), "--json"]) == 1
    captured = capsys.readouterr()
    document = {entry["photo"]: entry["answers"] for entry in json.loads(captured.out)}
    assert set(document) == {str(tmp_path / name) for name in KNOWN}
    for name, expected in KNOWN.items():
        assert document[str(tmp_path / name)][0]["class"] in expected
    assert "bad.jpg" in captured.err
    assert "1 of 4" in captured.err
    assert "notes.txt" not in captured.err


def test_standard_input_is_a_photograph(monkeypatch, capsys):
    stdin = io.BytesIO(photograph("chelsea.png").read_bytes())
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=stdin))
    assert main(["classify", "-", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["photo"] == "standard input"
    assert entry["answers"][0]["class"] in CATS


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["missing.jpg"], 2, "missing.jpg"),
        (["."], 2, "has no pictures in it"),
        ([], 2, "PICTURE"),
        (["{cat}", "--top", "0"], 2, "top"),
        (["{cat}", "--network", "nonsense"], 2, "nonsense"),
        (["{cat}", "--network", "vgg16"], 2, "no classes"),
        (["{cat}", "--network", "dense"], 3, "lanterna train dense"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    arguments, code, words, tmp_path, monkeypatch, capsys, private_home
):
    assert private_home
    monkeypatch.chdir(tmp_path)
    cat = str(photograph("chelsea.png"))
    assert main(["classify", *(argument.format(cat=cat) for argument in arguments)]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err
    assert len(captured.err.splitlines()) == 1


@pytest.mark.usefixtures("private_home")
def test_a_trained_digit_network_answers_in_digits(tmp_path, capsys):
    network = dense(())
    with torch.no_grad():  # the more ink in row r, the more the picture is an r
        network.layers["output"].weight.zero_()
        network.layers["output"].bias.zero_()
        for digit in range(10):
            network.layers["output"].weight[digit, digit * 28 : (digit + 1) * 28] = 1
    save_trained(network, Plan(network="dense", hidden=()), networks_folder() / "mine")
    drawn = torch.ones(3, 28, 28)
    drawn[:, 7, 4:24] = 0  # dark ink on light paper, in row 7
    save_picture(drawn, tmp_path / "drawn.png")
    assert open_picture(tmp_path / "drawn.png").shape == (3, 28, 28)
    assert main(["classify", str(tmp_path / "drawn.png"), "--network", "mine", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["answers"][0]["class"] == "7"
    assert entry["answers"][0]["probability"] > 0.99
