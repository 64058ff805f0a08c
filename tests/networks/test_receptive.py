"""The receptive field of each layer."""

from __future__ import annotations

import pytest
import torch

from lanterna.networks import InputSpec, Network
from lanterna.networks.efficientnet import efficientnet
from lanterna.networks.receptive import receptive_fields
from lanterna.networks.vgg import vgg


@pytest.mark.parametrize("name", ["vgg19", "efficientnet-lite0"])
def test_a_unit_depends_on_its_receptive_field_and_no_more(name: str) -> None:
    network = (vgg if name == "vgg19" else efficientnet)(name).to_empty(device="cpu").double()
    network = Network(name, InputSpec(3, 224, (0.0,) * 3, (1.0,) * 3), network.layers).eval()
    with torch.no_grad():
        for each in network.parameters():
            each.uniform_(0.01, 0.02)  # positive: no ReLU and no maximum hides a pixel
        for each in network.buffers():
            each.fill_(0.0)
    network.to(torch.float64)
    network.get_buffer("std").fill_(1.0)
    fields = receptive_fields(network)
    checked = 0
    picture = torch.rand(1, 3, 8, 128, dtype=torch.float64, requires_grad=True)
    for layer, output in network.run(picture):
        field = fields[layer]
        if field is None or field > 100:
            break
        middle = output[0, :, output.shape[2] // 2, output.shape[3] // 2].double().sum()
        (gradient,) = torch.autograd.grad(middle, picture, retain_graph=True)
        columns = (gradient.abs().sum((0, 1, 2)) > 0).nonzero().flatten()
        spread = int(columns[-1] - columns[0]) + 1
        pooled = any("pool" in each for each in list(fields)[: list(fields).index(layer) + 1])
        assert spread <= field if pooled else spread == field, layer  # a maximum depends on one pixel
        checked += 1
    assert checked >= 7


def test_a_layer_after_a_mean_sees_the_whole_picture() -> None:
    fields = receptive_fields(efficientnet("efficientnet-lite0"))
    assert fields["stem"] == 3
    assert fields["pool"] is None
    assert fields["output"] is None
