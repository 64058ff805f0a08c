"""What each neuron paints: pictures of hidden units are what those units put out."""

import numpy as np
import pytest
import torch

from lanterna.networks.coordinate_plan import CoordinatePlan
from lanterna.networks.coordinates import Coordinates
from lanterna.probes.neurons import neurons, neurons_sheet, rank_units

NETWORKS = ("relu", "siren", "fourier", "hash")


def network_of(name, size=(30, 40), **settings):
    made = Coordinates(CoordinatePlan(network=name, **settings), size)
    made.initialise(torch.Generator().manual_seed(5))
    return made


def test_a_unit_of_the_lectures_network_is_its_sum_rectified():
    network = network_of("relu", layers=2, neurons=7)
    seen = neurons(network, (30, 40))
    first, second = network.hidden
    # By hand: pixel (row, column) lies at so much of the longer side from the middle.
    rows, columns = np.mgrid[:30, :40]
    places = np.stack([(columns + 0.5 - 20) / 20, (rows + 0.5 - 15) / 20], -1)
    weights = [
        (each.weight.detach().double().numpy(), each.bias.detach().double().numpy())
        for each in (first, second)
    ]
    hidden = np.maximum(0, places @ weights[0][0].T + weights[0][1])
    assert seen["layer 1"].numpy() == pytest.approx(hidden.transpose(2, 0, 1), abs=1e-5)
    deeper = np.maximum(0, hidden @ weights[1][0].T + weights[1][1])
    assert seen["layer 2"].numpy() == pytest.approx(deeper.transpose(2, 0, 1), abs=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_last_picture_is_what_the_network_paints(name):
    from lanterna.techniques.paint.painting import Painting

    network = network_of(name)
    seen = neurons(network, (60, 80))
    painted = Painting(network).render((60, 80))
    assert torch.allclose(seen["colours"].clamp(0, 1), painted, atol=1e-5)
    assert [len(values) for layer, values in seen.items() if layer.startswith("layer")] == [
        network.plan.neurons
    ] * network.plan.layers


def test_a_grids_features_are_drawn_level_by_level():
    network = network_of("hash", grid_levels=3, grid_features=2)
    with torch.no_grad():
        network.grid.table.zero_()
        network.grid.table[: 17 * 13, 1] = 3.0  # the second feature of the coarsest grid, of 16 × 12 cells
    seen = neurons(network, (30, 40))["grid"]
    assert seen.shape == (6, 30, 40)
    assert seen[1].flatten().tolist() == pytest.approx([3.0] * 1200, rel=1e-5)
    assert not seen[[0, 2, 3, 4, 5]].any()


def test_silent_units_are_left_out_and_the_most_heard_come_first():
    network = network_of("relu", layers=2, neurons=6)
    with torch.no_grad():
        network.hidden[1].bias[2] = -1e6  # never on
        network.hidden[1].weight[:, 4] *= 1e4  # the next layer hears it far more than the others
    order = rank_units(network, neurons(network, (20, 20)))
    assert 2 not in order["layer 2"].tolist()
    assert order["layer 1"][0] == 4


@pytest.mark.parametrize("name", NETWORKS)
def test_a_sheet_has_all_of_its_layers(name):
    network = network_of(name, layers=2, neurons=32)
    short, long = (neurons_sheet(network_of(name, layers=each, neurons=32), side=24) for each in (2, 4))
    assert long.shape[1] > short.shape[1]
    sheet = neurons_sheet(network, side=24)
    assert torch.equal(sheet, short)
    # Above zero amber, below it blue: a siren's units are both, a rectified unit is never below.
    red, _, blue = sheet[:, 3 * 24 + 60 :]
    amber_share, blue_share = (red > blue + 0.15).float().mean(), (blue > red + 0.15).float().mean()
    assert amber_share > 0.05
    assert (blue_share > 0.02) == (name != "relu")


def test_between_two_pictures_units_are_between():
    network = Coordinates(CoordinatePlan(network="siren", layers=1, neurons=8, code=2), (12, 12), 2)
    network.initialise(torch.Generator().manual_seed(1))
    one, other = (neurons(network, (12, 12), torch.tensor([each])) for each in ([1.0, 0.0], [0.0, 1.0]))
    assert not torch.allclose(one["layer 1"], other["layer 1"])
