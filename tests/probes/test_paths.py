"""Paths: the contributions of every layer and the later offsets add up to the answer, and each is right."""

import copy
import io
import sys
import textwrap
from itertools import pairwise

import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

import lanterna
from lanterna import shelf
from lanterna.errors import UsageError
from lanterna.images.digits import mnist
from lanterna.images.drawing import as_picture
from lanterna.networks import InputSpec, Network, open_network
from lanterna.networks.digits import conv, dense, initialise_weights
from lanterna.networks.tracing import RESULT
from lanterna.networks.trained import open_trained
from lanterna.probes import BY, ablation, heat, links, look, paths
from lanterna.techniques.train.settings import Train

EGYPTIAN_CAT = 285
DTYPES = {torch.float32: 1e-4, torch.float64: 1e-9}


def photograph(name, side=224):
    image = Image.open(shelf.need("photographs") / name).convert("RGB")
    return as_picture(image.resize((side, side), Image.Resampling.BICUBIC))


def digits(count):
    test = mnist("test")
    return test.images[:count].float() / 255


@pytest.fixture(scope="session")
def shared_conv(trained):
    return open_trained(trained / "networks" / "conv")


@pytest.fixture(scope="module")
def shared_dense(session_home):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANTERNA_HOME", str(session_home))
        *_, frame = lanterna.train(Train(network="dense", hidden=(64, 32), epochs=1), device="cpu")
    return frame.network.eval()


@pytest.fixture
def conv_trained(shared_conv):
    return copy.deepcopy(shared_conv).requires_grad_(False)


@pytest.fixture
def dense_trained(shared_dense):
    return copy.deepcopy(shared_dense).requires_grad_(False)


def with_random_parameters(network, seed=0):
    """Set all weights, biases and batch norm statistics to random values, as if trained."""
    generator = torch.Generator().manual_seed(seed)
    initialise_weights(network, "kaiming", 0.0, generator)
    for name, tensor in network.state_dict().items():
        if name.endswith(("bias", "running_mean")):
            tensor.normal_(0, 0.3, generator=generator)
        elif "running_var" in name:
            tensor.uniform_(0.5, 2, generator=generator)
    return network.eval()


def sum_per_map(tensor):
    return tensor.flatten(1).sum(1) if tensor.dim() > 1 else tensor


def checked_paths(network, image, answer, dtype, against=None):
    """Return the paths, after checking in float64 that every layer adds up to the network's answer."""
    network = network.to(dtype)
    image = image.to(dtype)
    found = paths(network, image, answer, against=against)
    with torch.no_grad():
        logits = network(image[None])[0].double()
        outputs = dict(network.run(image[None]))
    value = (logits[answer] - (logits[against] if against is not None else 0)).item()
    assert found.value == pytest.approx(value, rel=1e-5)
    assert list(found.contributions) == ["input", *network.layers]
    scale = max(abs(value), 1.0)
    later_offsets = 0.0
    for layer in reversed(list(network.layers)):  # from the answer back to the picture
        assert found.contributions[layer].shape == outputs[layer].shape[1:]
        total = found.contributions[layer].double().sum().item() + later_offsets
        assert total == pytest.approx(value, abs=DTYPES[dtype] * scale), layer
        later_offsets += found.offsets[layer]
    later_offsets += found.offsets["normalisation"]
    assert found.contributions["input"].shape == image.shape
    total = found.contributions["input"].double().sum().item() + later_offsets
    assert total == pytest.approx(value, abs=DTYPES[dtype] * scale)
    assert found.exact
    assert found.method == "exact"
    assert found.error <= DTYPES[dtype] * scale
    return found


# Sums


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "network",
    [
        dense(()),
        dense((32,)),
        dense((40, 20, 10)),
        dense((32,), bias=False),
        dense((32,), dropout=0.5),
        conv((8, 12), convolutions=2, hidden=(20,)),
        conv((8,), convolutions=3, bias=False),
        conv((4, 8, 8), dropout=0.3),
    ],
)
def test_every_layer_of_any_digit_network_adds_up_to_the_answer(network, dtype):
    with_random_parameters(network)
    for image in digits(3):
        checked_paths(network, image, 4, dtype)
        checked_paths(network, image, 4, dtype, against=9)


@pytest.mark.parametrize("dtype", DTYPES)
def test_trained_digit_networks_add_up(conv_trained, dense_trained, dtype):
    for network in (conv_trained, dense_trained):
        for image in digits(10):
            checked_paths(network, image, 7, dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "side"), [("efficientnet-lite0", 224), ("efficientnet-lite2", 260)])
def test_photographs_add_up_at_every_block(name, side, dtype):
    network = open_network(name)
    picture = photograph("chelsea.png", side)
    answer = int(network.to(dtype)(picture[None].to(dtype)).argmax())
    checked_paths(network, picture, answer, dtype)
    for photo, other_side in ("coffee.png", 97), ("rocket.jpg", 64):
        checked_paths(network, photograph(photo, other_side), 967, dtype, against=504)


@pytest.mark.slow
def test_the_cat_is_explained():
    found = paths(open_network("lite0").double(), photograph("chelsea.png").double(), EGYPTIAN_CAT)
    assert found.value == pytest.approx(10.4699, abs=1e-3)
    assert found.error < 1e-12
    assert found.explained("block9") == pytest.approx(found.value, abs=1e-12)
    assert abs(found.offsets["normalisation"]) > 0.1  # normalisation matters here, and is included
    assert heat(found, "block16").shape == (7, 7)
    torch.testing.assert_close(heat(found), found.contributions["input"].sum(0))


def test_a_saturated_relu6_and_a_leaky_relu_are_included():
    torch.manual_seed(0)
    layers = {
        "conv": nn.Conv2d(1, 6, 3),
        "limits": nn.Hardtanh(-10, 5.1),
        "leaky": nn.LeakyReLU(0.2),
        "mix": nn.Conv2d(6, 6, 1),
        "relu6": nn.ReLU6(),
        "mean": nn.AvgPool2d(2),
        "flatten": nn.Flatten(),
        "output": nn.Linear(6 * 4, 3),
    }
    network = Network("small", InputSpec(1, 6, (0.5,), (0.01,)), layers, "abc").eval().requires_grad_(False)
    layers["mix"].weight *= 3
    found = checked_paths(network, torch.rand(1, 6, 6), 2, torch.float64, against=0)
    assert abs(found.offsets["relu6"]) > 1e-3
    assert abs(found.offsets["limits"]) > 1e-3
    assert found.offsets["leaky"] == 0


# Terms


def test_connections_agree_with_finite_differences(conv_trained):
    network = conv_trained.double()
    image = digits(1)[0].double()
    found = paths(network, image, 7, against=1)
    generator = torch.Generator().manual_seed(3)
    for layer in ("conv1", "conv2", "conv3", "output"):
        weight = network.layer(layer).weight
        weight.data = weight.data.contiguous()
        assert found.connections[layer].shape == weight.shape
        flat, terms = weight.data.view(-1), found.connections[layer].reshape(-1)
        indices = torch.randint(len(flat), (6,), generator=generator).tolist()
        for index in [*indices, int(terms.abs().argmax())]:
            original = flat[index].item()
            step = 1e-7  # so small that the same units stay active
            answers = []
            for value in (original - step, original + step):
                flat[index] = value
                logits = network(image[None])[0].detach()
                answers.append((logits[7] - logits[1]).item())
            flat[index] = original
            gradient = (answers[1] - answers[0]) / (2 * step)
            assert terms[index].item() == pytest.approx(original * gradient, rel=1e-4, abs=1e-6)


def test_the_connections_of_a_layer_add_up_to_its_output_without_bias(dense_trained, conv_trained):
    for network in (dense_trained, conv_trained):
        found = paths(network, digits(1)[0], 7)
        for layer, connections in found.connections.items():
            output = sum_per_map(found.contributions[layer])
            without_bias = connections.flatten(1).sum(1)
            bias = found.module_offsets.get(layer, 0.0)
            torch.testing.assert_close(without_bias + bias, output, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_layers_inside_blocks_have_their_dotted_names():
    network = open_network("lite0").double()
    found = paths(network, photograph("coffee.png").double(), 967)
    weights = {
        name.removeprefix("layers.").removesuffix(".weight"): parameter.shape
        for name, parameter in network.named_parameters()
        if name.endswith("weight") and ("conv" in name or "output" in name)
    }
    assert {layer: terms.shape for layer, terms in found.connections.items()} == weights
    assert {"stem.conv", "block3.expand.conv", "output"} <= set(weights)
    inside = [layer for layer in found.module_offsets if layer.startswith("block3.")]
    assert sum(found.module_offsets[layer].sum() for layer in inside).item() == pytest.approx(
        found.offsets["block3"]
    )


@pytest.mark.slow
def test_the_difference_of_two_answers_is_the_difference_of_their_terms(dense_trained):
    image = digits(1)[0]
    four, nine = (paths(dense_trained, image, answer) for answer in (4, 9))
    both = paths(dense_trained, image, 4, against=9)
    assert both.value == pytest.approx(four.value - nine.value, abs=1e-4)
    for layer, contribution in both.contributions.items():
        expected = four.contributions[layer] - nine.contributions[layer]
        torch.testing.assert_close(contribution, expected, rtol=1e-3, atol=1e-4)


def check_links(network, image, answers, against=None, layers=None):
    found = [paths(network, image, answer, against=against) for answer in answers]
    names = ["input", *network.layers]
    for before, layer in pairwise(names):
        if layers and layer not in layers:
            continue
        flows = links(network, image, layer, answers, against=against)
        for flow, terms in zip(flows, found, strict=True):
            inputs = sum_per_map(terms.contributions[before])
            outputs = sum_per_map(terms.contributions[layer])
            assert flow.shape == (len(inputs), len(outputs))
            torch.testing.assert_close(flow.sum(1), inputs, rtol=1e-8, atol=1e-9)
            offset = terms.offsets[layer] + (terms.offsets["normalisation"] if before == "input" else 0)
            assert flow.sum().item() + offset == pytest.approx(outputs.sum().item(), abs=1e-9)


def test_links_add_up_to_the_contributions_on_both_sides(conv_trained, dense_trained):
    for network in (conv_trained.double(), dense_trained.double()):
        check_links(network, digits(1)[0].double(), [7, 2, 0], against=1)


def test_links_of_a_norm_and_of_a_dense_layer_are_right_for_each_map(conv_trained, dense_trained):
    image = digits(1)[0].double()
    network = conv_trained.double()
    flow = links(network, image, "norm2", [7])[0]
    assert torch.equal(flow, flow.diag().diag())  # a batch norm mixes no maps
    found = paths(network, image, 7)
    expected = sum_per_map(found.contributions["norm2"]) - found.module_offsets["norm2"]
    torch.testing.assert_close(flow.sum(0), expected)
    network = dense_trained.double()
    flow = links(network, image, "hidden2", [7])[0]
    torch.testing.assert_close(flow.T, paths(network, image, 7).connections["hidden2"])
    two_maps = links(network, image, "hidden2", [7], maps=[5, 2])[0]
    torch.testing.assert_close(two_maps, flow[[5, 2]])


@pytest.mark.slow
def test_links_add_up_in_blocks():
    network = open_network("lite0").double()
    layers = ("stem", "block2", "block3", "block16", "pool", "output")
    check_links(network, photograph("chelsea.png", 96).double(), [285, 967], layers=layers)


# Networks that are not piecewise linear, and foreign ones


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize("make", [dense, conv])
def test_smooth_networks_are_integrated_and_report_the_error(make, activation):
    network = with_random_parameters(make(hidden=(20,), activation=activation)).double()
    image = digits(1)[0].double()
    found = paths(network, image, 4, steps=64)
    assert not found.exact
    assert found.method == "integrated"
    assert activation.capitalize() in found.note
    with torch.no_grad():
        empty, full = (network(x[None])[0, 4].item() for x in (torch.zeros_like(image), image))
    gaps = [
        abs(found.contributions[layer].sum().item() + empty - full) for layer in ("input", *network.layers)
    ]
    assert found.empty == pytest.approx(empty)
    assert found.error == pytest.approx(max(gaps), abs=1e-12)
    assert found.error < 1e-2 * max(1, abs(full - empty))
    finer = paths(network, image, 4, steps=512).error
    assert finer < found.error / (50 if make is dense else 1)  # 8² = 64, unless pooling makes kinks
    coarse = paths(network, image, 4, steps=1)
    assert coarse.error > found.error
    for layer, connections in found.connections.items():  # without the bias
        torch.testing.assert_close(
            connections.flatten(1).sum(1), sum_per_map(found.contributions[layer]), rtol=1e-6, atol=1e-9
        )


def test_integrated_terms_agree_with_exact_ones_for_a_linear_network():
    """A linear network that looks nonlinear: an unknown layer that is the identity."""

    class Unknown(nn.Module):
        def forward(self, x):
            return x * 1

    layers = {"flatten": nn.Flatten(), "hidden": nn.Linear(784, 6), "unknown": Unknown(),
              "output": nn.Linear(6, 10)}  # fmt: skip
    network = Network("unknown", InputSpec(1, 28, (0.0,), (1.0,)), layers, "0123456789").double().eval()
    image = digits(1)[0].double()
    integrated = paths(network, image, 3)
    assert not integrated.exact  # because the layer is unknown
    del network.layers["unknown"]
    exact = paths(network, image, 3)
    assert exact.exact
    for layer in ("input", "flatten"):
        torch.testing.assert_close(integrated.contributions[layer], exact.contributions[layer])
    torch.testing.assert_close(integrated.connections["hidden"], exact.connections["hidden"])


NETS = """
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = (nn.Conv2d(4, 4, 3, padding=1) for _ in range(2))
            self.norm = nn.BatchNorm2d(4)
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x):
            y = self.relu(self.norm(self.conv1(x)))
            y = self.conv2(y)
            y += x
            return self.act(y)

        def act(self, y): return self.relu(y)

    class Gelu(Residual):
        def act(self, y): return F.gelu(y)

    class Small(nn.Module):
        def __init__(self, block):
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 3, stride=2)
            self.blocks = nn.Sequential(block(), block())
            self.output = nn.Linear(4, 7)

        def forward(self, x):
            x = F.relu(self.stem(x), inplace=True)
            return self.output(self.blocks(F.max_pool2d(x, 4)).mean((2, 3)).view(x.size(0), -1))

    class Deciding(Small):
        def forward(self, x):
            x = self.stem(x).relu_()
            if x.max() < 0:
                return self.output(x.mean((2, 3)))
            return self.output(self.blocks(x).mean((2, 3)))

    def seeded(make, *more):
        torch.manual_seed(0)
        return make(*more)

    def residual(): return seeded(Small, Residual)
    def gelu(): return seeded(Small, Gelu)
    def deciding(): return seeded(Deciding, Residual)
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    (tmp_path / "path_nets.py").write_text(textwrap.dedent(NETS))
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("path_nets", None)


@pytest.mark.usefixtures("nets")
def test_a_piecewise_linear_foreign_network_is_exact():
    network = open_network("path_nets:residual")
    found = checked_paths(network, photograph("coffee.png"), 3, torch.float64)
    inside = {f"blocks.{block}.conv{layer}" for block in (0, 1) for layer in (1, 2)}
    assert set(found.connections) == {"stem", *inside, "output"}
    assert {"blocks.0.norm", "blocks.1.norm"} <= set(found.module_offsets)
    check_links(network, photograph("coffee.png").double(), [3], layers=("stem", "blocks.0", "blocks.1"))


@pytest.mark.slow
@pytest.mark.usefixtures("nets")
def test_a_smooth_foreign_network_is_detected_by_its_sum():
    network, picture = open_network("path_nets:gelu").double(), photograph("coffee.png").double()
    found, finer = (paths(network, picture, 3, steps=steps) for steps in (8, 64))
    assert not found.exact
    assert "gap" in found.note
    assert 0 < finer.error < found.error
    assert finer.error < 0.1 * abs(found.value - found.empty)


@pytest.mark.usefixtures("nets")
def test_a_network_that_is_no_chain_explains_its_input_and_result():
    network = open_network("path_nets:deciding").double()
    picture = photograph("coffee.png").double()
    found = paths(network, picture, 3)
    assert found.exact
    assert list(found.complete_layers) == ["input", RESULT]
    assert "only through the picture and the result" in found.note
    assert found.explained("input") == pytest.approx(network(picture[None])[0, 3].item())
    assert found.contributions["blocks.0.conv1"].abs().sum() > 0
    with pytest.raises(UsageError, match="no chain of layers"):
        links(network, picture, "stem", [3])
    assert look(network, picture, "blocks.0.relu").keys() == {"blocks.0.relu"}


# No side effects


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_network_is_left_unchanged(activation):
    network = conv((4, 6), hidden=(8,), activation=activation, dropout=0.5).train()
    network.layer("hidden3").requires_grad_(False)
    network.layer("norm1").eval()
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    flags = [module.training for module in network.modules()]
    requires_grad = [parameter.requires_grad for parameter in network.parameters()]
    image = digits(1)[0].requires_grad_()
    with torch.no_grad():  # works although the caller disables gradients
        first, second = (paths(network, image, 3) for _ in range(2))
    links(network, image, "conv2", [3])
    look(network, image)
    ablation(network, image, 3, "for", [0.1])
    with pytest.raises(UsageError):
        paths(network, torch.zeros(1, 14, 14), 3)
    assert first.value == second.value  # eval mode: no dropout
    assert [module.training for module in network.modules()] == flags
    assert [parameter.requires_grad for parameter in network.parameters()] == requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())
    assert image.grad is None
    assert not any(module._forward_hooks for module in network.modules())
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, weights[name])
    with torch.inference_mode():
        assert paths(network, digits(1)[0], 3).value == first.value
    assert not any(terms.requires_grad for terms in first.contributions.values())


@pytest.mark.parametrize(
    ("image", "answer", "words"),
    [
        (torch.zeros(1, 28, 28), 10, "answers 0 to 9, got 10"),
        (torch.zeros(1, 28, 28), -1, "answers 0 to 9, got -1"),
        (torch.zeros(1, 28, 28), "4", "answers 0 to 9, got '4'"),
        (torch.zeros(3, 28, 28), 4, r"takes pictures \(1, 28, 28\), got \(3, 28, 28\)"),
        (torch.zeros(28, 28), 4, r"takes pictures \(1, 28, 28\), got \(28, 28\)"),
        (torch.zeros(2, 1, 28, 28), 4, r"one picture \(C, H, W\)"),
        (torch.zeros(1, 30, 28), 4, r"28 × 28 pixels, got \(30, 28\)"),
        (torch.zeros(1, 28, 28, dtype=torch.uint8), 4, r"floats in \[0, 1\], got uint8"),
    ],
)
def test_an_invalid_picture_or_answer_is_refused_in_one_line(image, answer, words):
    for network in (dense(), dense(activation="tanh")):
        with pytest.raises(UsageError, match=words) as caught:
            paths(network, image, answer)
        assert "\n" not in str(caught.value)


def test_other_invalid_input_is_refused():
    with pytest.raises(UsageError, match="vgg16 has no classes"):
        paths(open_network("vgg16"), torch.zeros(3, 224, 224), 0)
    layers = {"input": nn.Flatten(), "output": nn.Linear(784, 10)}
    clash = Network("clash", InputSpec(1, 28, (0.0,), (1.0,)), layers, "0123456789")
    with pytest.raises(UsageError, match="a layer called 'input'"):
        paths(clash, digits(1)[0], 0)
    found = paths(dense(), digits(1)[0], 0)
    assert repr(found).startswith("Paths(dense, answer 0: ")
    with pytest.raises(UsageError, match="no maps"):
        heat(found, "hidden1")
    with pytest.raises(UsageError, match="no layer 'nowhere'"):
        heat(found, "nowhere")
    with pytest.raises(UsageError, match="has no layer 'nowhere'"):
        links(dense(), digits(1)[0], "nowhere", [1])
    with pytest.raises(UsageError, match="answers 0 to 9"):
        paths(dense(), digits(1)[0], 0, against=12)


# Activations


def test_look_returns_the_output_of_each_layer(conv_trained):
    images = digits(3)
    outputs = lanterna.look(conv_trained, images)
    assert list(outputs) == list(conv_trained.layers)
    x = F.conv2d(images, conv_trained.layer("conv1").weight, padding=2)  # by hand
    torch.testing.assert_close(outputs["conv1"], x)
    torch.testing.assert_close(outputs["pool1"], F.max_pool2d(x, 2))
    torch.testing.assert_close(outputs["output"], conv_trained(images))
    single = look(conv_trained, images[1], "relu2", "conv1")
    assert list(single) == ["conv1", "relu2"]
    torch.testing.assert_close(single["relu2"], outputs["relu2"][1], rtol=1e-4, atol=1e-5)
    with pytest.raises(UsageError, match=r"has no layer 'conv9'.*conv1"):
        look(conv_trained, images, "conv9")
    with pytest.raises(UsageError, match="pixels"):
        look(conv_trained, torch.zeros(1, 20, 20))


def test_look_computes_nothing_after_the_last_requested_layer():
    network = open_network("lite0")
    computed = []
    for name, layer in network.layers.items():
        layer.register_forward_hook(lambda *_, name=name: computed.append(name))
    look(network, torch.rand(2, 3, 64, 64), "block2", "stem")
    assert computed == ["stem", "block1", "block2"]


def colours(png):
    return as_picture(Image.open(io.BytesIO(png)))


def test_look_and_paths_are_displayed_in_a_notebook(dense_trained, conv_trained):
    image = digits(1)[0]
    sheet = colours(look(conv_trained, image)._repr_png_())
    assert sheet.std() > 0.05
    found = paths(dense_trained, image, 7, against=2)
    drawn = colours(found._repr_png_())
    side = drawn.shape[-1]
    centres = [side * (2 * i + 1) // 56 for i in range(28)]
    red, _, blue = drawn[:, centres][:, :, centres]
    warm = heat(found)
    strong = warm.abs() > warm.abs().max() / 4
    assert strong.sum() > 10
    assert torch.equal((red > blue)[strong], (warm > 0)[strong])  # amber: for, blue: against


# Ablation


def test_removing_the_largest_contributions_changes_the_answer_most(conv_trained, dense_trained):
    """Over 16 test digits, with about a thousandth of the connections removed, ranked in five ways."""
    images = digits(16)
    for network in (conv_trained, dense_trained):
        with torch.no_grad():
            answers = network(images).argmax(1).tolist()
        changes = {}
        for by in BY:
            left = torch.stack([
                ablation(network, image, answer, by, [0, 0.0003, 0.001, 0.003], seed=n)
                for n, (image, answer) in enumerate(zip(images, answers, strict=True))
            ])  # fmt: skip
            changes[by] = ((left[:, 1:] - left[:, :1]).abs() / left[:, :1].abs()).mean().item()
        others = [changes[by] for by in ("weight", "activation", "random")]
        assert changes["for"] > 2 * max(others)
        assert changes["contribution"] > max(others)
        assert changes["random"] == min(changes.values())


def test_ablation_of_a_linear_network_subtracts_its_contributions():
    network = with_random_parameters(dense((), bias=True))  # linear: each connection's contribution is known
    image = digits(1)[0]
    terms = paths(network, image, 7).connections["output"].flatten().sort(descending=True).values
    share = 12 / terms.numel()
    full, without_some, without_all = ablation(network, image, 7, "for", [0, share, 1])
    assert full.item() == pytest.approx(network(image[None])[0, 7].item(), abs=1e-5)
    assert without_some.item() == pytest.approx(full.item() - terms[:12].sum().item(), abs=1e-4)
    assert without_all.item() == pytest.approx(network.layer("output").bias[7].item(), abs=1e-5)
    with pytest.raises(UsageError, match="0 to 1"):
        ablation(network, image, 7, "for", [1.5])
    with pytest.raises(UsageError, match="ranked by"):
        ablation(network, image, 7, "size", [0.5])


def test_ablation_by_activation_ranks_by_the_mean_absolute_input():
    network = with_random_parameters(conv((3,), hidden=(5,)))
    image = digits(1)[0]
    with torch.no_grad():
        outputs = dict(network.run(image[None]))
        padded = (
            F.unfold(image[None], 5, padding=2).abs().mean(2).view(1, 5, 5)
        )  # the mean input of each weight
        expected = {
            "conv1": padded.expand(3, 1, 5, 5),
            "hidden2": outputs["flatten"].abs().expand(5, -1),
            "output": outputs["relu2"].abs().expand(10, -1),
        }
        ranked = torch.cat([expected[layer].flatten() for layer in expected]).sort(descending=True).values
        cut = (ranked[40] + ranked[41]) / 2 if ranked[40] > ranked[41] else ranked[40]
        removed = (torch.cat([activation.flatten() for activation in expected.values()]) > cut).sum().item()
    left = ablation(network, image, 2, "activation", [removed / len(ranked)])
    with torch.no_grad():
        for layer, activation in expected.items():
            network.layer(layer).weight[activation > cut] = 0
        assert left.item() == pytest.approx(network(image[None])[0, 2].item(), abs=1e-4)
