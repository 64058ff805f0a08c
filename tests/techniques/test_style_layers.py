"""Style transfer with other networks: layers are chosen, and the picture approaches the painting."""

from collections import deque

import pytest
import torch
from torch import nn

from lanterna.errors import UsageError
from lanterna.images import open_picture
from lanterna.networks import open_network
from lanterna.networks.digits import conv
from lanterna.techniques.octaves import resized
from lanterna.techniques.style.algorithm import Stylize, style
from lanterna.techniques.style.layers import choose_layers

QUICK = {"size": 96, "steps": 8}


class Vgg19(nn.Module):
    """torchvision's VGG-19, with a sixteenth of its channels and random weights."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        layers, inputs = [], 3
        for count, channels in ((2, 4), (2, 8), (4, 16), (4, 32), (4, 32)):
            for _ in range(count):
                layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU(inplace=True)]
                inputs = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def vgg19():
    return Vgg19()


def test_the_layers_of_a_vgg_19_are_the_customary_ones():
    content, balance = choose_layers(open_network(f"{__file__}:vgg19"))
    # In torchvision's numbering relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1, and relu4_2.
    assert list(balance.layers) == [f"features.{number}" for number in (1, 6, 11, 20, 29)]
    assert content == "features.22"
    assert sum(balance.layers.values()) == pytest.approx(1)


@pytest.mark.usefixtures("real_shelf")
def test_vgg16_has_its_own_layers_and_named_ones_take_precedence():
    vgg = open_network("vgg16")
    assert choose_layers(vgg)[0] == "relu4_2"
    assert list(choose_layers(vgg, named=("relu3_1",))[1].layers) == ["relu3_1"]
    assert choose_layers(open_network("efficientnet-lite0"), "block9")[0] == "block9"
    with pytest.raises(UsageError, match="no layer 'relu9_9'"):
        choose_layers(vgg, "relu9_9")


@pytest.mark.parametrize("name", [f"{__file__}:vgg19", "efficientnet-lite0"])
def test_another_networks_style_loss_falls(real_shelf, name):
    folder = real_shelf / "photographs"
    photo = resized(open_picture(folder / "chelsea.png"), (64, 96)).clamp(0, 1)
    painting = resized(open_picture(folder / "hubble_deep_field.jpg"), (96, 96)).clamp(0, 1)
    frames = style(photo, Stylize.checked(QUICK), styles=[painting], network=open_network(name))
    first = next(frames)
    (last,) = deque(frames, 1)
    assert last.numbers["style"] < 0.7 * first.numbers["style"]
    assert 0.01 < (last.picture - photo).abs().mean() < 0.4


def test_a_network_without_colours_is_refused():
    with pytest.raises(UsageError, match="takes no colour pictures"):
        choose_layers(conv())
