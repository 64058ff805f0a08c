"""How fast a photograph is named, beside an independent EfficientNet-Lite in PyTorch with the same weights.

`python benchmarks/classify.py [--quick] [--threads 2]`: one network pass on one photograph, and photographs a
second from a folder of 64 JPEG files of 1,600 × 1,200 pixels. The other network (efficientnet-lite-pytorch)
is driven as its page shows: Pillow opens, resizes and crops each file, and the network is run on one at a
time. Both compute in float32. The two take turns, so that whatever else this machine does slows both; medians
are printed, and the ratio is what to trust.
"""

import tempfile
from pathlib import Path

import bench
import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from safetensors.torch import load_file

from lanterna import shelf
from lanterna.images import open_picture, save_picture
from lanterna.networks import open_network
from lanterna.techniques.classify.algorithm import Classify, classify

NETWORK, SIDE = "efficientnet-lite0", 224


def main() -> None:
    options = bench.options(__doc__, rounds=(15, 3), files=(64, 8), folder_rounds=(3, 1))
    other = EfficientNet.from_name(NETWORK).eval()
    other.load_state_dict(load_file(shelf.need(NETWORK) / "weights.safetensors"))
    ours = open_network(NETWORK)
    bench.say("one photograph")
    figures = {"threads": options.threads, "one_photograph": one_photograph(ours, other, options.rounds)}
    with tempfile.TemporaryDirectory() as folder:
        bench.say(f"a folder of {options.files} photographs")
        files = make_photographs(Path(folder), options.files)
        figures[f"folder_of_{options.files}"] = folder_of_photographs(
            ours, other, files, options.folder_rounds
        )
    bench.show(figures)


def one_photograph(ours, other, rounds):
    """Milliseconds of one pass through each network."""
    picture = torch.rand(1, 3, SIDE, SIDE)
    with torch.inference_mode():
        times, _ = bench.by_turns(
            {"ours": lambda: ours(picture), "other": lambda: other((picture - 0.498) / 0.502)}, rounds
        )
    ms = {name: round(1000 * seconds, 1) for name, seconds in times.items()}
    return {"ours_ms": ms["ours"], "other_ms": ms["other"], "ratio": round(times["other"] / times["ours"], 2)}


def folder_of_photographs(ours, other, files, rounds):
    """Photographs a second from files to answers; both must agree on what they see."""

    def with_ours():
        found = classify(files, Classify(network=NETWORK, top=1), network=ours)
        return [each.answers[0].index for each in found]

    def with_other():
        return [other_answer(other, file) for file in files]

    times, answers = bench.by_turns({"ours": with_ours, "other": with_other}, rounds)
    same = sum(a == b for a, b in zip(answers["ours"], answers["other"], strict=True))
    return {
        "ours_per_second": round(len(files) / times["ours"], 1),
        "other_per_second": round(len(files) / times["other"], 1),
        "ratio": round(times["other"] / times["ours"], 2),
        "same_answer": f"{same} of {len(files)}",
    }


@torch.inference_mode()
def other_answer(other, file):
    picture = Image.open(file).convert("RGB")
    side = round(min(picture.size) * SIDE / (SIDE + 32))
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    levels = torch.from_numpy(np.array(square)).permute(2, 0, 1)[None].float()
    return int(other((levels - 127) / 128).argmax())


def make_photographs(folder, count):
    """So many different windows on the shelf's photographs, as large as a small camera's files."""
    names = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
    pictures = [open_picture(shelf.need("photographs") / name) for name in names]
    files = []
    for index in range(count):
        shift = index // len(pictures)
        window = pictures[index % len(pictures)][:, shift : shift + 280, shift : shift + 373]
        large = torch.nn.functional.interpolate(window[None], (1200, 1600), mode="bicubic")[0]
        files.append(folder / f"{index:02}.jpg")
        save_picture(large.clamp(0, 1), files[-1])
    return files


if __name__ == "__main__":
    main()
