"""How soon style transfer comes down to a loss, and what it needs, beside the loops that others use.

`python benchmarks/style.py [--quick] [--threads 2] [--photograph FILE] [--painting FILE] [--seconds 90]
[--large]`: at 256 and at 512 px, all beginning with the photograph, all going down the same loss of the same
vgg19 with average pooling:

ours        the recipe as it is, in float32 and, where the processor has it, in bfloat16;
gatys       full size from the first step, L-BFGS (history 100) in float32: Gatys et al. 2015;
nsp lbfgs   neural-style-pt's schedule by its documentation: full size, L-BFGS, 1,000 iterations;
nsp adam    the same with Adam at a learning rate of 1 level of 255, 1,000 iterations;
stp         style-transfer-pytorch's schedule by its documentation: sizes √2 apart from 128 px on, Adam at a
            learning rate of 0.02, 1,000 iterations at the first size and 500 at each other, and an
            exponential average of the iterates.

Those schedules are re-created with our loss and network; of their own losses nothing is said. What takes more
than `--seconds` is cut off there, and the share of its iterations that it came to is printed: for `stp` the
iterations at every size are cut alike beforehand. Each is a process of its own, they take turns, and its peak
memory has Python and torch in it. The losses are measured afterwards by the untouched network in float32, so
that rounding helps nobody. "to gatys's" is the seconds until the loss is that of gatys at the end, and
"gatys to ours" how long gatys took to reach ours (null where it never did).
"""

import tempfile
import time
from functools import partial
from pathlib import Path

import bench
import torch
from torch.nn import functional as F

WORKS = ["ours", "gatys", "nsp lbfgs", "nsp adam", "stp"]


def main() -> None:
    options = bench.options(
        __doc__,
        photograph=None,
        painting=None,
        seconds=(90.0, 4.0),
        sizes=([256, 512], [192]),
        works=WORKS,
        every=(0.04, 0.5),
        large=False,
    )
    figures = {"threads": options.threads}
    for side in options.sizes:
        found = {}
        for work in options.works:
            for kind in bench.precisions() if work == "ours" else [None]:
                name = f"{work}, {kind}" if kind else work
                bench.say(f"{name}, {side} px, for {options.seconds:.0f} s at most")
                found[name] = bench.apart(measured, work, side, options)
        compare(found)
        figures[f"{side} px"] = found
        for kind in bench.precisions():
            found[f"a step, {kind}"] = bench.apart(where_time_goes, side, options)
    if options.large:
        figures["3000 px, two steps"] = {}
        for kind in bench.precisions():
            bench.say(f"3,000 px, two steps, in {kind}")
            figures["3000 px, two steps"][kind] = bench.apart(measured, "large", 3000, options)
    bench.show(figures)


def compare(found):
    """How soon each reached gatys's last loss, and gatys each one's."""
    if "gatys" not in found:
        return
    base = found["gatys"]["points"]
    for each in found.values():
        each["to gatys's"] = reached(each["points"], base[-1][1])
        each["gatys to its"] = reached(base, each["points"][-1][1])


def reached(points, loss):
    return next((seconds for seconds, value in points if value <= loss), None)


def measured(work, side, options):
    """One piece of work, in a process that does nothing else: (seconds, loss), and the peak."""
    from lanterna import shelf
    from lanterna.devices import reuse_memory
    from lanterna.images import open_picture

    folder = shelf.need("photographs")
    photo = open_picture(options.photograph or folder / "astronaut.png")
    painting = open_picture(options.painting or folder / "coffee.png")
    height, width = photo.shape[1:]
    scale = side / max(height, width)
    photo = resized(photo, (round(height * scale), round(width * scale)))
    reuse_memory()  # for everybody: it is the C library's affair, not the loop's
    if work == "large":
        return large(photo, painting)
    with tempfile.TemporaryDirectory() as kept:
        keep = Keeping(Path(kept), options.seconds, options.every)
        run(work, photo, painting, keep)
        peak = bench.peak_mb()
        loss = loss_for(photo, painting, side)
        points = [[round(seconds, 2), round(loss(torch.load(file)), 5)] for seconds, file in keep.all()]
    return {"points": points, "share": keep.share, "peak_mb": peak}


class Keeping:
    """Keeps pictures with the seconds that the work had taken; the keeping is not counted.

    The next picture is kept after a share of `every` more seconds.
    """

    def __init__(self, folder, most, every):
        self.folder, self.most, self.every, self.share = folder, most, every, 1.0
        self.seconds, self.points, self.begun = 0.0, [], time.perf_counter()

    def picture(self, picture, share):
        """True where time is up."""
        self.seconds += time.perf_counter() - self.begun
        self.share = round(share, 3)
        over = self.seconds > self.most
        if not self.points or self.seconds > (1 + self.every) * self.points[-1][0] or over or share >= 1:
            file = self.folder / f"{len(self.points)}.pt"
            torch.save(picture.detach().clamp(0, 1), file)
            self.points.append((self.seconds, file))
        self.begun = time.perf_counter()
        return over

    def all(self):
        return self.points


def run(work, photo, painting, keep):
    from lanterna.techniques.style import algorithm as recipes

    side = max(photo.shape[1:])
    settings = recipes.Stylize(size=side)
    if work == "ours":
        for frame in recipes.style(photo, settings, styles=[painting]):
            if tuple(frame.picture.shape[1:]) == frame.final and keep.picture(
                frame.picture, frame.step / frame.steps
            ):
                break
        return
    network = open_default()
    if work == "stp":
        schedule_of_stp(network, photo, painting, keep)
        return
    iterations = 1000
    picture = photo.clone().requires_grad_()
    if work == "nsp adam":
        optimiser = torch.optim.Adam([picture], lr=1 / 255)
    else:
        optimiser = torch.optim.LBFGS(
            [picture], lr=1, max_iter=1, history_size=100, tolerance_grad=0, tolerance_change=0
        )
    measure = measure_for(network, photo, painting, side)
    for step in range(iterations):
        down(optimiser, picture, measure)
        if keep.picture(picture, (step + 1) / iterations):
            break


def schedule_of_stp(network, photo, painting, keep):
    side = max(photo.shape[1:])
    sides = [side]
    while sides[0] / 2**0.5 >= 128:
        sides.insert(0, round(sides[0] / 2**0.5))
    # What a step takes at each size, to cut all alike.
    costs = []
    for each in sides:
        small = resized(photo, shape(photo, each))
        picture = small.clone().requires_grad_()
        measure = measure_for(network, small, painting, each)
        measure(picture)
        begun = time.perf_counter()
        measure(picture)
        costs.append(time.perf_counter() - begun)
    keep.begun = time.perf_counter()
    planned = [1000] + [500] * (len(sides) - 1)
    share = min(1.0, keep.most / sum(count * cost for count, cost in zip(planned, costs, strict=True)))
    average = None
    for number, each in enumerate(sides):
        small = resized(photo, shape(photo, each))
        picture = (small if average is None else resized(average, shape(photo, each))).clone()
        picture.requires_grad_()
        measure = measure_for(network, small, painting, each)
        optimiser = torch.optim.Adam([picture], lr=0.02)
        total, count = torch.zeros_like(picture), 0.0
        for step in range(max(2, round(planned[number] * share))):
            down(optimiser, picture, measure)
            picture.data.clamp_(0, 1)
            total, count = 0.99 * total + 0.01 * picture.detach(), 0.99 * count + 0.01
            average = total / count
            if each == side:
                keep.picture(average, (step + 1) / max(2, round(planned[number] * share)))
    keep.share = round(share, 3)


def down(optimiser, picture, measure):
    def closure():
        found = measure(picture.detach())
        picture.grad = found.gradient.contiguous()
        return found.total

    optimiser.step(closure)


def measure_for(network, photo, painting, side):
    """The recipe's loss with this network as it is."""
    from lanterna.techniques.style import algorithm as recipes
    from lanterna.techniques.style.layers import choose_layers
    from lanterna.techniques.style.loss import compute_loss

    settings = recipes.Stylize(size=side)
    layer, balance = choose_layers(network, settings.content_layer, settings.style_layers)
    content, painted = recipes._compute_targets(
        settings, network, photo, [painting], [], None, layer, list(balance.layers), settings.tile
    )
    return partial(
        compute_loss, network, target=recipes._weighted_target(settings, content, painted, balance), tile=4096
    )


def open_default():
    """Open the network of the defaults as it is, in float32, with its pooling."""
    from lanterna.networks import open_network
    from lanterna.networks.pooling import with_pooling
    from lanterna.techniques.style.algorithm import Stylize

    settings = Stylize()
    return with_pooling(open_network(settings.network, device="cpu"), settings.pooling)


def where_time_goes(side, options):
    """The seconds of a step at the final size, and of its convolutions at the best rate measured here."""
    from lanterna import shelf
    from lanterna.images import open_picture
    from lanterna.networks.inference import optimize_for_inference
    from lanterna.techniques.style.layers import choose_layers, replicate_edges

    folder, network = shelf.need("photographs"), open_default()
    photo = open_picture(options.photograph or folder / "astronaut.png")
    painting = open_picture(options.painting or folder / "coffee.png")
    photo = resized(photo, shape(photo, side))
    layer, balance = choose_layers(network)
    fast = replicate_edges(optimize_for_inference(network, [layer, *balance.layers]))
    measure = measure_for(fast, photo, painting, side)
    step = best(lambda: measure(photo), 3)
    with torch.no_grad():
        operations = sum(
            2 * 2 * output.numel() * module.weight[0].numel()  # forwards, and back to its input
            for (_, output), module in zip(fast.run(photo[None]), fast.layers.values(), strict=True)
            if isinstance(module, torch.nn.Conv2d)
        )
    rate = best_convolution_rate(next(fast.layers.parameters()).dtype)
    return {
        "step_s": round(step, 3),
        "convolutions_at_best_rate_s": round(operations / rate, 3),
        "share_of_peak": round(operations / rate / step, 2),
        "best_gflops": round(rate / 1e9),
    }


def best_convolution_rate(dtype):
    """The most floating-point operations a second of a convolution of VGG's shapes."""
    rates = []
    for channels, length in ((128, 96), (256, 64), (512, 32)):
        convolution = torch.nn.Conv2d(channels, channels, 3, padding=1).to(dtype)
        convolution = convolution.to(memory_format=torch.channels_last).requires_grad_(False)
        x = torch.randn(1, channels, length, length, dtype=dtype).to(memory_format=torch.channels_last)
        operations = 2 * channels * channels * 9 * length * length
        rates.append(operations / best(partial(convolution, x), 5))
    return max(rates)


def best(work, rounds):
    """The fewest seconds of some rounds, after one to warm up."""
    return min(bench.timed(work)[0] for _ in range(rounds + 1))


def loss_for(photo, painting, side):
    measure = measure_for(open_default(), photo, painting, side)
    return lambda picture: measure(picture).total


def large(photo, painting):
    """Two steps at the size alone, in the tiles that are estimated."""
    from lanterna.networks import open_network
    from lanterna.techniques.style.algorithm import Stylize, style
    from lanterna.techniques.style.estimate import estimate_style

    side = max(photo.shape[1:])
    settings = Stylize(size=side, ratio=4, steps=2)
    network = open_network(settings.network, device="cpu")
    plan = estimate_style(tuple(photo.shape[1:]), settings, network)
    begun = time.perf_counter()
    for frame in style(
        photo,
        settings.changed({"tile": plan.tile, "steps": 1}),
        styles=[painting],
        start=photo,
        network=network,
    ):
        last = frame
    return {
        "seconds": round(time.perf_counter() - begun, 1),
        "steps": last.steps,
        "estimated_mb": plan.memory // 2**20,
        "tile": plan.tile,
        "peak_mb": bench.peak_mb(),
    }


def shape(photo, side):
    scale = side / max(photo.shape[1:])
    return tuple(round(length * scale) for length in photo.shape[1:])


def resized(picture, size):
    return F.interpolate(picture[None], size, mode="bicubic", antialias=True)[0].clamp(0, 1)


if __name__ == "__main__":
    main()
