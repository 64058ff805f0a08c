"""Pictures of neurons show their activations over the frame."""

import numpy as np
import pytest
import torch

from lanterna.networks.coordinate_plan import CoordinatePlan
from lanterna.networks.coordinates import Coordinates
from lanterna.probes.neurons import neurons, neurons_sheet, rank_units

NETWORKS = ("relu", "siren", "fourier", "hash")


def network_of(name, size=(30, 40), **settings):
    network = Coordinates(CoordinatePlan(network=name, **settings), size)
    network.initialise(torch.Generator().manual_seed(5))
    return network


def test_a_neuron_of_the_lectures_network_is_a_rectified_sum():
    network = network_of("relu", layers=2, neurons=7)
    activations = neurons(network, (30, 40))
    first, second = network.hidden
    # By hand: the position of pixel (row, column) relative to the centre, in halves of the longer side.
    rows, columns = np.mgrid[:30, :40]
    positions = np.stack([(columns + 0.5 - 20) / 20, (rows + 0.5 - 15) / 20], -1)
    weights = [
        (layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy())
        for layer in (first, second)
    ]
    hidden = np.maximum(0, positions @ weights[0][0].T + weights[0][1])
    assert activations["layer 1"].numpy() == pytest.approx(hidden.transpose(2, 0, 1), abs=1e-5)
    deeper = np.maximum(0, hidden @ weights[1][0].T + weights[1][1])
    assert activations["layer 2"].numpy() == pytest.approx(deeper.transpose(2, 0, 1), abs=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_last_layer_is_the_painting(name):
    from lanterna.techniques.paint.painting import Painting

    network = network_of(name)
    activations = neurons(network, (60, 80))
    painted = Painting(network).render((60, 80))
    assert torch.allclose(activations["colours"].clamp(0, 1), painted, atol=1e-5)
    assert [len(values) for layer, values in activations.items() if layer.startswith("layer")] == [
        network.plan.neurons
    ] * network.plan.layers


def test_a_grids_features_are_ordered_by_level():
    network = network_of("hash", grid_levels=3, grid_features=2)
    with torch.no_grad():
        network.grid.table.zero_()
        network.grid.table[: 17 * 13, 1] = 3.0  # the second feature of the coarsest grid, of 16 × 12 cells
    activations = neurons(network, (30, 40))["grid"]
    assert activations.shape == (6, 30, 40)
    assert activations[1].flatten().tolist() == pytest.approx([3.0] * 1200, rel=1e-5)
    assert not activations[[0, 2, 3, 4, 5]].any()


def test_silent_units_are_left_out_and_the_most_influential_come_first():
    network = network_of("relu", layers=2, neurons=6)
    with torch.no_grad():
        network.hidden[1].bias[2] = -1e6  # never active
        network.hidden[1].weight[:, 4] *= 1e4  # it influences the next layer far more than the others
    order = rank_units(network, neurons(network, (20, 20)))
    assert 2 not in order["layer 2"].tolist()
    assert order["layer 1"][0] == 4


@pytest.mark.parametrize("name", NETWORKS)
def test_a_sheet_shows_all_layers(name):
    network = network_of(name, layers=2, neurons=32)
    short, long = (neurons_sheet(network_of(name, layers=count, neurons=32), side=24) for count in (2, 4))
    assert long.shape[1] > short.shape[1]
    sheet = neurons_sheet(network, side=24)
    assert torch.equal(sheet, short)
    # Positive is amber, negative blue: a siren's units are both, a rectified unit is never negative.
    red, _, blue = sheet[:, 3 * 24 + 60 :]
    amber_share, blue_share = (red > blue + 0.15).float().mean(), (blue > red + 0.15).float().mean()
    assert amber_share > 0.05
    assert (blue_share > 0.02) == (name != "relu")


def test_the_neurons_of_two_pictures_differ():
    network = Coordinates(CoordinatePlan(network="siren", layers=1, neurons=8, code=2), (12, 12), 2)
    network.initialise(torch.Generator().manual_seed(1))
    first, second = (
        neurons(network, (12, 12), torch.tensor([weights])) for weights in ([1.0, 0.0], [0.0, 1.0])
    )
    assert not torch.allclose(first["layer 1"], second["layer 1"])
