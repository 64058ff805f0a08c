"""Objectives have the values and gradients of their definitions, and run no more of a network than needed."""

import numpy as np
import pytest
import torch
from torch import nn

from lanterna.errors import UsageError
from lanterna.networks import InputSpec, Network
from lanterna.probes.objectives import (
    channel,
    channels,
    direction,
    diversity,
    energy,
    guide,
    ink,
    layer_outputs,
    logit,
    smoothness,
    unit,
)


@pytest.fixture
def network():
    """A small smooth network in float64, with convolutional and fully connected layers."""
    torch.manual_seed(0)
    layers = {
        "conv1": nn.Conv2d(3, 5, 3, padding=1),
        "tanh1": nn.Tanh(),
        "conv2": nn.Conv2d(5, 4, 3, stride=2),
        "flatten": nn.Flatten(),
        "output": nn.Linear(4 * 3 * 3, 6),
    }
    return Network("small", InputSpec(3, 8, (0.4,) * 3, (0.5,) * 3), layers).double()


@pytest.fixture
def images():
    return torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def outputs_of(network, images):
    return {name: output.detach().numpy() for name, output in network.run(images)}


OBJECTIVES = {
    "channel": channel("conv2", 2),
    "channel of each": channel("tanh1", [0, 4, 1]),
    "dense unit": channel("output", 3),
    "unit": unit("conv1", 1, at=(2, 5)),
    "unit in the middle": unit("conv2", 0),
    "logit": logit(5),
    "direction": direction("conv1", {0: 1, 3: 2}),
    "energy": energy("tanh1"),
    "channels": channels("conv2", [3, 0]),
    "channels of units": channels("output", [1, 4]),
    "diversity": diversity("tanh1"),
    "smoothness": smoothness(),
    "ink": ink(),
    "a mix": 2 * channel("conv2", 1) + energy("conv1") - 0.3 * smoothness() - unit("tanh1", 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradients_are_those_of_finite_differences(name, network, images):
    objective = OBJECTIVES[name]
    images.requires_grad_()
    assert objective(network, images).shape == (3,)
    assert torch.autograd.gradcheck(lambda x: objective(network, x), images, eps=1e-6, atol=1e-6)


def test_values_are_those_of_the_definition(network, images):
    found = {name: objective(network, images).detach().numpy() for name, objective in OBJECTIVES.items()}
    outputs = outputs_of(network, images)
    pixels = images.numpy()
    close = np.testing.assert_allclose
    close(found["channel"], outputs["conv2"][:, 2].mean((1, 2)))
    close(found["channel of each"], [outputs["tanh1"][n, c].mean() for n, c in enumerate([0, 4, 1])])
    close(found["dense unit"], outputs["output"][:, 3])
    close(found["unit"], outputs["conv1"][:, 1, 2, 5])
    close(found["unit in the middle"], outputs["conv2"][:, 0, 1, 1])
    close(found["logit"], outputs["output"][:, 5])
    close(found["energy"], (outputs["tanh1"] ** 2).mean((1, 2, 3)) / 2)
    close(found["ink"], -pixels.mean((1, 2, 3)))
    down, across = abs(np.diff(pixels, axis=2)), abs(np.diff(pixels, axis=3))
    close(found["smoothness"], -(down.mean((1, 2, 3)) + across.mean((1, 2, 3))))
    close(
        found["a mix"],
        2 * outputs["conv2"][:, 1].mean((1, 2))
        + (outputs["conv1"] ** 2).mean((1, 2, 3)) / 2
        - 0.3 * found["smoothness"]
        - outputs["tanh1"][:, 2, 4, 4],
    )
    grams = [np.einsum("chw,dhw->cd", maps, maps).ravel() for maps in outputs["tanh1"]]
    cosine = np.array([[a @ b / np.sqrt((a @ a) * (b @ b)) for b in grams] for a in grams])
    close(found["diversity"], -(cosine.sum(1) - 1) / 2)


def test_a_direction_needs_both_of_its_channels():
    layers = {"maps": nn.Identity(), "weights": nn.Conv2d(3, 3, 1)}
    network = Network("plain", InputSpec(3, 4, (0.0,) * 3, (1.0,) * 3), layers)
    both = torch.tensor([1.0, 1.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    one = torch.tensor([2.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    diagonal = direction("maps", {0: 1, 1: 1})
    assert diagonal(network, both).item() == pytest.approx(2**0.5)
    assert diagonal(network, one).item() == pytest.approx(
        1.0
    )  # the same sum of channels, in another direction
    assert diagonal(network, -both).item() == pytest.approx(-0.1 * 2**0.5)


def test_identical_pictures_have_the_least_diversity(network, images):
    same = images[:1].expand(2, -1, -1, -1)
    assert diversity("conv1")(network, same).tolist() == pytest.approx([-1, -1])
    assert diversity("conv1")(network, images[:1]).tolist() == [0]
    assert (diversity("conv1")(network, images) > -1).all()


def test_a_picture_is_not_influenced_by_the_objectives_of_others(network, images):
    objective = channel("conv2", [0, 1, 2]) + energy("conv1")
    together = images.clone().requires_grad_()
    objective(network, together).sum().backward()
    alone = images[1:2].clone().requires_grad_()
    (channel("conv2", 1) + energy("conv1"))(network, alone).sum().backward()
    torch.testing.assert_close(together.grad[1:2], alone.grad)


def test_nothing_after_the_last_layer_is_computed(network, images):
    class Broken(nn.Module):
        def forward(self, _):
            raise AssertionError("computed although not requested")

    network.layers["flatten"] = Broken()
    assert set(layer_outputs(network, images, frozenset({"conv1", "conv2"}))) == {"conv1", "conv2"}
    assert (2 * channel("conv2", 0) + smoothness())(network, images).shape == (3,)
    network.layers["conv1"] = Broken()
    assert smoothness()(network, images).shape == (3,)


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (channel("conv9", 0), "conv9"),
        (channel("conv1", 5), "0 to 4"),
        (channel("conv1", [0, 1]), "3 pictures"),
        (unit("conv1", 0, at=(8, 0)), "8 × 8"),
        (direction("conv1", {7: 1}), "0 to 4"),
    ],
)
def test_invalid_layers_and_channels_are_refused(objective, words, network, images):
    with pytest.raises(UsageError, match=words):
        objective(network, images)


def test_channels_are_the_mean_of_their_maps(network, images):
    maps = outputs_of(network, images)["conv2"]
    measured = channels("conv2", [3, 0])(network, images).detach().numpy()
    np.testing.assert_allclose(measured, (maps[:, 3].mean((1, 2)) + maps[:, 0].mean((1, 2))) / 2)
    with pytest.raises(UsageError, match="channels 0 to 3, got 4"):
        channels("conv2", [0, 4])(network, images)


def test_a_guide_is_matched_by_cosine_similarity():
    """By hand: two channels, three positions of a picture, two of the guide."""
    features = torch.tensor([[1.0, 0.0], [0.0, 2.0]]).T.reshape(1, 2, 1, 2)  # vectors (1, 0) and (0, 2)
    outputs = torch.tensor([[3.0, 1.0], [2.0, 1.5], [-1.0, -3.0]]).T.reshape(1, 2, 1, 3).requires_grad_()
    value = guide("layer", features).measure(outputs, {"layer": outputs})
    # By cosine (1, 0) is the best match of all three, though (2, 1.5) has a larger dot product with (0, 2).
    assert value.item() == pytest.approx((3 + 2 - 1) / 3 / 2)
    (gradient,) = torch.autograd.grad(value.sum(), outputs)
    matches = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]).T.reshape(1, 2, 1, 3)
    torch.testing.assert_close(gradient, matches / 6)  # each position moves towards its best match


def test_the_gradient_of_a_guide_is_that_of_finite_differences(network, images):
    with torch.no_grad():
        features = layer_outputs(network, images[:1].flip(3), frozenset({"tanh1"}))["tanh1"]
    objective = guide("tanh1", features)
    images.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: objective(network, x), images, eps=1e-6, atol=1e-6)
