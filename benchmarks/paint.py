"""How well a picture is painted in seconds, beside the lecture's recipe, and a step beside its bound.

`python benchmarks/paint.py [--quick] [--threads 2] [--picture FILE] [--parts lecture table step] [--seeds 5]
[--seconds 3] [--long 60] [--large]`, one JSON on the shelf's astronaut, each part in float32 and, where the
processor has it, in bfloat16:

ours against the lecture   the default and the preset `lecture`, which take turns, for 5 s at 256 px and 15 s
                           at 512 px: PSNR in dB, and how much better ours is; parameters and bytes beside;
equal parameters           hash, siren and fourier with 25, 50 and 100 thousand parameters at most, at 256 px,
                           `--seconds` each: median, least and most of `--seeds` seeds;
a step                     milliseconds; what it must multiply and move, and how long that takes at this
                           machine's own peak in that precision and memory bandwidth, both measured here.
                           A step is several times that: it is some 150 operations on half a megabyte each,
                           launched one by one, on values that the one before has moved out of the nearest
                           cache, and products of 64 columns reach a third of the peak;
long                       every network for so many seconds: its best PSNR and its last, which are the same
                           where the rate is stable;
large                      4,000 × 3,000 px (the photograph, enlarged) learned for 20 s and rendered, in a
                           process of its own, and the most memory that it held.
"""

import statistics
import time

import bench
import torch

TABLE = ("hash", "siren", "fourier")
BUDGETS = (25_000, 50_000, 100_000)


def main() -> None:
    options = bench.options(
        __doc__,
        picture=None,
        parts=["lecture", "table", "step"],
        lecture_seconds=([5.0, 15.0], [0.5, 1.0]),
        seeds=(5, 1),
        seconds=(3.0, 0.5),
        steps=(150, 15),
        long=0.0,
        large=False,
    )
    picture = opened(options.picture)
    figures = {"threads": options.threads}
    for kind in bench.precisions():
        bench.say(f"in {kind}")
        figures[kind] = measured(picture, options)
    bench.show(figures)


def measured(picture, options):
    """Every part that is asked for."""
    figures = {}
    if "lecture" in options.parts:
        short, longer = options.lecture_seconds
        figures["against the lecture"] = [against(picture, 256, short), against(picture, 512, longer)]
    if "table" in options.parts:
        figures["equal parameters"] = table(picture, options.seeds, options.seconds)
    if "step" in options.parts:
        figures["a step"] = steps(picture, options.steps)
    if options.long:
        figures["long"] = {name: long(picture, name, options.long) for name in (*TABLE, "relu")}
    if options.large:
        bench.say("  4,000 × 3,000 px")
        figures["4000 x 3000 px"] = bench.apart(large, picture)
    return figures


def opened(path):
    from lanterna import shelf
    from lanterna.images import open_picture

    return open_picture(path or shelf.need("photographs") / "astronaut.png")


def painted(picture, **settings):
    """The last frame, and every frame's PSNR."""
    from lanterna.techniques.paint.algorithm import Paint, paint

    course = []
    for frame in paint(picture, Paint.checked(settings)):
        course.append(frame.numbers["psnr"])
    return frame, course


def against(picture, size, seconds):
    bench.say(f"  beside the lecture's recipe, {size} px")
    from lanterna.techniques.paint.algorithm import Paint

    found = {}
    for name, settings in (("lecture", Paint.presets["lecture"]), ("ours", {})):
        frame, _ = painted(picture, size=size, seconds=seconds, **settings)
        found[name] = {
            "psnr": round(frame.numbers["psnr"], 2),
            "seconds": round(frame.numbers["seconds"], 2),
            "steps": frame.step,
            "parameters": frame.painting.parameters,
            "bytes": frame.painting.bytes,
        }
    better = found["ours"]["psnr"] - found["lecture"]["psnr"]
    return {"size": size, "seconds": seconds, **found, "better_db": round(better, 2)}


def matched(network, budget, size):
    """Settings for the most parameters within the budget."""
    if network == "hash":
        tried = [
            {"grid_entries": bits, "grid_levels": levels} for bits in range(8, 15) for levels in range(4, 13)
        ]
    else:
        tried = [{"neurons": width} for width in range(16, 400, 2)]
    counted = [(parameters(network, size, settings), settings) for settings in tried]
    return max((each for each in counted if each[0] <= budget), key=lambda each: each[0])[1]


def parameters(network, size, settings):
    from lanterna.networks.coordinate_plan import CoordinatePlan
    from lanterna.networks.coordinates import Coordinates

    with torch.device("meta"):
        made = Coordinates(CoordinatePlan(network=network, **settings), (size, size))
    return sum(parameter.numel() for parameter in made.parameters())


def table(picture, seeds, seconds, size=256):
    rows = []
    for budget in BUDGETS:
        for network in TABLE:
            settings = matched(network, budget, size)
            bench.say(f"  {network} with {budget:,} parameters at most, {seeds} times {seconds} s")
            runs = [
                painted(picture, size=size, seconds=seconds, network=network, seed=seed, **settings)[0]
                for seed in range(seeds)
            ]
            found = [run.numbers["psnr"] for run in runs]
            rows.append(
                {
                    "network": network,
                    "parameters": runs[0].painting.parameters,
                    **settings,
                    "psnr": [round(each, 2) for each in (statistics.median(found), min(found), max(found))],
                }
            )
    return {"seconds": seconds, "seeds": seeds, "rows": rows}


def steps(picture, rounds):
    from lanterna.devices import fast_dtype, reuse_memory
    from lanterna.techniques.paint.algorithm import Paint, _Training
    from lanterna.techniques.paint.pixels import prepare_pixels

    reuse_memory()
    device = torch.device("cpu")
    bench.say("  the machine's bandwidth and peak")
    bandwidth, peak = measured_bandwidth(), measured_peak(fast_dtype(device))
    found = {"bandwidth_gb_s": round(bandwidth / 1e9, 1), "peak_gflop_s": round(peak / 1e9)}
    for network in TABLE:
        bench.say(f"  a step of {network}")
        settings = Paint(network=network, size=256, steps=10**6)
        work = _Training(prepare_pixels([picture], [], 256, 1.0, 0), settings, device)
        for _ in range(60):  # a hash grid finds every batch's corners once
            work.step()
        begun = time.perf_counter()
        for _ in range(rounds):
            work.step()
        milliseconds = (time.perf_counter() - begun) / rounds * 1e3
        flops, moved = needed(work)
        bound = 1e3 * max(flops / peak, moved / bandwidth)
        found[network] = {
            "batch": work.batch,
            "ms": round(milliseconds, 2),
            "mflop": round(flops / 1e6),
            "mb_moved": round(moved / 1e6, 1),
            "ms_multiplying": round(1e3 * flops / peak, 2),
            "ms_moving": round(1e3 * moved / bandwidth, 2),
            "times_the_bound": round(milliseconds / bound, 1),
        }
    return found


def needed(work):
    """Multiplications and additions of a step, and the bytes it reads and writes if nothing stays in a cache.

    A layer: three products, of what goes in, what comes back and the two; its values are written and read in
    each and by its activation there and back. The grid: rows and weights of all corners both ways, the
    entries that they name, and Adam's seven passes over every parameter.
    """
    network, batch = work.network, work.batch
    layers = [*network.hidden, network.output]
    flops = sum(6 * batch * layer.weight.numel() for layer in layers)
    size = 2 if network.fast or work.fast else 4
    moved = sum(batch * size * (3 * layer.in_features + 6 * layer.out_features) for layer in layers)
    if network.grid is not None:
        corners = batch * work.settings.grid_levels * 4
        moved += 2 * corners * (8 + 4 * work.settings.grid_features) + 4 * network.grid.table.numel()
    return flops, moved + 7 * 4 * sum(parameter.numel() for parameter in network.parameters())


def measured_bandwidth():
    numbers = torch.randn(2**26)
    copy = torch.empty_like(numbers)
    return 2 * 4 * numbers.numel() / quickest(lambda: copy.copy_(numbers))


def measured_peak(dtype):
    matrix = torch.randn(2048, 2048).to(dtype)
    return 2 * 2048**3 / quickest(lambda: matrix.mm(matrix))


def quickest(work, rounds=7):
    return min(bench.timed(work)[0] for _ in range(rounds))


def long(picture, network, seconds):
    bench.say(f"  {network} for {seconds} s")
    frame, course = painted(picture, size=256, seconds=seconds, network=network)
    return {"best": round(max(course), 2), "last": round(course[-1], 2), "steps": frame.step}


def large(picture):
    """Twelve million pixels, learned and rendered."""
    enlarged = torch.nn.functional.interpolate(picture[None], (3000, 4000), mode="bicubic")[0].clamp_(0, 1)
    before = bench.peak_mb()
    begun = time.perf_counter()
    frame, _ = painted(enlarged, size=4000, seconds=20.0)
    took = time.perf_counter() - begun
    learning = bench.peak_mb()
    del enlarged
    begun = time.perf_counter()
    frame.painting.render((3000, 4000), beyond=0.3)
    return {
        "psnr": round(frame.numbers["psnr"], 2),
        "seconds": round(frame.numbers["seconds"], 1),
        "wall": round(took, 1),
        "steps": frame.step,
        "parameters": frame.painting.parameters,
        "bytes": frame.painting.bytes,
        "render_seconds": round(time.perf_counter() - begun, 1),
        "peak_mb": {"before": before, "learning": learning, "rendering": bench.peak_mb()},
    }


if __name__ == "__main__":
    main()
