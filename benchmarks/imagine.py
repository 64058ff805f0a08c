"""Imagined digits, judged by a network that reads digits, against torchcfm given the same seconds.

    python benchmarks/imagine.py [--quick] [--epochs 6] [--samples 2000]

Lanterna's network learns for some epochs. Then torchcfm (Tong et al. 2023; the package index's implementation
of conditional flow matching, with the small U-Net of its example on MNIST) learns for as many seconds of
processor time, in a process of its own; it is installed the first time under build/. Both draw equally many
of each digit in 10 of Heun's steps; torchcfm a fifth as many, because its network is slow without a graphics
card, and its Frechet distance is a little larger for that. Printed are for each:

- accuracy: the share of samples that are read as the digit that was asked for, by `lanterna train conv
  --preset best`, which is trained the first time under build/;
- the Frechet distance (Heusel et al. 2017) from the test digits to the samples, in the 64 principal
  components of that network's last features, and as its floor that between random halves of the test digits;
- near copies: the share of samples that are nearer to a training digit, in pixels, than 99 % of the test
  digits are. For new handwriting it is 1 %;
- seconds of training and of drawing a digit, in processor time, and the highest memory.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench
import torch

from lanterna.images.digits import mnist
from lanterna.networks.trained import is_trained, open_trained
from lanterna.techniques.imagine.algorithm import (
    Learning,
    as_light,
    as_values,
    draw,
    follow,
    learn,
    noise_of,
    one_hot,
)

BUILD = Path(__file__).parent.parent / "build"
TORCHCFM, JUDGE = BUILD / "torchcfm", BUILD / "judge.net"
STEPS, COMPONENTS = 10, 64


def lanterna(count: int, epochs: int, guidances: list[float]) -> dict:
    """Train as `lanterna imagine` does, and draw."""
    begun = time.process_time()
    for frame in learn(mnist("train"), Learning(epochs=epochs)):
        bench.say(f"{frame.step} of {frame.steps}, loss {frame.numbers['loss']:.4f}")
    seconds, classes = time.process_time() - begun, one_hot(torch.arange(count) % 10)
    begun = time.process_time()
    drawn = {
        f"lanterna, guidance {guidance:g}": draw(frame.network, classes, guidance=guidance, steps=STEPS)
        for guidance in guidances
    }
    drawing = (time.process_time() - begun) / count / len(guidances)
    return {"drawn": drawn, "seconds": seconds, "drawing": drawing}


def torchcfm(count: int, limit: float) -> dict:
    """Train torchcfm's example on MNIST for `limit` seconds of processor time, and draw."""
    sys.path.insert(0, str(TORCHCFM))
    from torchcfm.conditional_flow_matching import ConditionalFlowMatcher
    from torchcfm.models.unet import UNetModel

    torch.manual_seed(0)
    model = UNetModel(dim=(1, 28, 28), num_channels=32, num_res_blocks=1, num_classes=10, class_cond=True)
    optimiser, matcher = torch.optim.Adam(model.parameters()), ConditionalFlowMatcher(sigma=0.0)
    digits, labels = mnist("train")
    begun, steps = time.process_time(), 0
    while time.process_time() - begun < limit:
        chosen = torch.randint(len(digits), (128,))
        x1 = as_values(digits[chosen])
        t, x, velocity = matcher.sample_location_and_conditional_flow(torch.randn_like(x1), x1)
        loss = (model(t, x, labels[chosen]) - velocity).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps += 1
    seconds, asked = time.process_time() - begun, torch.arange(count) % 10
    bench.say(f"{steps} steps of torchcfm")
    begun, parts = time.process_time(), []
    with torch.inference_mode():
        for noise, some in zip(noise_of(0, count).split(250), asked.split(250), strict=True):
            *_, last = follow(lambda x, t, some=some: model(torch.tensor(t), x, some), noise, STEPS)
            parts.append(as_light(last))
    drawing = (time.process_time() - begun) / count
    return {"drawn": {"torchcfm": torch.cat(parts)}, "seconds": seconds, "drawing": drawing}


def in_a_process(name: str, *words: object) -> dict:
    """Run one of the functions above in a process, and return its result with the highest memory."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "result.pt"
        command = [sys.executable, __file__, "--run", json.dumps([name, *words, str(path)])]
        subprocess.run(command, check=True)
        return torch.load(path)


def run(name: str, *words: object) -> None:
    """Run one of the functions above, and save its result to the path that comes last."""
    result = {"lanterna": lanterna, "torchcfm": torchcfm}[name](*words[:-1])
    torch.save({**result, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}, words[-1])


class Judge:
    """The best digit network, as it sees the test digits."""

    def __init__(self, preset: str) -> None:
        if not is_trained(JUDGE):
            bench.say("training the judge")
            command = [sys.executable, "-m", "lanterna", "train", "conv", "--preset", preset, "--quiet"]
            subprocess.run([*command, "-o", JUDGE], check=True)
        self.network = open_trained(JUDGE)
        features, _ = self.features(mnist("test").images.float() / 255)
        self.basis = torch.linalg.svd(features - features.mean(0), full_matrices=False)[2][:COMPONENTS].T
        self.test = features @ self.basis

    @torch.inference_mode()
    def features(self, digits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the last features `(N, 576)` of digits, and what they are read as `(N,)`."""
        kept: list[torch.Tensor] = []
        handle = self.network.layer("flatten").register_forward_hook(lambda *three: kept.append(three[2]))
        read = [self.network(part).argmax(1) for part in digits.split(250)]
        handle.remove()
        return torch.cat(kept), torch.cat(read)

    def floor(self) -> float:
        """Return the Frechet distance between random halves of the test digits."""
        first, second = torch.randperm(10_000, generator=torch.Generator().manual_seed(0)).split(5000)
        return frechet(self.test[first], self.test[second])


def frechet(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the Frechet distance of two Gaussians that were fitted to features `(N, D)` and `(M, D)`."""
    one, other = one.double(), other.double()
    a, b = one.T.cov(), other.T.cov()
    root = torch.linalg.eigvals(a @ b).real.clamp_min(0).sqrt().sum()
    return ((one.mean(0) - other.mean(0)).square().sum() + a.trace() + b.trace() - 2 * root).item()


def nearest(digits: torch.Tensor) -> torch.Tensor:
    """Return the distance `(N,)` of each digit to the nearest training digit, in pixels."""
    known = mnist("train").images.flatten(1).float() / 255
    return torch.cat([torch.cdist(part.flatten(1), known).amin(1) for part in digits.split(250)])


def main() -> None:
    if sys.argv[1:2] == ["--run"]:
        run(*json.loads(sys.argv[2]))
        return
    given = bench.options(__doc__, epochs=(6, 1), samples=(2000, 500))
    if not TORCHCFM.exists():
        bench.say("installing torchcfm")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", TORCHCFM]
        subprocess.run([*pip, "torchcfm==1.0.7", "POT", "scipy"], check=True)
    judge = Judge("fast" if given.quick else "best")
    ours = in_a_process("lanterna", given.samples, given.epochs, [1.0, 1.5, 2.0])
    theirs = in_a_process("torchcfm", given.samples // 5, ours["seconds"])
    threshold = nearest(mnist("test").images[::5].float() / 255).quantile(0.01)
    print(f"{os.cpu_count()} cores, {given.threads} threads, {given.samples} samples, {STEPS} steps")
    print(f"floor of the Frechet distance: {judge.floor():.2f}")
    for result in (ours, theirs):
        for name, drawn in result["drawn"].items():
            (features, read), asked = judge.features(drawn), torch.arange(len(drawn)) % 10
            print(
                f"{name:25} accuracy {(read == asked).float().mean():.1%}, "
                f"Frechet distance {frechet(features @ judge.basis, judge.test):.2f}, "
                f"near copies {(nearest(drawn) < threshold).float().mean():.1%}, "
                f"training {result['seconds']:.0f} s, drawing {1000 * result['drawing']:.0f} ms a digit, "
                f"{result['memory']:.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
