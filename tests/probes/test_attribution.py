"""Occlusion, integrated gradients and Grad-CAM, each against a computation that shares none of their code."""

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
def test_occlusion_covers_one_square_after_another():
    network, image = seeded(conv, channels=(4, 6)), digit()
    falls = occlusion(network, image, 3, against=5, size=6, stride=5, fill=0.25)
    assert falls.shape == (6, 6)
    whole = network(image[None])[0]
    for row in range(6):
        for column in range(6):
            covered = image.clone()
            for y in range(5 * row, min(5 * row + 6, 28)):
                for x in range(5 * column, min(5 * column + 6, 28)):
                    covered[0, y, x] = 0.25
            logits = network(covered[None])[0]
            fall = (whole[3] - whole[5]) - (logits[3] - logits[5])
            assert falls[row, column].item() == pytest.approx(fall.item(), abs=1e-12)


@torch.no_grad()
def test_occlusion_of_a_linear_network_is_the_sum_under_the_square():
    network, image = seeded(dense, hidden=()), digit()
    falls = occlusion(network, image, 2, size=4, stride=4, fill=0.0)
    terms = network.layer("output").weight[2].view(28, 28) * image[0]
    torch.testing.assert_close(falls, terms.view(7, 4, 7, 4).sum((1, 3)))
    assert occlusion(network, image, 2).shape == (14, 14)  # squares of a seventh, every half


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_integrated_gradients_agree_with_differences_along_the_way(activation):
    network, image = seeded(dense, hidden=(12,), activation=activation), digit()
    baseline = torch.full_like(image, 0.1)
    steps, h = 8, 1e-6
    told = integrated_gradients(network, image, 4, against=1, baseline=baseline, steps=steps)
    with torch.no_grad():
        for y, x in ((14, 14), (10, 9), (20, 13), (7, 6)):
            slopes = []
            for step in range(steps):
                along = baseline + (step + 0.5) / steps * (image - baseline)
                ends = along.repeat(2, 1, 1, 1)
                ends[0, 0, y, x] -= h
                ends[1, 0, y, x] += h
                logits = network(ends)
                slopes.append(((logits[1] - logits[0]) @ towards(4, 1)).item() / (2 * h))
            expected = (image - baseline)[0, y, x].item() * sum(slopes) / steps
            assert told[0, y, x].item() == pytest.approx(expected, rel=1e-5, abs=1e-8)


def towards(answer, against):
    direction = torch.zeros(10, dtype=torch.float64)
    direction[answer], direction[against] = 1, -1
    return direction


def test_integrated_gradients_are_complete():
    network, image = seeded(conv, channels=(4, 6), activation="tanh"), digit(1)
    told = integrated_gradients(network, image, 4, steps=400)
    with torch.no_grad():
        ends = network(torch.stack([torch.zeros_like(image), image]))[:, 4]
    assert told.sum().item() == pytest.approx((ends[1] - ends[0]).item(), abs=1e-5)
    with pytest.raises(UsageError, match="baseline has the picture's shape"):
        integrated_gradients(network, image, 4, baseline=torch.zeros(1, 20, 20))
    with pytest.raises(UsageError, match="steps is at least 1"):
        integrated_gradients(network, image, 4, steps=0)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "answer"), [("chelsea.png", 285), ("coffee.png", 967)])
def test_grad_cam_is_the_class_activation_map_where_that_is_defined(name, answer):
    """Zhou et al. (2016): the last maps, weighted with the output layer's weights of the class."""
    network, picture = open_network("lite0").double(), photograph(name).double()
    with torch.no_grad():
        maps = dict(network.run(picture[None]))["head"][0]  # (1280, 7, 7)
        activation_map = torch.einsum("c,chw->hw", network.layer("output").weight[answer], maps)
    told = grad_cam(network, picture, answer, "head")
    assert told.max() > 0
    torch.testing.assert_close(told * 49, activation_map.clamp(min=0))  # 7 × 7 places share each mean


def test_what_these_cannot_do_is_refused_in_one_line():
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


def test_they_leave_the_network_as_it_was():
    network, image = conv(channels=(4,), dropout=0.5).double().train(), digit()
    kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    occlusion(network, image, 3, size=14)
    integrated_gradients(network, image, 3, steps=2)
    grad_cam(network, image, 3, "conv1")
    assert all(module.training for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(tensor, kept[name]) for name, tensor in network.state_dict().items())
