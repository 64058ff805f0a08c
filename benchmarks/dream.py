"""How quickly a dream is dreamed, beside a well-known loop, beside the machine's peak, and in each precision.

`python benchmarks/dream.py [--quick] [--threads 2] [--size 512] [--octaves 4] [--steps 10] [--pictures DIR]
[--large]`; `--large` dreams at 2,048 pixels as well, estimated and measured.

The other loop is gordicaleksa/pytorch-deepdream's, re-created from its description and none of its code: an
image pyramid; at each level so many steps of gradient ascent on the mean square of one layer's output, after
a circular shift at random; the gradient smoothed by three Gaussians of growing width and averaged, divided by
its standard std, and added times the learning rate (0.09), all in normalised float32; each next level
begins with the enlarged picture itself. The network is the same vgg16 for both, to relu4_3, as many octaves,
steps and pixels. Theirs computes no layer behind relu4_3 here (its own wrappers end at relu5_3 or behind, so
this flatters it), its weights ask for no gradient, and its memory format is torch's own.

Theirs goes along the gradient as it is, 4.1 levels of 255 with each step, so ours does (`vivid` 1,
`step_size` 4.1); and again by its defaults: 2.5 levels, in the colours of photographs, which reaches less
energy with each step and is easier on the eye.

They take turns. The energy that each reached is measured in float32 by the untouched network. Also printed:
in how many seconds ours first has the energy that theirs ends with, and how far each ends from the picture
(mean absolute change).
"""

import math
from pathlib import Path

import bench
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from lanterna import open_network, shelf
from lanterna.images import open_picture, save_picture
from lanterna.networks.inference import optimize_for_inference
from lanterna.probes import objectives
from lanterna.techniques.dream.algorithm import Dream, dream
from lanterna.techniques.dream.estimate import estimate_dream
from lanterna.techniques.octaves import octave_sizes

LAYER, RATIO = "relu4_3", 1.4
LEARNING_RATE, SHIFT, SMOOTHING = 0.09, 32, 0.5
UNIT = 0.226  # ImageNet's mean std, by which theirs divides pixels
STEP_SIZE = 255 * LEARNING_RATE * UNIT * math.sqrt(2 / math.pi)  # a step of theirs, if normally distributed


def main() -> None:
    options = bench.options(
        __doc__, size=(512, 128), octaves=(4, 2), steps=(10, 4), rounds=(3, 1), pictures=None, large=False
    )
    cat = open_picture(shelf.need("photographs") / "chelsea.png")
    cat = F.interpolate(cat[None], octave_sizes(*cat.shape[1:], options.size, 1, 2)[0], mode="bicubic")
    cat = cat[0].clamp(0, 1)
    figures = {
        "threads": options.threads,
        "size": tuple(cat.shape[1:]),
    }
    for part, measure in {
        "against the other loop": lambda: against(cat, options, vivid=1.0, step_size=STEP_SIZE),
        "against the other loop, in the colours of photographs": lambda: against(cat, options),
        "share of the peak": lambda: share_of_peak(cat),
    }.items():
        figures[part] = {}
        for kind in bench.precisions():
            bench.say(f"{part}, in {kind}")
            figures[part][kind] = measure()
    bench.say("how alike the precisions are")
    figures["precisions"] = alike(cat, options)
    # EfficientNet, the default, computes in float32 everywhere.
    bench.say("the default dream")
    figures["default"] = default(cat, options.size)
    if options.large:
        bench.say("the default dream at 2,048 pixels")
        figures["2,048 pixels"] = default(cat, 2048)
    bench.show(figures)


def reached(network, picture):
    """The energy of the layer, in float32, by the untouched network."""
    with torch.no_grad():
        return objectives.energy(LAYER)(network, picture[None]).item()


def other_loop(network, picture, octaves, steps):
    """A dream as that loop makes it: `(3, H, W)` to the same."""
    mean, std = network.get_buffer("mean"), network.get_buffer("std")
    # Its networks see ImageNet's deviations. This one's eye has 1/255 instead, so steps are taken in units of
    # ImageNet's mean std, or they would be 60 times as small as theirs.
    sizes = octave_sizes(*picture.shape[1:], max(picture.shape[1:]), octaves, RATIO)
    generator = torch.Generator().manual_seed(0)
    seen = (picture[None] - mean) / UNIT
    lowest, highest = (0 - mean) / UNIT, (1 - mean) / UNIT
    for size in sizes:
        seen = F.interpolate(seen, size, mode="bilinear")
        for step in range(steps):
            down, across = torch.randint(-SHIFT, SHIFT + 1, (2,), generator=generator).tolist()
            seen = seen.roll((down, across), (2, 3)).requires_grad_()
            x = seen * (UNIT / std)
            for name, layer in network.layers.items():
                x = layer(x)
                if name == LAYER:
                    break
            (slope,) = torch.autograd.grad(x.square().mean(), seen)
            slope = cascade(slope, (step + 1) / steps * 2 + SMOOTHING)
            slope = slope / slope.std()
            seen = (seen.detach() + LEARNING_RATE * slope).clamp(min=lowest, max=highest)
            seen = seen.roll((-down, -across), (2, 3))
    return (seen * UNIT + mean)[0].clamp(0, 1)


def cascade(slope, sigma):
    """The mean of three Gaussian smoothings, of half of `sigma`, of it and of twice it, 9 × 9 each."""
    along = torch.arange(9.0) - 4
    total = 0
    for width in (sigma / 2, sigma, sigma * 2):
        line = torch.exp(-along.square() / (2 * width**2))
        kernel = torch.outer(line, line)
        kernel = (kernel / kernel.sum()).expand(3, 1, 9, 9)
        total = total + F.conv2d(F.pad(slope, (4,) * 4, mode="reflect"), kernel, groups=3)
    return total / 3


def settings_of(options, **values):
    values = {
        "octaves": options.octaves,
        "steps": options.steps,
        "ratio": RATIO,
        "size": options.size,
    } | values
    return Dream(network="vgg16", layer=LAYER, **values)


def ours(network, picture, settings):
    *_, last = dream(picture, settings, network=network)
    return last.picture


def against(cat, options, **values):
    network = open_network("vgg16")
    settings = settings_of(options, **values)
    other_loop(network, cat, options.octaves, 1)  # both have been there once: nothing is prepared anew
    ours(network, cat, settings.changed({"steps": 1}))
    works = {
        "theirs": lambda: other_loop(network, cat, options.octaves, options.steps),
        "ours": lambda: ours(network, cat, settings),
    }
    each, dreamed = bench.by_turns(works, options.rounds, warm=0)
    theirs, mine = dreamed["theirs"], dreamed["ours"]
    wanted = reached(network, theirs)
    # More steps an octave, or fewer, until ours has as much energy as theirs and no more.
    steps, took, picture = options.steps, each["ours"], mine
    more = reached(network, mine) < wanted
    while (reached(network, picture) < wanted) == more and 1 < steps < 3 * options.steps:
        enough = took, steps
        steps += 1 if more else -1
        took, picture = bench.timed(
            lambda steps=steps: ours(network, cat, settings.changed({"steps": steps}))
        )
    if not more:
        took, steps = enough
    if options.pictures:
        save_picture(torch.cat([cat, theirs, mine], 2), Path(options.pictures) / "loops.png", force=True)
    return {
        **{f"{who}_seconds": round(value, 2) for who, value in each.items()},
        "ratio": round(each["theirs"] / each["ours"], 2),
        "energy_begun": round(reached(network, cat)),
        "energy_theirs": round(wanted),
        "energy_ours": round(reached(network, mine)),
        "change_theirs": round((theirs - cat).abs().mean().item(), 4),
        "change_ours": round((mine - cat).abs().mean().item(), 4),
        "steps_to_the_same_energy": steps,
        "seconds_to_the_same_energy": round(took, 2),
        "ratio_at_the_same_energy": round(each["theirs"] / took, 2),
    }


def share_of_peak(cat):
    """The rate of convolutions alone at their best, and how much of it a whole step of a dream reaches."""
    network = open_network("vgg16")
    work = optimize_for_inference(network, {LAYER})
    dtype = next(work.parameters()).dtype
    images = torch.randn(1, 512, 64, 64).to(dtype).contiguous(memory_format=torch.channels_last)
    kernels = torch.randn(512, 512, 3, 3).to(dtype).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        best = min(bench.timed(lambda: F.conv2d(images, kernels, padding=1))[0] for _ in range(12))
    peak = 2 * 512 * 512 * 9 * 64 * 64 / best / 1e9
    height, width = (math.ceil(side / 32) * 32 for side in cat.shape[1:])

    def step():
        images = torch.rand(1, 3, height, width).requires_grad_()
        return torch.autograd.grad(objectives.energy(LAYER)(work, images).sum(), images)

    with FlopCounterMode(display=False) as counter:
        step()
    rate = counter.get_total_flops() / min(bench.timed(step)[0] for _ in range(6)) / 1e9
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiled:
        for _ in range(3):
            step()
    spent = {event.key: event.self_cpu_time_total for event in profiled.key_averages()}
    total = sum(spent.values())
    largest = sorted(spent.items(), key=lambda item: -item[1])[:8]
    return {
        "peak_gflops": round(peak),
        "gradient_gflops": round(rate),
        "share_of_the_peak": round(rate / peak, 2),
        "time_goes_to": {name.removeprefix("aten::"): round(value / total, 2) for name, value in largest},
    }


def alike(cat, options):
    """The same dream in each precision: how excited, how long, and how alike to the one in float32."""
    network = open_network("vgg16")
    settings = settings_of(options)
    found = {kind: bench.timed(lambda: ours(network, cat, settings)) for kind in bench.precisions()}
    pictures = {kind: picture for kind, (_, picture) in found.items()}
    other_seed = ours(network, cat, settings.changed({"seed": 1}))
    if options.pictures:
        place = Path(options.pictures) / "precisions.png"
        save_picture(torch.cat([*pictures.values()], 2), place, force=True)
    plain = pictures["float32"]
    return {
        **{f"psnr_of_{kind}_db": psnr(plain, other) for kind, other in list(pictures.items())[1:]},
        "psnr_of_another_seed_db": psnr(plain, other_seed),
        "energy": {kind: round(reached(network, picture)) for kind, picture in pictures.items()},
        "seconds": {kind: round(value, 2) for kind, (value, _) in found.items()},
    }


def psnr(one, other):
    return round(-10 * math.log10((one - other).square().mean().item()), 1)


def default(cat, size):
    """The default dream at this size: estimated, and as it was."""
    settings = Dream(size=size)
    network = open_network(settings.network)
    told = estimate_dream(tuple(cat.shape[1:]), settings, network).seconds
    took, _ = bench.timed(lambda: ours(network, cat, settings))
    return {"seconds": round(took, 2), "estimated_seconds": round(told, 2)}


if __name__ == "__main__":
    main()
