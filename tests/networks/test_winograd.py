"""Winograd's convolution, against the plain one in double precision."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lanterna.networks.winograd import WinogradConv2d


@pytest.mark.parametrize(("count", "height", "width"), [(1, 4, 8), (2, 5, 7), (1, 90, 83), (1, 1, 2)])
@pytest.mark.parametrize("bias", [True, False])
def test_output_and_gradient_are_those_of_a_plain_convolution(count, height, width, bias):
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 9, 3, padding=1, bias=bias).requires_grad_(False)
    fast = WinogradConv2d(plain)
    x = torch.randn(count, 6, height, width).to(memory_format=torch.channels_last).requires_grad_()
    output = fast(x)
    towards = torch.randn_like(output)
    (gradient,) = torch.autograd.grad((output * towards).sum(), x)

    exact_x = x.detach().double().requires_grad_()
    exact = F.conv2d(
        exact_x, plain.weight.double(), None if plain.bias is None else plain.bias.double(), padding=1
    )
    (exact_gradient,) = torch.autograd.grad((exact * towards.double()).sum(), exact_x)
    assert output.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(output.double(), exact, rtol=0, atol=1e-5)
    torch.testing.assert_close(gradient.double(), exact_gradient, rtol=0, atol=1e-5)


def test_only_convolutions_that_gain_by_it_are_replaced():
    def conv(channels=128, size=3, **others):
        return nn.Conv2d(channels, 128, size, **{"padding": 1, **others})

    assert WinogradConv2d.suits(conv())
    unsuited = [
        conv(channels=64), conv(size=5, padding=2), conv(stride=2), conv(dilation=2), conv(padding=0),
        conv(groups=128), conv(padding_mode="replicate"), conv().to(torch.bfloat16), conv().to(torch.float64),
        nn.ReLU(),
    ]  # fmt: skip
    assert not any(WinogradConv2d.suits(each) for each in unsuited)
