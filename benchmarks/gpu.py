"""The four aims for a graphics card, and whether compiling pays, as a table in benchmarks/results/.

`python benchmarks/gpu.py [--quick] [--device auto] [--rounds 3] [--most 120] [--no-compile] [--output FILE]`

style      the shelf's cat at 512 px in the style of its coffee cup, as `lanterna style` does it: under 3 s;
dream      the cat at 512 px, as `lanterna dream` does it: under 1 s;
digits     `lanterna train conv`, with the presets `fast` and `best`, until the end of an epoch after which
           99.5 % of the held-out digits are read right: under 1 s;
painting   the cat at 512 px learned by the hash grid, until 40 dB: under 2 s.

A row is the first time, with what the device prepares once, and the median of `--rounds` more. What takes
longer than `--most` seconds is cut off and said to be. Weights and pictures are opened before. Everything is
measured in float32 and, where the device has it, in bfloat16. With `--quick` no table is written, unless
there is an `--output`.
"""

import os
import platform
import re
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

import bench
import torch
import torch.nn.functional as F

from lanterna import open_picture, shelf
from lanterna.devices import choose_device, describe_device, fast_dtype
from lanterna.networks import open_network
from lanterna.networks.inference import optimize_for_inference
from lanterna.probes import objectives
from lanterna.techniques.dream.algorithm import Dream, dream
from lanterna.techniques.paint.algorithm import Paint, paint
from lanterna.techniques.style.algorithm import Stylize, style
from lanterna.techniques.train.algorithm import new_network, train
from lanterna.techniques.train.settings import Train

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    options = bench.options(
        __doc__,
        device="auto",
        rounds=(3, 1),
        most=(120.0, 2.0),
        step_seconds=(3.0, 0.5),
        no_compile=False,
        output=None,
    )
    place = choose_device(options.device)
    lines = []

    def tell(*more):
        lines.extend(more)
        print(*more, sep="\n", flush=True)

    tell(
        f"# {name_of(place)}", "",
        f"{describe_device(place)}; torch {torch.__version__}, {platform.system()}, {os.cpu_count()} cores. "
        f"`python benchmarks/gpu.py`, load {os.getloadavg()[0]:.1f} at the start.", "",
    )  # fmt: skip
    if place.type == "cpu":
        tell("A CPU, for comparison: the aims are those of a graphics card.", "")
    for kind in bench.precisions(place.type):
        tell(f"In {kind}:", "", "| what | aim | first time | again | came to |", "|---|---|---|---|---|")
        for what, aim, work in aims(place):
            bench.say(f"{what}, in {kind}")
            runs = [timed(work, options.most) for _ in range(1 + options.rounds)]
            again = median(seconds for seconds, _ in runs[1:])
            met = "" if runs[-1][1].startswith("cut") else (", met" if again < aim else ", not met")
            tell(f"| {what} | {aim} s | {runs[0][0]:.2f} s | {again:.2f} s{met} | {runs[-1][1]} |")
        tell("")
        if options.no_compile:
            continue
        tell("| a step | as it is | compiled | compiling took | pays after |", "|---|---|---|---|---|")
        for what in steps(place):
            bench.say(f"{what}, compiled and not, in {kind}")
            with tempfile.TemporaryDirectory() as empty:  # or what was compiled before is there already
                os.environ["TORCHINDUCTOR_CACHE_DIR"] = empty
                tell(bench.apart(compared, what, place, options.step_seconds))
        tell("")
    if options.quick and not options.output:
        return
    name = re.sub(r"[^a-z0-9]+", "-", name_of(place).lower()).strip("-")
    target = Path(options.output or RESULTS / f"{name}.md")
    target.parent.mkdir(exist_ok=True)
    target.write_text("\n".join(lines), encoding="utf-8")
    print(f"written to {target}")


def name_of(place: torch.device) -> str:
    if place.type == "cuda":
        return torch.cuda.get_device_name(place)
    if place.type == "cpu":
        lines = Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else []
        models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        return f"CPU, {(models or [platform.processor()])[0]}"
    return f"{place.type}, {platform.machine()}"


def aims(place: torch.device):
    """What is done, the seconds it should take, and work that yields words of how far it has come."""
    photographs = shelf.need("photographs")
    cat, cup = (open_picture(photographs / f"{name}.png", longest=512) for name in ("chelsea", "coffee"))
    vgg, lite = (open_network(name, device=place) for name in ("vgg16", "efficientnet-lite0"))

    def styled():
        for frame in style(cat, Stylize(size=512), styles=[cup], network=vgg):
            yield f"loss {frame.numbers['loss']:.3f}"

    def dreamed():
        for frame in dream(cat, Dream(size=512), network=lite):
            yield f"energy {frame.numbers['energy']:.2f}"

    def learned(preset):
        settings = Train.checked(Train.presets[preset])
        for frame in train(settings, device=str(place.type)):
            best = max((epoch["validation_accuracy"] for epoch in frame.history), default=0.0)
            yield f"{best:.2%} of the held-out digits"
            if best >= 0.995:
                return

    def painted():
        for frame in paint(cat, Paint(size=512, seconds=120), device=str(place.type)):
            yield f"{frame.numbers['psnr']:.1f} dB"
            if frame.numbers["psnr"] >= 40:
                return

    yield "style, 512 px", 3.0, styled
    yield "dream, 512 px", 1.0, dreamed
    yield "digits to 99.5 %, fast", 1.0, partial(learned, "fast")
    yield "digits to 99.5 %, best", 1.0, partial(learned, "best")
    yield "painting to 40 dB, 512 px", 2.0, painted


def timed(work, most: float) -> tuple[float, str]:
    begun, words = time.perf_counter(), ""
    for words in work():
        if time.perf_counter() - begun > most:
            words = f"cut off at {words}"
            break
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun, words


def steps(place: torch.device):
    """The inner steps of a training and of a dream: functions that make one, compiled or not."""
    settings = Train.checked(Train.presets["fast"])

    def training(compiled):
        network, dtype = new_network(settings).to(place).train(), fast_dtype(place)
        called = compiled(network)
        images = torch.rand(256, 1, 28, 28, device=place)
        labels = torch.arange(256, device=place) % 10

        def step():
            with torch.autocast(place.type, dtype, enabled=dtype != torch.float32):
                logits = called(images)
            torch.autograd.backward(F.cross_entropy(logits.float(), labels))

        return step

    def dreaming(compiled):
        network = optimize_for_inference(open_network("efficientnet-lite0", device=place), ["block9"])
        called = compiled(
            lambda seen: objectives.layer_outputs(network, seen, frozenset(["block9"]))["block9"]
        )
        picture = torch.rand(1, 3, 352, 512, device=place)

        def step():
            seen = picture.clone().requires_grad_()
            torch.autograd.grad(called(seen).float().square().mean(), seen)

        return step

    return {"training conv, 256 digits": training, "dream, block9, 512 × 352 px": dreaming}


def compared(what: str, place: torch.device, seconds: float) -> str:
    made = steps(place)[what]
    plain = per_step(made(lambda network: network), place, seconds)
    # With CUDA graphs where there is CUDA: a step is then one launch.
    mode = "reduce-overhead" if place.type == "cuda" else "default"
    begun = time.perf_counter()
    try:
        step = made(partial(torch.compile, mode=mode))
        step()
    except Exception as error:
        return f"| {what} | {plain * 1e3:.1f} ms | failed: {type(error).__name__} | | |"
    took = time.perf_counter() - begun
    quick = per_step(step, place, seconds)
    gain = plain - quick
    after = f"{took / gain:,.0f} steps" if gain > 0 else "never"
    return f"| {what} | {plain * 1e3:.1f} ms | {quick * 1e3:.1f} ms | {took:.1f} s | {after} |"


def per_step(step, place: torch.device, seconds: float) -> float:
    """The median step, in seconds, after five to warm up."""
    each = []
    for _ in range(5):
        step()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(each) < 5:
        begun = time.perf_counter()
        step()
        if place.type == "cuda":
            torch.cuda.synchronize()
        each.append(time.perf_counter() - begun)
    return median(each)


if __name__ == "__main__":
    main()
