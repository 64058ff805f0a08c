"""Occlusion, integrated gradients and Grad-CAM, each against an independent computation."""

import pytest
import torch
from PIL import Image

from lanterna import shelf
from lanterna.errors import UsageError
from lanterna.images.digits import mnist
from lanterna.images.drawing import as_picture
from lanterna.networks import open_network
from lanterna.networks.digits import conv, dense
from lanterna.probes import grad_cam, integrated_gradients, occlusion


def digit(index=0):
    return mnist("test").images[index].double() / 255


def seeded(make, **settings):
    torch.manual_seed(5)
    return make(**settings).double().eval()


def photograph(name, side=224):
    image = Image.open(shelf.need("photographs") / name).convert("RGB")
    return as_picture(image.resize((side, side), Image.Resampling.BICUBIC))


@torch.no_grad()
def test_occlusion_covers_each_square_in_turn():
    network, image = seeded(conv, channels=(4, 6)), digit()
    drops = occlusion(network, image, 3, against=5, size=6, stride=5, fill=0.25)
    assert drops.shape == (6, 6)
    logits_before = network(image[None])[0]
    for row in range(6):
        for column in range(6):
            occluded = image.clone()
            for y in range(5 * row, min(5 * row + 6, 28)):
                for x in range(5 * column, min(5 * column + 6, 28)):
                    occluded[0, y, x] = 0.25
            logits = network(occluded[None])[0]
            drop = (logits_before[3] - logits_before[5]) - (logits[3] - logits[5])
            assert drops[row, column].item() == pytest.approx(drop.item(), abs=1e-12)


@torch.no_grad()
def test_occlusion_of_a_linear_network_is_the_sum_under_the_square():
    network, image = seeded(dense, hidden=()), digit()
    drops = occlusion(network, image, 2, size=4, stride=4, fill=0.0)
    terms = network.layer("output").weight[2].view(28, 28) * image[0]
    torch.testing.assert_close(drops, terms.view(7, 4, 7, 4).sum((1, 3)))
    assert occlusion(network, image, 2).shape == (
        14,
        14,
    )  # squares of a seventh of the side, half a square apart


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_integrated_gradients_agree_with_finite_differences(activation):
    network, image = seeded(dense, hidden=(12,), activation=activation), digit()
    baseline = torch.full_like(image, 0.1)
    steps, h = 8, 1e-6
    found = integrated_gradients(network, image, 4, against=1, baseline=baseline, steps=steps)
    with torch.no_grad():
        for y, x in ((14, 14), (10, 9), (20, 13), (7, 6)):
            gradients = []
            for step in range(steps):
                image_at_step = baseline + (step + 0.5) / steps * (image - baseline)
                ends = image_at_step.repeat(2, 1, 1, 1)
                ends[0, 0, y, x] -= h
                ends[1, 0, y, x] += h
                logits = network(ends)
                gradients.append(((logits[1] - logits[0]) @ towards(4, 1)).item() / (2 * h))
            expected = (image - baseline)[0, y, x].item() * sum(gradients) / steps
            assert found[0, y, x].item() == pytest.approx(expected, rel=1e-5, abs=1e-8)


def towards(answer, against):
    direction = torch.zeros(10, dtype=torch.float64)
    direction[answer], direction[against] = 1, -1
    return direction


def test_integrated_gradients_are_complete():
    network, image = seeded(conv, channels=(4, 6), activation="tanh"), digit(1)
    found = integrated_gradients(network, image, 4, steps=400)
    with torch.no_grad():
        ends = network(torch.stack([torch.zeros_like(image), image]))[:, 4]
    assert found.sum().item() == pytest.approx((ends[1] - ends[0]).item(), abs=1e-5)
    with pytest.raises(UsageError, match="expected a baseline of shape"):
        integrated_gradients(network, image, 4, baseline=torch.zeros(1, 20, 20))
    with pytest.raises(UsageError, match="steps: expected at least 1"):
        integrated_gradients(network, image, 4, steps=0)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "answer"), [("chelsea.png", 285), ("coffee.png", 967)])
def test_grad_cam_is_the_class_activation_map_if_that_is_defined(name, answer):
    """Zhou et al. (2016): the last maps, weighted with the output layer's weights of the class."""
    network, picture = open_network("lite0").double(), photograph(name).double()
    with torch.no_grad():
        maps = dict(network.run(picture[None]))["head"][0]  # (1280, 7, 7)
        activation_map = torch.einsum("c,chw->hw", network.layer("output").weight[answer], maps)
    found = grad_cam(network, picture, answer, "head")
    assert found.max() > 0
    torch.testing.assert_close(found * 49, activation_map.clamp(min=0))  # the mean is over 7 × 7 positions


def test_invalid_input_is_refused_in_one_line():
    network, image = seeded(conv, channels=(4,)), digit()
    with pytest.raises(UsageError, match="output has no maps"):
        grad_cam(network, image, 3, "output")
    with pytest.raises(UsageError, match="has no layer 'head'"):
        grad_cam(network, image, 3, "head")
    for method in (occlusion, integrated_gradients):
        with pytest.raises(UsageError, match="answers 0 to 9, got 10"):
            method(network, image, 10)
        with pytest.raises(UsageError, match=r"takes pictures \(1, 28, 28\)"):
            method(network, torch.zeros(3, 28, 28), 3)


def test_attributions_leave_the_network_unchanged():
    network, image = conv(channels=(4,), dropout=0.5).double().train(), digit()
    original = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    occlusion(network, image, 3, size=14)
    integrated_gradients(network, image, 3, steps=2)
    grad_cam(network, image, 3, "conv1")
    assert all(module.training for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(tensor, original[name]) for name, tensor in network.state_dict().items())
