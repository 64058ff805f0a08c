"""Instant style: networks compute what the shelf's models do, strips leave no seams, settings take effect."""

from __future__ import annotations

from collections import deque

import onnx
import onnxruntime
import pytest
import torch
from torch.nn import functional as F

import lanterna
from lanterna import shelf
from lanterna.errors import LanternaError, UsageError
from lanterna.networks import tiles
from lanterna.networks.instant import (
    open_multistyle_transformer,
    open_style_predictor,
    open_style_transformer,
)
from lanterna.shelf.onnx import read_weights
from lanterna.techniques.style.instant import STYLE_NAMES, Instant, instant, pass_sizes


@pytest.fixture(scope="module")
def photographs(real_shelf):
    folder = real_shelf / "photographs"
    return {
        name: lanterna.open_picture(folder / file)
        for name, file in (("cat", "chelsea.png"), ("coffee", "coffee.png"), ("astronaut", "astronaut.png"))
    }


@pytest.fixture(scope="module")
def paintings():
    """Two synthetic paintings: warm stripes, and a cold chequered field with some noise."""
    y, x = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
    noise = 0.1 * torch.randn(3, 256, 256, generator=torch.Generator().manual_seed(1))
    stripes = (torch.sin((x + 0.7 * y) / 5) > 0).float()
    warm = torch.stack([0.6 + 0.4 * stripes, 0.2 + 0.5 * stripes, 0.1 * stripes])
    field = ((x // 16 + y // 16) % 2).float()
    cold = torch.stack([0.1 + 0.1 * field, 0.2 + 0.3 * field, 0.4 + 0.6 * field])
    return (warm + noise).clamp(0, 1), (cold + noise).clamp(0, 1)


BROAD = 4
"""The broadest brush, for which a small picture is enlarged the least."""


@pytest.fixture(scope="module")
def small(photographs):
    """The cat, small."""
    return resized(photographs["cat"], 120, 180)


def resized(picture, height, width):
    return F.interpolate(picture[None], (height, width), mode="bicubic", antialias=True)[0].clamp(0, 1)


def painted(picture, settings=None, **options):
    (last,) = deque(instant(picture, settings, **options), maxlen=1)
    return last.picture


def psnr(one, other):
    return -10 * (one - other).square().mean().log10().item()


def session(model):
    """An onnxruntime session without graph optimisations.

    Fused 8-bit kernels would depend on the processor: without VNNI, sums of two products saturate.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options)


def without_rounding(path):
    """The shelf's model with its quantised weights, but without rounding activations to 8 bits."""
    model = onnx.load(path)
    weights = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" or (
            node.op_type == "DequantizeLinear" and node.input[0] not in weights
        ):
            node.op_type = "Identity"
            del node.input[1:], node.attribute[:]
    del model.graph.value_info[:]
    return model.SerializeToString()


# The networks, with onnxruntime as the reference


def test_the_predictor_equals_the_shelfs_model(photographs):
    path = shelf.need("instant-style") / "arbitrary_predict.onnx"
    picture = resized(photographs["coffee"], 256, 256)
    feed = {"style_image": picture.permute(1, 2, 0)[None].contiguous().numpy()}
    ours = open_style_predictor()(picture[None])
    theirs = session(without_rounding(path)).run(None, feed)[0].reshape(1, 100)
    assert (ours - torch.from_numpy(theirs)).abs().max() < 1e-3
    # The unchanged model rounds every activation, and still predicts the same style.
    rounded = torch.from_numpy(session(path).run(None, feed)[0].reshape(1, 100))
    assert torch.cosine_similarity(ours, rounded) > 0.9995


@pytest.mark.slow
def test_the_transformer_equals_the_shelfs_model_at_384_pixels(photographs):
    path = shelf.need("instant-style") / "arbitrary_transform.onnx"
    picture = resized(photographs["astronaut"], 384, 384)
    style = open_style_predictor()(resized(photographs["coffee"], 256, 256)[None])
    feed = {
        "content_image": picture.permute(1, 2, 0)[None].contiguous().numpy(),
        "mobilenet_conv/Conv/BiasAdd": style[:, None, None].numpy(),
    }
    ours = open_style_transformer()(picture[None], style)[0]
    theirs = torch.from_numpy(session(without_rounding(path)).run(None, feed)[0][0]).permute(2, 0, 1)
    assert (ours - theirs).abs().max() < 1e-3
    rounded = torch.from_numpy(session(path).run(None, feed)[0][0]).permute(2, 0, 1)
    assert psnr(ours, rounded) > 28
    assert psnr(ours, rounded) > psnr(picture, rounded) + 6


@pytest.mark.slow
def test_the_26_styles_equal_the_shelfs_model_at_384_pixels(photographs):
    picture = resized(photographs["astronaut"], 384, 384)
    style = torch.zeros(1, 26)
    style[0, 7], style[0, 19] = 0.25, 0.75
    ours = open_multistyle_transformer()(picture[None], style)[0]
    model = session(shelf.need("instant-style") / "multistyle26.onnx")
    theirs = model.run(None, {"image": picture[None].numpy(), "style_weights": style[0].numpy()})[0][0]
    assert (ours - torch.from_numpy(theirs)).abs().max() < 1e-3


def test_an_invalid_file_of_weights_is_refused(tmp_path):
    data = (shelf.need("instant-style") / "multistyle26.onnx").read_bytes()
    for content in (b"", b"no weights", data[: len(data) // 2], bytes(1000), b"\xff" * 1000):
        (tmp_path / "wrong.onnx").write_bytes(content)
        with pytest.raises(LanternaError, match="are not valid"):
            read_weights(tmp_path / "wrong.onnx")


# Parts of large pictures


@pytest.mark.slow
@pytest.mark.parametrize("built_in", [False, True], ids=["any painting", "26 styles"])
def test_tiles_equal_the_whole_picture(built_in, photographs, monkeypatch):
    picture = resized(photographs["cat"], 196, 260)
    if built_in:
        network, style = open_multistyle_transformer(), torch.eye(26)[[19]]
    else:
        network, style = open_style_transformer(), open_style_predictor()(photographs["coffee"][None])
    whole = network(picture[None], style)[0]
    for size in (1, 50_000, 10**9):  # eight rows at a time, several more, all together
        monkeypatch.setattr(tiles, "TILE_BYTES", size)
        outputs = list(tiles.paint(network, picture, style))
        assert len(outputs) == tiles.steps(network)
        assert all(each is None for each in outputs[:-1])
        assert (outputs[-1] - whole).abs().max() < 1e-4


# Settings


@pytest.fixture(scope="module")
def warm_frames(photographs, paintings):
    """All frames of the cat painted like the warm stripes."""
    return list(instant(photographs["cat"], styles=[paintings[0]]))


@pytest.fixture(scope="module")
def coffee_cat(photographs):
    """The cat painted like a cup of coffee."""
    return painted(photographs["cat"], styles=[photographs["coffee"]])


def colours(picture):
    return torch.cat([picture.mean((1, 2)), picture.std((1, 2))])


@pytest.mark.slow
def test_the_picture_takes_on_the_paintings_colours(photographs, paintings, warm_frames):
    cat, (warm, cold) = photographs["cat"], paintings
    in_warm, in_cold = warm_frames[-1].picture, painted(cat, styles=[cold])
    assert in_warm.shape == in_cold.shape == cat.shape

    def distance(one, other):
        return (colours(one) - colours(other)).norm()

    assert distance(in_warm, warm) < 0.6 * distance(cat, warm)
    assert distance(in_cold, cold) < 0.6 * distance(cat, cold)
    assert distance(in_warm, warm) < distance(in_cold, warm)
    assert distance(in_cold, cold) < distance(in_warm, cold)


def edges(picture):
    grey = picture.mean(0)
    return torch.cat([grey.diff(dim=0).flatten(), grey.diff(dim=1).flatten()]).abs()


def similarity(one, other):
    """The correlation of two pictures' edges, from -1 to 1, without those of single strokes."""
    small = [F.avg_pool2d(picture, 4) for picture in (one, other)]
    return torch.corrcoef(torch.stack([edges(picture) for picture in small]))[0, 1].item()


@pytest.mark.slow
def test_objects_stay_in_place(photographs, coffee_cat):
    cat = photographs["cat"]
    assert similarity(coffee_cat, cat) > 0.6
    assert similarity(coffee_cat, cat.flip(2)) < 0.2


@pytest.mark.slow
def test_strength_leads_from_the_photograph_to_the_style(small, paintings):
    results = [
        painted(small, Instant(strength=strength, brush=BROAD), styles=[paintings[1]])
        for strength in (0, 0.25, 0.5, 0.75, 1)
    ]
    assert torch.allclose(results[0], small, atol=1e-6)
    from_start = [(result - small).square().mean() for result in results]
    from_end = [(result - results[-1]).square().mean() for result in results]
    assert from_start == sorted(from_start)
    assert from_end == sorted(from_end, reverse=True)
    built_in = painted(small, Instant(built_in=(19,), strength=0, brush=BROAD))
    assert torch.allclose(built_in, small, atol=1e-6)


@pytest.mark.slow
def test_paintings_blend(small, paintings):
    warm, cold = paintings
    in_warm, in_cold, in_both = (
        painted(small, Instant(weights=weights, brush=BROAD), styles=paintings)
        for weights in ((2, 0), (0, 1), (1, 1))
    )
    assert psnr(in_warm, painted(small, Instant(brush=BROAD), styles=[warm])) > 60
    assert psnr(in_cold, painted(small, Instant(brush=BROAD), styles=[cold])) > 60
    red, between, blue = ((each[0] - each[2]).mean() for each in (in_warm, in_both, in_cold))
    assert red > between > blue


@pytest.mark.slow
def test_built_in_styles_have_names():
    assert Instant.checked({"built_in": ["golden ink", "19", 3]}).built_in == (11, 19, 3)
    assert len(set(STYLE_NAMES)) == 26
    with pytest.raises(UsageError, match=r"^built_in: .* choose from golden-ink"):
        Instant.checked({"built_in": ["golden-inks"]})


def test_built_in_styles_differ_and_blend(small):
    seven, nineteen = (painted(small, Instant(built_in=(index,), brush=BROAD)) for index in (7, 19))
    assert psnr(seven, nineteen) < 15
    alone = painted(small, Instant(built_in=(7, 19), weights=(0, 1), brush=BROAD))
    assert psnr(alone, nineteen) > 60


@pytest.mark.slow
def test_a_broader_brush_preserves_less(photographs, coffee_cat):
    cat = photographs["cat"]
    default = similarity(coffee_cat, cat)
    broad, broadest = (
        similarity(painted(cat, Instant(brush=brush), styles=[photographs["coffee"]]), cat)
        for brush in (2, 4)
    )
    assert default > broad + 0.05
    assert broad > broadest + 0.1


@pytest.mark.slow
def test_the_detail_is_at_the_pictures_own_size(photographs, paintings):
    """A result of 1,024 pixels has edges that one of 384 pixels, enlarged, cannot have."""
    photograph = resized(photographs["astronaut"], 1024, 1024)
    result = painted(photograph, styles=[paintings[1]])
    enlarged = resized(resized(result, 384, 384), 1024, 1024)
    assert edges(result).square().mean() > 2 * edges(enlarged).square().mean()


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (3, 5), (24, 36), (30, 450), (151, 103)], ids=lambda side: str(side)
)
def test_pictures_of_any_shape_are_painted(height, width, photographs, paintings):
    picture = resized(photographs["cat"], height, width)
    result = painted(picture, Instant(brush=BROAD), styles=[paintings[0]])
    assert result.shape == picture.shape
    assert result.isfinite().all()
    assert 0.1 < result.mean() < 0.9


@pytest.mark.slow
def test_dark_and_uniform_pictures_are_painted(small, paintings):
    def in_cold(picture):
        return painted(picture, Instant(brush=BROAD), styles=[paintings[1]])

    assert (in_cold(0.05 * small).mean() - in_cold(small).mean()).abs() < 0.05  # as bright as the painting
    for picture in (torch.zeros(3, 100, 100), torch.ones(3, 100, 100)):
        result = in_cold(picture)
        assert result.isfinite().all()
        assert result.mean() > 0.1


def test_size_is_the_longer_side(photographs, paintings):
    settings = Instant(size=200, brush=BROAD)
    assert painted(photographs["cat"], settings, styles=[paintings[0]]).shape == (3, 133, 200)


@pytest.mark.slow
def test_frames_report_progress_and_show_the_picture_so_far(photographs, warm_frames):
    frames = warm_frames
    assert [frame.step for frame in frames] == list(range(1, frames[0].steps + 1))
    assert frames[0].picture is None
    halfway = frames[len(frames) // 2].picture
    assert halfway.shape == photographs["cat"].shape
    assert psnr(halfway, frames[-1].picture) > 12


def test_sizes_double_up_to_the_pictures_own():
    assert pass_sizes(1024, 1024) == [(512, 512), (1024, 1024)]
    assert pass_sizes(1024, 1024, brush=2) == [(256, 256), (512, 512), (1024, 1024)]
    assert pass_sizes(4096, 4096) == [(512, 512), (1024, 1024), (2048, 2048), (4096, 4096)]
    assert pass_sizes(4, 4)[-1] == (768, 768)
    assert pass_sizes(1025, 1022)[-1] == (1028, 1024)


def test_bad_arguments_are_refused_immediately(photographs, paintings):
    cat = photographs["cat"]
    for options in (
        {},
        {"styles": paintings, "settings": Instant(built_in=(1,))},
        {"styles": paintings, "settings": Instant(weights=(1, 2, 3))},
        {"styles": [cat[0]]},
        {"styles": [(255 * cat).byte()]},
    ):
        with pytest.raises(UsageError) as raised:
            instant(cat, **options)
        assert "\n" not in str(raised.value)
    for settings in (
        {"built_in": (26,)},
        {"weights": (0, 0)},
        {"weights": (-1,)},
        {"brush": 9},
        {"strength": 2},
    ):
        with pytest.raises(UsageError):
            Instant.checked(settings)
