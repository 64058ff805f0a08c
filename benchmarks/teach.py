"""How long it takes to teach a network one's own classes, beside the usual way in plain PyTorch.

`python benchmarks/teach.py [--quick] [--threads 2] [--many 3000]`, all in float32: three classes of 20 JPEG
files of 1,200 × 900 pixels, windows on the shelf's textures. Ours is `teach` with nothing kept from before,
again with everything kept, and the whole command in a process of its own. The usual way opens, resizes and
crops each file with Pillow, runs an independent EfficientNet-Lite (efficientnet-lite-pytorch) with the same
weights on one at a time, and learns a linear layer with Adam. They take turns; medians are printed, and the
ratio is what to trust. Both are tested on the same held-out pictures.

Then `--many` small pictures, in a process of its own with and without processes that decode: pictures a
second, and the memory of the process after a third of them and at its highest.
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import bench
import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from safetensors.torch import load_file

from lanterna import shelf
from lanterna.images import open_picture, save_picture
from lanterna.images.folders import gather
from lanterna.networks import open_network
from lanterna.techniques.teach.algorithm import teach
from lanterna.techniques.teach.settings import Teach

NETWORK, SIDE, EPOCHS = "efficientnet-lite0", 224, 200
TEXTURES = ("brick", "grass", "gravel")


def main() -> None:
    options = bench.options(__doc__, of_each=(20, 8), rounds=(3, 1), many=(3000, 300))
    with tempfile.TemporaryDirectory() as place:
        home = Path(place) / "home"
        home.mkdir()
        (home / "shelf").symlink_to(shelf.need(NETWORK).parent)
        os.environ["LANTERNA_HOME"] = str(home)
        bench.say("making the photographs")
        pictures = make_pictures(Path(place) / "pictures", options.of_each, (900, 1200), window=(300, 400))
        figures = {
            "threads": options.threads,
            f"{options.of_each} pictures a class": compared(pictures, home, options),
        }
        if options.many:
            small = make_pictures(Path(place) / "small", options.many // 3, (64, 64), window=(64, 64))
            for workers in (0, 1, 2):
                what = f"{options.many} small pictures, {workers} processes decode"
                bench.say(what)
                forget(home)
                figures[what] = bench.apart(many_pictures, small, workers)
    bench.show(figures)


def compared(pictures, home, options):
    """Seconds from files to a tested network."""
    ours, other = open_network(NETWORK), EfficientNet.from_name(NETWORK).eval()
    other.load_state_dict(load_file(shelf.need(NETWORK) / "weights.safetensors"))
    results = {}

    def with_ours():
        forget(home)
        again()

    def again():
        *_, frame = teach(gather(pictures), Teach(), network=ours)
        results["ours"] = frame.results
        results["held_out"] = {each["file"] for each in frame.results.worst}

    def the_usual_way():
        results["usual"] = taught_plainly(other, pictures, results["held_out"])

    again()
    times = {"ours": [], "ours again": [], "usual": [], "command": []}
    for round_ in range(options.rounds):
        for name, work in (("ours", with_ours), ("ours again", again), ("usual", the_usual_way)):
            bench.say(f"{name}, round {round_ + 1} of {options.rounds}")
            times[name].append(bench.timed(work)[0])
        bench.say(f"the command, round {round_ + 1} of {options.rounds}")
        forget(home)
        command = [sys.executable, "-m", "lanterna", "teach", str(pictures), "--force", "--quiet"]
        times["command"].append(bench.timed(partial(in_a_process, command, options.threads))[0])
    middle = {name: statistics.median(each) for name, each in times.items()}
    return {
        "seconds": {name: round(each, 2) for name, each in middle.items()},
        "ratio": round(middle["usual"] / middle["ours"], 2),
        "ours_right": f"{results['ours'].right} of {results['ours'].held_out}",
        "usual_right": results["usual"],
    }


def taught_plainly(network, pictures, held_out):
    """Features one picture at a time, then a linear layer by Adam; how many held-out ones are right."""
    found = {"train": ([], []), "test": ([], [])}
    for label, name in enumerate(TEXTURES):
        for file in sorted((pictures / name).iterdir()):
            features, labels = found["test" if f"{name}/{file.name}" in held_out else "train"]
            features.append(plain_features(network, file))
            labels.append(label)
    (x, y), (unseen, truth) = (
        (torch.cat(features), torch.tensor(labels)) for features, labels in found.values()
    )
    layer = torch.nn.Linear(x.shape[1], len(TEXTURES))
    optimiser = torch.optim.Adam(layer.parameters(), 1e-3)
    for _ in range(EPOCHS):
        loss = torch.nn.functional.cross_entropy(layer(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return f"{int((layer(unseen).argmax(1) == truth).sum())} of {len(truth)}"


@torch.inference_mode()
def plain_features(network, file):
    picture = Image.open(file).convert("RGB")
    side = round(min(picture.size) * SIDE / (SIDE + 32))
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    levels = torch.from_numpy(np.array(square)).permute(2, 0, 1)[None].float()
    return network.extract_features((levels - 127) / 128).mean((2, 3))


def many_pictures(pictures, workers):
    """Pictures a second while they are looked at, and the memory of this process in MB."""
    begun, third = None, None
    gathered = gather(pictures)
    for frame in teach(gathered, workers=workers):
        if frame.phase == "extracting features":
            begun = begun or (time.perf_counter(), frame.step)
            if third is None and frame.step >= len(gathered.files) / 3:
                third = memory("VmRSS")
            ended = time.perf_counter(), frame.step
    return {
        "pictures_a_second": round((ended[1] - begun[1]) / (ended[0] - begun[0]), 1),
        "mb_after_a_third": third,
        "mb_at_most": memory("VmHWM"),
        "right": f"{frame.results.correct} of {frame.results.held_out}",
    }


def memory(what):
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) // 1024


def make_pictures(folder, count, size, window):
    """So many windows on each texture, as JPEG files of `size` (height, width)."""
    where = random.Random(0)
    for name in TEXTURES:
        texture = open_picture(shelf.need("photographs") / f"{name}.png")
        (folder / name).mkdir(parents=True)
        for number in range(count):
            top, left = (
                where.randrange(length - side) for length, side in zip(texture.shape[1:], window, strict=True)
            )
            part = texture[None, :, top : top + window[0], left : left + window[1]]
            large = torch.nn.functional.interpolate(part, size, mode="bicubic")[0].clamp(0, 1)
            save_picture(large, folder / name / f"{number:05}.jpg")
    return folder


def forget(home):
    for file in (home / "features").glob("*/*.safetensors"):
        file.unlink()


def in_a_process(command, threads):
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)


if __name__ == "__main__":
    main()
