"""The pretrained networks against independent implementations, and foreign networks split into layers."""

import copy
import json
import shutil
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
from lanterna.networks.pooling import with_pooling
from lanterna.networks.tracing import RESULT, UntracedNetwork
from lanterna.networks.trained import trained_folder
from lanterna.surfaces.cli import main

LITES = {"efficientnet-lite0": 224, "efficientnet-lite2": 260}
EGYPTIAN_CAT, ESPRESSO = 285, 967


@pytest.fixture(scope="module", params=LITES)
def lite(request, real_shelf):
    """Our EfficientNet-Lite, and the one of the package efficientnet_lite_pytorch with the same weights."""
    reference = EfficientNet.from_name(request.param).eval()
    reference.load_state_dict(load_file(real_shelf / request.param / "weights.safetensors"))
    return open_network(request.param), reference


def photograph(name, side):
    picture = open_picture(shelf.need("photographs") / name)
    return F.interpolate(picture[None], (side, side), mode="bicubic", antialias=True).clamp(0, 1)


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png"])
@torch.no_grad()
def test_efficientnet_agrees_with_an_independent_implementation(lite, name):
    ours, reference = lite
    picture = photograph(name, LITES[ours.name])
    assert (ours(picture) - reference((picture * 255 - 127) / 128)).abs().max() < 1e-4


@torch.no_grad()
def test_efficientnet_agrees_on_every_layer_and_a_batch(lite):
    ours, reference = lite
    pictures = torch.cat([photograph(name, LITES[ours.name]) for name in ("chelsea.png", "coffee.png")])
    expected = {}
    for index, block in enumerate(reference._blocks, start=1):
        block.register_forward_hook(lambda *a, index=index: expected.update({f"block{index}": a[-1]}))
    logits = reference((pictures * 255 - 127) / 128)
    outputs = dict(ours.run(pictures))  # all outputs, so that one overwritten later would be noticed
    assert [name for name in outputs if name.startswith("block")] == list(expected)
    for name, output in expected.items():
        torch.testing.assert_close(outputs[name], output, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(outputs["output"], logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(97, 160), (32, 33), (321, 200)])
@torch.no_grad()
def test_efficientnet_pads_as_tensorflow_at_any_size(real_shelf, size):
    weights = load_file(real_shelf / "efficientnet-lite0" / "weights.safetensors")
    # image_size=None: the padding is computed for every picture, not once for 224 pixels.
    reference = EfficientNet.from_name("efficientnet-lite0", image_size=None).eval()
    reference.load_state_dict(weights)
    picture = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    ours = open_network("lite0")
    assert (ours(picture) - reference((picture * 255 - 127) / 128)).abs().max() < 1e-4


@torch.no_grad()
def test_the_cat_is_a_cat_and_the_cup_is_a_cup():
    network = open_network("efficientnet-lite0")
    cat = network(photograph("chelsea.png", 224))[0]
    assert cat.argmax() == EGYPTIAN_CAT
    assert cat[EGYPTIAN_CAT].item() == pytest.approx(
        10.47, abs=0.05
    )  # measured with the reference implementation
    assert network.classes[network(photograph("coffee.png", 224)).argmax()] == "espresso"
    assert len(set(network.classes)) == 1000


def test_a_run_computes_nothing_after_the_requested_layer():
    network = open_network("lite0")
    computed = []
    for name, layer in network.layers.items():
        layer.register_forward_hook(lambda *_, name=name: computed.append(name))
    next(output for name, output in network.run(torch.rand(1, 3, 64, 64)) if name == "block3")
    assert computed == ["stem", "block1", "block2", "block3"]


def test_opening_a_network_sets_eval_mode_and_leaves_the_random_state():
    before = torch.random.get_rng_state()
    network = open_network("lite0")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    picture = torch.rand(1, 3, 64, 64).requires_grad_()
    network(picture)[0, EGYPTIAN_CAT].backward()  # dreams and paths need this
    assert picture.grad.abs().sum() > 0


@torch.no_grad()
@pytest.mark.parametrize(("name", "counts"), [("vgg16", (2, 2, 3, 3, 3)), ("vgg19", (2, 2, 4, 4, 4))])
def test_vgg_agrees_with_its_weights_applied_by_hand(real_shelf, name, counts):
    weights = load_file(real_shelf / name / "weights.safetensors")
    network = open_network(name)
    picture = photograph("chelsea.png", 96)
    outputs = dict(network.run(picture))
    bgr = picture[:, [2, 1, 0]] * 255
    x = bgr - torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    for group, convolutions in enumerate(counts, start=1):
        if group > 1:
            x = F.max_pool2d(x, 2, 2)
            torch.testing.assert_close(outputs[f"pool{group - 1}"], x, rtol=1e-4, atol=0.02)
        for layer in range(1, convolutions + 1):
            name = f"{group}_{layer}"
            x = F.conv2d(x, weights[f"conv{name}.weight"], weights[f"conv{name}.bias"], padding=1)
            torch.testing.assert_close(outputs[f"conv{name}"], x, rtol=1e-4, atol=0.02)
            x = x.relu()
            torch.testing.assert_close(outputs[f"relu{name}"], x, rtol=1e-4, atol=0.02)
    assert list(outputs)[-1] == f"relu5_{counts[-1]}"


@pytest.mark.usefixtures("real_shelf")
def test_average_pooling_shares_the_weights_and_leaves_the_network_alone():
    network = open_network("vgg19")
    averaged = with_pooling(network, "average")
    assert with_pooling(network, "maximum") is network
    assert averaged.layer("conv1_1").weight is network.layer("conv1_1").weight
    picture = photograph("chelsea.png", 32)
    with torch.no_grad():
        before, after = dict(network.run(picture)), dict(averaged.run(picture))
    squares = after["relu1_2"].unfold(2, 2, 2).unfold(3, 2, 2)
    torch.testing.assert_close(after["pool1"], squares.mean((4, 5)))
    torch.testing.assert_close(before["pool1"], squares.amax((4, 5)))


# Preprocessing


def test_a_picture_is_cropped_at_its_centre():
    picture = torch.zeros(3, 100, 300)
    picture[:, 10:90, 110:190] = 1  # the region of a crop of 0.8
    assert to_input(picture, InputSpec(3, 40, (0.0,) * 3, (1.0,) * 3, crop=0.8)).min() == 1
    assert to_input(picture, InputSpec(3, 40, (0.0,) * 3, (1.0,) * 3)).mean() == pytest.approx(0.64, abs=0.02)


def test_a_drawing_in_dark_ink_is_inverted_for_a_digit_network():
    drawing = torch.ones(3, 56, 56)
    drawing[:, 14:42, 26:30] = 0
    dark_on_light = to_input(drawing, InputSpec(1, 28, (0.0,), (1.0,)))
    light_on_dark = to_input(1 - drawing, InputSpec(1, 28, (0.0,), (1.0,)))
    assert dark_on_light.shape == (1, 28, 28)
    torch.testing.assert_close(dark_on_light, light_on_dark)
    assert light_on_dark[0, 14, 14] > 0.9
    assert light_on_dark[0, 0, 0] < 0.1


# Foreign networks


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
        print("output of foreign code")  # must not end up in a JSON document
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

    def loaded(assign=False):
        network = nn.Sequential(nn.Flatten(), nn.Linear(784, 5))
        state = {"1.weight": torch.ones(5, 784), "1.bias": torch.ones(5)}
        network.load_state_dict(state, assign=assign)
        return network
    def assigned(): return loaded(True)
    def learned():
        network = nn.Sequential(nn.Flatten(), nn.Linear(784, 5))
        network(torch.rand(2, 1, 28, 28)).sum().backward()
        torch.optim.Adam(network.parameters()).step()
        return network

    def lazy(): return nn.Sequential(nn.Flatten(), nn.LazyLinear(5))

    def needs(a, b, c=1): return Small()
    def raises(): raise ValueError("two\\nlines")
    def leaves(): raise SystemExit(5)
    class Two(Small):
        def forward(self, x, y): return super().forward(x)
    class Several(Small):
        def forward(self, x): return list(super().forward(x).values()) * 2
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
    """Return the output of the network as it was written."""
    import nets

    network = getattr(nets, name)().eval()
    output = network((images - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
                     / torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))  # fmt: skip
    return output["logits"] if isinstance(output, dict) else output


@pytest.mark.parametrize("name", ["residual", "deciding", "inside"])
def test_a_foreign_network_split_into_layers_has_the_same_output(name):
    network = open_network(f"nets:{name}")
    images = torch.rand(3, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    outputs = list(network.run(images))
    copies = [output.clone() for _, output in outputs]
    expected = original(name, images)
    torch.testing.assert_close(network(images), expected)
    torch.testing.assert_close(outputs[-1][1], expected)
    assert all(torch.equal(output, copy) for (_, output), copy in zip(outputs, copies, strict=True))
    assert [name for name, _ in outputs] == list(network.layers)


def test_a_residual_network_is_a_chain_of_its_blocks():
    network = open_network("nets:residual")
    names = list(network.layers)
    assert names[:5] == ["stem", "relu", "max_pool2d", "blocks.0", "blocks.1"]
    assert names[-1] == "output"
    outputs = dict(network.run(torch.rand(1, 3, 64, 64)))
    for before, after in pairwise(names):  # each layer needs only the output of the one before
        torch.testing.assert_close(network.layers[after](outputs[before]), outputs[after])
    assert outputs["stem"].min() < 0  # no ReLU overwrote it
    computed = []
    network.layers["blocks.1"].register_forward_hook(lambda *_: computed.append("blocks.1"))
    next(output for name, output in network.run(torch.rand(1, 3, 64, 64)) if name == "blocks.0")
    assert not computed


def test_a_module_with_data_dependent_control_flow_is_one_layer():
    network = open_network("nets:inside")
    assert not isinstance(network, UntracedNetwork)
    assert "blocks" in network.layers


def test_a_network_with_data_dependent_control_flow_is_recorded_while_it_runs():
    network = open_network("nets:deciding")
    assert isinstance(network, UntracedNetwork)
    assert "cannot be cut" in network.note
    assert [*network.layers][:5] == ["stem", "blocks.0.conv1", "blocks.0.relu", "blocks.0.conv2",
                                     "blocks.0.relu_1"]  # fmt: skip
    assert [*network.layers][-1] == RESULT


def test_a_layer_that_fails_prints_nothing(capfd):
    network = open_network("nets:residual")
    copied = copy.deepcopy(network)
    capfd.readouterr()
    for each in (network, copied):
        with pytest.raises(RuntimeError):
            each.layers["blocks.0"](torch.zeros(1, 5, 8, 8))  # it has 4 channels
    assert capfd.readouterr().err == ""


def test_the_input_and_classes_of_a_foreign_network():
    assert open_network("nets:residual").classes == tuple(f"class {index}" for index in range(7))
    assert open_network("nets.py:thousand").classes[EGYPTIAN_CAT] == "Egyptian Mau"
    sequence = open_network("nets:sequence")
    assert sequence.classes == ("a", "b", "c")
    assert (sequence.input_spec.channels, sequence.input_spec.size) == (1, 28)
    assert open_network("nets:residual").input_spec.size == 224
    timm = open_network("nets:like_timm").input_spec
    assert timm == InputSpec(3, 64, (0.1, 0.2, 0.3), (1.0, 2.0, 3.0), crop=0.9)


def test_random_weights_are_untrained_and_chosen_by_the_seed():
    def weights(name, seed=0):
        return torch.cat([weight.flatten() for weight in open_network(name, seed=seed).parameters()])

    before = torch.get_rng_state()
    first = weights("nets:like_torchvision", 1)
    assert torch.equal(first, weights("nets:like_torchvision", 1))
    assert not torch.equal(first, weights("nets:like_torchvision", 2))
    assert torch.equal(before, torch.get_rng_state())
    assert open_network("nets:like_torchvision").note == "untrained: its weights are random"
    assert torch.equal(weights("nets:lazy", 1), weights("nets:lazy", 1))
    assert open_network("nets:lazy").note == open_network("nets:like_torchvision").note
    assert "several outputs, of which the first is used" in open_network("nets:Several").note
    for name in ("loaded", "assigned", "learned"):
        assert open_network(f"nets:{name}").note == "", name


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
        ("nets:Two", r"takes several inputs \(x, y\)"),
        ("nets:number", "returns int: expected a torch.nn.Module"),
        ("nets:empty", "has no weights"),
        ("nets:five_channels", "takes 5 channels"),
        ("nets:picky", "does not accept a picture of .*attribute `input_spec`"),
        ("nets:", "module:function"),
        (":f", "module:function"),
        ("broken:f", r"cannot be imported \(ModuleNotFoundError: No module named 'nothing_that_exists'\)"),
        ("os:abort", "returns no network"),
        ("json:JSONDecoder", "returns no network"),
        ("nonsense", "there is no network 'nonsense'"),
        ("", "there is no network"),
    ],
)
def test_an_invalid_network_is_refused_in_one_line(name, words):
    with pytest.raises(UsageError, match=words) as caught:
        open_network(name)
    assert "\n" not in str(caught.value)


def test_an_untrusted_name_runs_no_code(tmp_path):
    (tmp_path / "evil.py").write_text("open('ran', 'w').close()\n")
    for name in ("evil:f", "evil.py:f", "./evil.py:f", f"{tmp_path}/evil.py:f"):
        assert runs_code(name)
        with pytest.raises(UsageError, match="--trust"):
            open_network(name, trust=False)
    assert not (tmp_path / "ran").exists()
    assert not any(map(runs_code, ("lite0", "efficientnet-lite2", "vgg16", "dense", "conv", "a/folder")))


# The catalogue


@pytest.mark.usefixtures("empty_home")
def test_a_missing_network_is_refused_with_the_command_that_gets_it(monkeypatch, capsys):
    monkeypatch.setenv("LANTERNA_OFFLINE", "1")
    with pytest.raises(MissingError, match="lanterna shelf fetch efficientnet-lite0"):
        open_network("lite0")
    with pytest.raises(MissingError, match="lanterna train conv"):
        open_network("conv")
    assert main(["networks", "--json"]) == 0
    listed = {listing["name"]: listing for listing in json.loads(capsys.readouterr().out)}
    assert list(listed) == ["efficientnet-lite0", "efficientnet-lite2", "vgg19", "vgg16", "dense", "conv"]
    assert not any(listing["here"] for listing in listed.values())
    # As in the paper, without the fully connected layers.
    assert listed["vgg16"]["parameters"] == 14_714_688
    assert listed["vgg19"]["parameters"] == 20_024_384


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


def test_the_lists_of_networks_and_layers_are_printed(capsys):
    assert main(["networks"]) == 0
    assert "4,652,008" in capsys.readouterr().out
    assert main(["networks", "nets:residual", "--json"]) == 0
    captured = capsys.readouterr()
    assert [layer["name"] for layer in json.loads(captured.out)["layers"]][3] == "blocks.0"
    assert main(["networks", "nets:residual"]) == 0
    captured = capsys.readouterr()
    assert "blocks.1" in captured.out
    assert captured.err.endswith("nets:residual: untrained: its weights are random\n")
    assert main(["networks", "nets:needs"]) == 2


def test_a_folder_is_a_network_only_when_given_as_a_path(tmp_path, empty_home, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("dense", "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "confusion.png").write_bytes(b"my picture")
    assert trained_folder("dense") == empty_home / "networks" / "dense"
    assert [trained_folder(name) for name in ("./dense", "..", "dense/")] == list(
        map(Path, ("dense", "..", "dense"))
    )
    for path in ("one/a.png", "one/b.png", "two/a.png", "two/b.png"):
        (tmp_path / "classes" / path).parent.mkdir(parents=True, exist_ok=True)
        save_picture(torch.rand(3, 8, 8), tmp_path / "classes" / path)
    for verb in (["train", "dense"], ["teach", "classes"]):
        assert main([*verb, "-o", "./dense"]) == 2
        assert "dense has other files in it: -o gives another folder" in capsys.readouterr().err
    assert (tmp_path / "dense" / "confusion.png").read_bytes() == b"my picture"
    assert trained_folder("mine.net") == Path("mine.net")  # a suffix makes it a path
    with pytest.raises(UsageError, match=r"there is no network 'mine'.*for the folder, write \./mine"):
        open_network("mine")


def test_a_name_with_two_meanings_is_the_networks(trained, tmp_path, capsys):
    shutil.copytree(trained / "networks" / "conv", tmp_path / "conv")
    save_picture(torch.zeros(3, 28, 28), tmp_path / "digit.png")
    assert main(["classify", "digit.png", "--network", "conv", "--json"]) == 0
    assert capsys.readouterr().err.count("for the one in the folder here, write ./conv") == 1
    assert main(["classify", "digit.png", "--network", "./conv", "--json"]) == 0
    assert "folder here" not in capsys.readouterr().err
