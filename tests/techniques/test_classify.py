"""Photographs, folders and digits are classified; unreadable files are reported and skipped."""

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
EXPECTED = {
    "chelsea.png": CATS,
    "coffee.png": {"espresso", "coffeemaker", "cup", "coffee mug", "tea cup"},
    "camera.png": {"tripod"},
}
ROCKETS = {"missile", "projectile", "space shuttle"}  # ImageNet has no class for a rocket launch


def photograph(name):
    return shelf.need("photographs") / name


class NearestBrightness(torch.nn.Module):
    """Predicts the class with the nearest brightness, so that every correct answer is known."""

    def __init__(self, classes):
        super().__init__()
        self.levels = torch.nn.Parameter(torch.linspace(0, 1, classes))

    def forward(self, x):
        return -100 * (x.mean((1, 2, 3))[:, None] - self.levels).abs()


@pytest.fixture
def brightness_network():
    spec = InputSpec(3, 8, (0.0,) * 3, (1.0,) * 3)
    names = [f"level {level}" for level in range(101)]
    return Network("by brightness", spec, {"output": NearestBrightness(101)}, names).eval()


@pytest.mark.slow
@pytest.mark.parametrize("network", ["efficientnet-lite0", "lite2"])
def test_photographs_are_classified(network):
    settings = Classify(network=network, top=3)
    for found in classify(map(photograph, EXPECTED), settings):
        assert found.answers[0].name in EXPECTED[found.source.name]
        probabilities = [answer.probability for answer in found.answers]
        assert probabilities == sorted(probabilities, reverse=True)
        assert len(probabilities) == 3
        assert 0 < sum(probabilities) <= 1
    (launch,) = classify([photograph("rocket.jpg")], settings)
    assert len(ROCKETS.intersection(answer.name for answer in launch.answers)) >= 2


def test_answers_do_not_depend_on_the_rest_of_the_batch(brightness_network):
    sources = [torch.full((3, 20, 30), level / 100) for level in range(101)] * 2  # many batches
    found = list(classify(sources, Classify(top=2), network=brightness_network))
    assert [f"level {index % 101}" for index in range(202)] == [each.answers[0].name for each in found]
    network = open_network("lite0")
    single = next(classify([photograph("chelsea.png")], network=network))
    (in_batch, *_) = classify([photograph(name) for name in EXPECTED], network=network)
    assert [answer.index for answer in single.answers] == [answer.index for answer in in_batch.answers]
    assert single.answers[0].probability == pytest.approx(in_batch.answers[0].probability, abs=1e-4)


def test_answers_stream_with_few_pictures_in_memory(brightness_network):
    requested = []

    def endless():
        while True:
            requested.append(None)
            yield torch.full((3, 8, 8), 0.25)

    answers = classify(endless(), network=brightness_network)
    assert next(answers).answers[0].name == "level 25"
    assert len(requested) <= 3 * BATCH
    answers.close()


def test_a_bad_picture_is_returned_with_its_error(brightness_network, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(photograph("chelsea.png").read_bytes()[:5000])
    good, bad, missing = classify(
        [torch.zeros(3, 8, 8), broken, tmp_path / "missing.jpg"], network=brightness_network
    )
    assert good.answers[0].name == "level 0"
    assert good.error is None
    for each in (bad, missing):
        assert not each.answers
        assert isinstance(each.error, UsageError)
        assert str(each.source) in str(each.error)


def test_a_network_without_classes_is_refused():
    with pytest.raises(UsageError, match="no classes"):
        classify([], Classify(network="vgg16"))


# The command


def test_the_command_classifies_one_photograph(capsys):
    assert main(["classify", str(photograph("coffee.png")), "--top", "2"]) == 0
    captured = capsys.readouterr()
    _, first, second = captured.out.splitlines()
    assert first.endswith("espresso")
    assert "%" in first
    assert first.count("█") > second.count("█")
    assert captured.err == ""


def test_a_folder_is_classified_although_one_picture_is_bad(tmp_path, capsys):
    for name in EXPECTED:
        shutil.copy(photograph(name), tmp_path)
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("not a picture")
    assert main(["classify", str(tmp_path), "--json"]) == 1
    captured = capsys.readouterr()
    document = {entry["photo"]: entry["answers"] for entry in json.loads(captured.out)}
    assert set(document) == {str(tmp_path / name) for name in EXPECTED}
    for name, expected in EXPECTED.items():
        assert document[str(tmp_path / name)][0]["class"] in expected
    assert "bad.jpg" in captured.err
    assert "1 of 4" in captured.err
    assert "notes.txt" not in captured.err


def test_a_photograph_is_read_from_standard_input(monkeypatch, capsys):
    stdin = io.BytesIO(photograph("chelsea.png").read_bytes())
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=stdin))
    assert main(["classify", "-", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["photo"] == "standard input"
    assert entry["answers"][0]["class"] in CATS


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
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
def test_bad_input_is_reported_in_one_line(
    arguments, code, message, tmp_path, monkeypatch, capsys, private_home
):
    assert private_home
    monkeypatch.chdir(tmp_path)
    cat = str(photograph("chelsea.png"))
    assert main(["classify", *(argument.format(cat=cat) for argument in arguments)]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1


@pytest.mark.usefixtures("private_home")
def test_a_trained_digit_network_answers_with_digits(tmp_path, capsys):
    network = dense(())
    with torch.no_grad():  # logit r is the amount of ink in row r
        network.layers["output"].weight.zero_()
        network.layers["output"].bias.zero_()
        for digit in range(10):
            network.layers["output"].weight[digit, digit * 28 : (digit + 1) * 28] = 1
    save_trained(network, Plan(network="dense", hidden=()), networks_folder() / "mine")
    drawing = torch.ones(3, 28, 28)
    drawing[:, 7, 4:24] = 0  # dark ink on light paper, in row 7
    save_picture(drawing, tmp_path / "drawn.png")
    assert open_picture(tmp_path / "drawn.png").shape == (3, 28, 28)
    assert main(["classify", str(tmp_path / "drawn.png"), "--network", "mine", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["answers"][0]["class"] == "7"
    assert entry["answers"][0]["probability"] > 0.99
