"""The pretrained networks against independent computations, and anyone's network taken apart."""

import json
import sys
import textwrap
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from safetensors.torch import load_file
from torch.nn import functional as F

from lanterna import shelf
from lanterna.documents import runs_code
from lanterna.errors import MissingError, UsageError
from lanterna.images import open_picture, save_picture
from lanterna.networks import InputSpec, layers, networks, open_network, to_input
from lanterna.networks.tracing import RESULT, UntracedNetwork
from lanterna.networks.trained import trained_folder
from lanterna.surfaces.cli import main

LITES = {"efficientnet-lite0": 224, "efficientnet-lite2": 260}
EGYPTIAN_CAT, ESPRESSO = 285, 967


@pytest.fixture(scope="module", params=LITES)
def lite(request, real_shelf):
    """An EfficientNet-Lite of ours, and the same by others (a package of the index) with the same weights."""
    other = EfficientNet.from_name(request.param).eval()
    other.load_state_dict(load_file(real_shelf / request.param / "weights.safetensors"))
    return open_network(request.param), other


def photograph(name, side):
    picture = open_picture(shelf.need("photographs") / name)
    return F.interpolate(picture[None], (side, side), mode="bicubic", antialias=True).clamp(0, 1)


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png"])
@torch.no_grad()
def test_efficientnet_agrees_with_an_independent_implementation(lite, name):
    ours, other = lite
    picture = photograph(name, LITES[ours.name])
    levels = picture * 255
    assert (ours(picture) - other((levels - 127) / 128)).abs().max() < 1e-4


@torch.no_grad()
def test_efficientnet_agrees_on_every_layer_and_a_batch(lite):
    ours, other = lite
    pictures = torch.cat([photograph(name, LITES[ours.name]) for name in ("chelsea.png", "coffee.png")])
    seen_by_other = {}
    for index, block in enumerate(other._blocks, start=1):
        block.register_forward_hook(lambda *a, index=index: seen_by_other.update({f"block{index}": a[-1]}))
    logits = other((pictures * 255 - 127) / 128)
    ours_read = dict(ours.run(pictures))  # all are kept, so that a layer overwritten later would show
    assert [name for name in ours_read if name.startswith("block")] == list(seen_by_other)
    for name, expected in seen_by_other.items():
        torch.testing.assert_close(ours_read[name], expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours_read["output"], logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(97, 160), (32, 33), (321, 200)])
@torch.no_grad()
def test_efficientnet_pads_as_tensorflow_at_any_size(real_shelf, size):
    weights = load_file(real_shelf / "efficientnet-lite0" / "weights.safetensors")
    # Padding that is worked out anew for every picture, as against once for 224 pixels.
    other = EfficientNet.from_name("efficientnet-lite0", image_size=None).eval()
    other.load_state_dict(weights)
    picture = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    ours = open_network("lite0")
    assert (ours(picture) - other((picture * 255 - 127) / 128)).abs().max() < 1e-4


@torch.no_grad()
def test_the_cat_is_a_cat_and_the_cup_is_a_cup():
    network = open_network("efficientnet-lite0")
    cat = network(photograph("chelsea.png", 224))[0]
    assert cat.argmax() == EGYPTIAN_CAT
    assert cat[EGYPTIAN_CAT].item() == pytest.approx(10.47, abs=0.05)  # measured by another's code
    assert network.classes[network(photograph("coffee.png", 224)).argmax()] == "espresso"
    assert len(set(network.classes)) == 1000


def test_a_run_computes_nothing_after_the_layer_that_is_asked_for():
    network = open_network("lite0")
    computed = []
    for name, layer in network.layers.items():
        layer.register_forward_hook(lambda *_, name=name: computed.append(name))
    next(output for name, output in network.run(torch.rand(1, 3, 64, 64)) if name == "block3")
    assert computed == ["stem", "block1", "block2", "block3"]


def test_opened_networks_are_at_rest_and_leave_chance_alone():
    before = torch.random.get_rng_state()
    network = open_network("lite0")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    picture = torch.rand(1, 3, 64, 64).requires_grad_()
    network(picture)[0, EGYPTIAN_CAT].backward()  # dreams and paths ask for this
    assert picture.grad.abs().sum() > 0


@torch.no_grad()
def test_vgg_agrees_with_its_weights_applied_by_hand(real_shelf):
    weights = load_file(real_shelf / "vgg16" / "weights.safetensors")
    network = open_network("vgg16")
    picture = photograph("chelsea.png", 96)
    read = dict(network.run(picture))
    levels = picture[:, [2, 1, 0]] * 255  # blue first
    x = levels - torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    for group, convolutions in enumerate((2, 2, 3, 3, 3), start=1):
        if group > 1:
            x = F.max_pool2d(x, 2, 2)
            torch.testing.assert_close(read[f"pool{group - 1}"], x, rtol=1e-4, atol=0.02)
        for layer in range(1, convolutions + 1):
            name = f"{group}_{layer}"
            x = F.conv2d(x, weights[f"conv{name}.weight"], weights[f"conv{name}.bias"], padding=1)
            torch.testing.assert_close(read[f"conv{name}"], x, rtol=1e-4, atol=0.02)
            x = x.relu()
            torch.testing.assert_close(read[f"relu{name}"], x, rtol=1e-4, atol=0.02)
    assert list(read)[-1] == "relu5_3"


# A picture as a network wants it


def test_the_middle_of_a_picture_is_seen():
    picture = torch.zeros(3, 100, 300)
    picture[:, 10:90, 110:190] = 1  # what a crop of 0.8 keeps
    assert to_input(picture, InputSpec(3, 40, (0.0,) * 3, (1.0,) * 3, crop=0.8)).min() == 1
    assert to_input(picture, InputSpec(3, 40, (0.0,) * 3, (1.0,) * 3)).mean() == pytest.approx(0.64, abs=0.02)


def test_a_drawing_in_dark_ink_becomes_white_ink_for_a_digit_network():
    drawn = torch.ones(3, 56, 56)
    drawn[:, 14:42, 26:30] = 0
    dark_on_light = to_input(drawn, InputSpec(1, 28, (0.0,), (1.0,)))
    light_on_dark = to_input(1 - drawn, InputSpec(1, 28, (0.0,), (1.0,)))
    assert dark_on_light.shape == (1, 28, 28)
    torch.testing.assert_close(dark_on_light, light_on_dark)
    assert light_on_dark[0, 14, 14] > 0.9
    assert light_on_dark[0, 0, 0] < 0.1


# Anyone's network


NETS = """
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = (nn.Conv2d(4, 4, 3, padding=1) for _ in range(2))
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x):
            y = self.relu(self.conv1(x))
            y = self.conv2(y)
            y += x
            return self.relu(y)

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 3, stride=2)
            self.blocks = nn.Sequential(Residual(), Residual())
            self.output = nn.Linear(4, 7)

        def forward(self, x, mask=None):
            x = F.relu(self.stem(x), inplace=True)
            x = F.max_pool2d(x, 4)
            x = self.blocks(x if mask is None else x * mask)
            return {"logits": self.output(x.mean((2, 3)).view(x.size(0), -1))}

    class Deciding(Small):
        def forward(self, x):
            x = self.stem(x).relu_()
            while x.abs().max() > 0.1:
                x = x / 2
            return self.output(self.blocks(x).mean((2, 3)))

    class DecidingInside(Small):
        def __init__(self):
            super().__init__()
            self.blocks = Inside()

    class Inside(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.full((4, 1, 1), 2.0))

        def forward(self, x):
            return x * self.scale if x.sum() > 0 else x

    def seeded(make):
        torch.manual_seed(0)
        print("made")  # must not end up in a JSON document
        return make()

    def residual(): return seeded(Small)
    def deciding(): return seeded(Deciding)
    def inside(): return seeded(DecidingInside)
    def sequence():
        network = nn.Sequential(nn.Flatten(), nn.Linear(784, 5), nn.ReLU(inplace=True), nn.Linear(5, 3))
        network.classes = ["a", "b", "c"]
        return network
    def thousand(): return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1000))
    def like_torchvision(weights=None): return Small()
    def like_timm():
        network = Small()
        network.pretrained_cfg = {
            "input_size": (3, 64, 64), "crop_pct": 0.9, "mean": (0.1, 0.2, 0.3), "std": (1, 2, 3)
        }
        return network

    def needs(a, b, c=1): return Small()
    def raises(): raise ValueError("two\\nlines")
    def leaves(): raise SystemExit(5)
    def number(): return 5
    def empty(): return nn.Identity()
    def five_channels(): return nn.Conv2d(5, 1, 1)
    def picky(): return nn.Sequential(nn.Linear(77, 3))
    not_a_function = 5
"""


@pytest.fixture(autouse=True)
def nets(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(textwrap.dedent(NETS))
    (tmp_path / "broken.py").write_text("import nothing_that_exists\n")
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("nets", None)


@torch.no_grad()
def original(name, images):
    """What the untouched network gives."""
    import nets

    network = getattr(nets, name)().eval()
    answer = network((images - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
                     / torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))  # fmt: skip
    return answer["logits"] if isinstance(answer, dict) else answer


@pytest.mark.parametrize("name", ["residual", "deciding", "inside"])
def test_a_foreign_network_taken_apart_gives_what_it_gave_whole(name):
    network = open_network(f"nets:{name}")
    images = torch.rand(3, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    read = list(network.run(images))
    kept = [output.clone() for _, output in read]
    expected = original(name, images)
    torch.testing.assert_close(network(images), expected)
    torch.testing.assert_close(read[-1][1], expected)
    assert all(torch.equal(output, copy) for (_, output), copy in zip(read, kept, strict=True))
    assert [name for name, _ in read] == list(network.layers)


def test_a_residual_network_is_a_chain_of_its_blocks():
    network = open_network("nets:residual")
    names = list(network.layers)
    assert names[:5] == ["stem", "relu", "max_pool2d", "blocks.0", "blocks.1"]
    assert names[-1] == "output"
    read = dict(network.run(torch.rand(1, 3, 64, 64)))
    for before, after in pairwise(names):  # each layer needs only what the one before put out
        torch.testing.assert_close(network.layers[after](read[before]), read[after])
    assert read["stem"].min() < 0  # and no ReLU wrote into it
    computed = []
    network.layers["blocks.1"].register_forward_hook(lambda *_: computed.append("blocks.1"))
    next(output for name, output in network.run(torch.rand(1, 3, 64, 64)) if name == "blocks.0")
    assert not computed


def test_a_module_that_decides_by_values_stays_whole():
    network = open_network("nets:inside")
    assert not isinstance(network, UntracedNetwork)
    assert "blocks" in network.layers


def test_a_network_that_decides_by_values_is_read_while_it_runs():
    network = open_network("nets:deciding")
    assert isinstance(network, UntracedNetwork)
    assert "cannot be cut" in network.note
    assert [*network.layers][:5] == ["stem", "blocks.0.conv1", "blocks.0.relu", "blocks.0.conv2",
                                     "blocks.0.relu_1"]  # fmt: skip
    assert [*network.layers][-1] == RESULT


def test_how_a_foreign_network_sees_and_what_it_answers():
    assert open_network("nets:residual").classes == tuple(f"class {index}" for index in range(7))
    assert open_network("nets.py:thousand").classes[EGYPTIAN_CAT] == "Egyptian Mau"
    sequence = open_network("nets:sequence")
    assert sequence.classes == ("a", "b", "c")
    assert (sequence.input_spec.channels, sequence.input_spec.size) == (1, 28)
    assert open_network("nets:residual").input_spec.size == 224
    timm = open_network("nets:like_timm").input_spec
    assert timm == InputSpec(3, 64, (0.1, 0.2, 0.3), (1.0, 2.0, 3.0), crop=0.9)
    assert "weights=None" in open_network("nets:like_torchvision").note


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_such_module:f", "there is no module 'no_such_module'"),
        ("no_such_file.py:f", "there is no file"),
        ("nets:nothing", "has no function 'nothing'"),
        ("nets:not_a_function", "has no function"),
        ("nets:needs", r"needs arguments \(a, b\)"),
        ("nets:raises", r"failed \(ValueError: two\)"),
        ("nets:leaves", r"failed \(SystemExit: 5\)"),
        ("nets:number", "gives int: expected a torch.nn.Module"),
        ("nets:empty", "has no weights"),
        ("nets:five_channels", "takes 5 channels"),
        ("nets:picky", "takes no picture of .*attribute `input_spec`"),
        ("nets:", "module:function"),
        (":f", "module:function"),
        ("broken:f", r"cannot be imported \(ModuleNotFoundError: No module named 'nothing_that_exists'\)"),
        ("os:abort", "makes no network"),
        ("json:JSONDecoder", "makes no network"),
        ("nonsense", "there is no network 'nonsense'"),
        ("", "there is no network"),
    ],
)
def test_what_cannot_be_opened_is_refused_in_one_line(name, words):
    with pytest.raises(UsageError, match=words) as caught:
        open_network(name)
    assert "\n" not in str(caught.value)


def test_a_strangers_name_runs_no_code(tmp_path):
    (tmp_path / "evil.py").write_text("open('ran', 'w').close()\n")
    for name in ("evil:f", "evil.py:f", "./evil.py:f", f"{tmp_path}/evil.py:f"):
        assert runs_code(name)
        with pytest.raises(UsageError, match="--trust"):
            open_network(name, trust=False)
    assert not (tmp_path / "ran").exists()
    assert not any(map(runs_code, ("lite0", "efficientnet-lite2", "vgg16", "dense", "conv", "a/folder")))


# The list


@pytest.mark.usefixtures("empty_home")
def test_what_is_not_here_says_which_command_gets_it(monkeypatch, capsys):
    monkeypatch.setenv("LANTERNA_OFFLINE", "1")
    with pytest.raises(MissingError, match="lanterna shelf fetch efficientnet-lite0"):
        open_network("lite0")
    with pytest.raises(MissingError, match="lanterna train conv"):
        open_network("conv")
    assert main(["networks", "--json"]) == 0
    listed = {listing["name"]: listing for listing in json.loads(capsys.readouterr().out)}
    assert list(listed) == ["efficientnet-lite0", "efficientnet-lite2", "vgg16", "dense", "conv"]
    assert not any(listing["here"] for listing in listed.values())
    assert listed["vgg16"]["parameters"] == 14_714_688  # as Simonyan and Zisserman's, less the dense layers


@pytest.mark.slow
def test_layers_shapes_and_parameters_are_listed(real_shelf, capsys):
    for name in LITES:
        weights = load_file(real_shelf / name / "weights.safetensors")
        trained = sum(t.numel() for key, t in weights.items() if not key.endswith(("mean", "var", "tracked")))
        network, listed = layers(name)
        assert sum(layer.parameters for layer in listed) == trained
        assert len(listed) == len(network.layers)
    assert main(["networks", "lite0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    shapes = {layer["name"]: layer["shape"] for layer in found["layers"]}
    assert shapes["stem"] == [32, 112, 112]
    assert shapes["block16"] == [320, 7, 7]
    assert shapes["output"] == [1000]
    assert {listing.name for listing in networks() if listing.here} >= {*LITES, "vgg16"}


def test_the_lists_are_readable(capsys):
    assert main(["networks"]) == 0
    assert "4,652,008" in capsys.readouterr().out
    assert main(["networks", "nets:residual", "--json"]) == 0
    captured = capsys.readouterr()
    assert [layer["name"] for layer in json.loads(captured.out)["layers"]][3] == "blocks.0"
    assert main(["networks", "nets:residual"]) == 0
    captured = capsys.readouterr()
    assert "blocks.1" in captured.out
    assert "cannot be told" in captured.err
    assert main(["networks", "nets:needs"]) == 2


def test_what_lies_here_is_a_network_only_as_a_path(tmp_path, empty_home, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("dense", "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "confusion.png").write_bytes(b"my picture")
    assert trained_folder("dense") == empty_home / "networks" / "dense"
    assert [trained_folder(name) for name in ("./dense", "..", "dense/")] == list(
        map(Path, ("dense", "..", "dense"))
    )
    for place in ("one/a.png", "one/b.png", "two/a.png", "two/b.png"):
        (tmp_path / "classes" / place).parent.mkdir(parents=True, exist_ok=True)
        save_picture(torch.rand(3, 8, 8), tmp_path / "classes" / place)
    for verb in (["train", "dense"], ["teach", "classes"]):
        assert main([*verb, "-o", "./dense"]) == 2
        assert "dense has other files in it: -o gives another folder" in capsys.readouterr().err
    assert (tmp_path / "dense" / "confusion.png").read_bytes() == b"my picture"
    with pytest.raises(UsageError, match=r"there is no network 'mine'.*the folder here is written \./mine"):
        open_network("mine")
