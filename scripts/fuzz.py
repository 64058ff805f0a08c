"""Fuzz every entry point with ten thousand damaged and hostile inputs: none may crash, hang, run or leak.

    python scripts/fuzz.py [--inputs 10000] [--seed 0] [--only recipe checkpoint] [--side-by-side 2]

The entry points ("doors") take untrusted data: pictures, films, recipes in pictures, trained networks,
paintings, checkpoints, the files in a render's folder, sweeps, the studio's API, files of the shelf (as if
their sha256 had been right), and the messages from the page of a notebook's view.
Each input is a real one that was changed at random, or a malicious one: a pickle that runs a program, a
recipe that refers to code or to a path outside. An input may be refused (a `LanternaError`, in one line; a
status below 500 from the studio) or accepted; it has 20 seconds, and leaves no file, no open file and no
process. A failure is reported by its door and number, which together with the seed reproduce it:
`--only DOOR --first NUMBER --inputs 1`. Exit code 1 if there is any.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import faulthandler
import gzip
import io
import json
import multiprocessing
import multiprocessing.connection
import os
import pickle
import random
import shutil
import sys
import tempfile
import time
import zipfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from onnx import TensorProto, helper
from traitlets import TraitError

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "tests" / "shared"))
from hostile import CHANGES, chunk, png, real_files  # noqa: E402
from lanterna import Dream, open_picture, read_recipe, save_picture  # noqa: E402
from lanterna.errors import LanternaError  # noqa: E402
from lanterna.images import decoding, make_recipe  # noqa: E402
from lanterna.images.film_reading import open_film  # noqa: E402
from lanterna.images.films import save_film  # noqa: E402
from lanterna.images.recipe import to_json  # noqa: E402
from lanterna.networks import open_network  # noqa: E402
from lanterna.networks.digits import build  # noqa: E402
from lanterna.networks.plan import Plan  # noqa: E402
from lanterna.networks.trained import PLAN, WEIGHTS, open_trained, save_trained  # noqa: E402
from lanterna.settings import shelf_folder  # noqa: E402
from lanterna.shelf import convert  # noqa: E402
from lanterna.shelf.onnx import read_weights  # noqa: E402
from lanterna.surfaces.notebook.views import Pad  # noqa: E402
from lanterna.surfaces.render.chunks import read_chunks  # noqa: E402
from lanterna.surfaces.render.folder import CHUNKS, MANIFEST, Folder, read_plan  # noqa: E402
from lanterna.surfaces.render.folder import PLAN as RENDER_PLAN  # noqa: E402
from lanterna.surfaces.render.plan import Sweep, variations  # noqa: E402
from lanterna.surfaces.render.task import Rendered, Task  # noqa: E402
from lanterna.techniques.dream.algorithm import dream  # noqa: E402
from lanterna.techniques.paint.algorithm import Paint, paint  # noqa: E402
from lanterna.techniques.paint.painting import open_painting  # noqa: E402
from lanterna.techniques.rerun import rerun_recipe  # noqa: E402
from lanterna.techniques.style.algorithm import Stylize, style  # noqa: E402
from lanterna.techniques.train.algorithm import train  # noqa: E402
from lanterna.techniques.train.settings import Train  # noqa: E402
from served import Server  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 20.0
WORK = Path.cwd()  # a separate folder for each process, see `Doors`
HARM = "harm-was-done"  # the file that malicious inputs create

ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 3, 10**9, 2**63, 1e308, float("inf"), float("nan"), "", "x", "..", "../../x", "\0",
    "a" * 400, "\ud800", [], [1], {}, {"a": 1}, [[]], "/etc/passwd", "~", "-", "harm:make", "os:system",
)  # fmt: skip


def changed(data: bytes, chance: random.Random) -> bytes:
    """Return a copy of the bytes with up to four random changes, half of them near the beginning."""
    result = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        if len(result) < 8:
            break
        position = chance.randrange(min(len(result), 300) if chance.random() < 0.5 else len(result))
        CHANGES[chance.choice(sorted(CHANGES))](result, position, chance)
    return bytes(result)


def odd(value: Any, chance: random.Random) -> Any:
    """Return a copy of nested dicts, lists, tensors and numbers with one or two parts changed."""
    value = copy.deepcopy(value)
    for _ in range(chance.randint(1, 2)):
        parent, part, key = value, value, None
        while isinstance(part, dict | list) and len(part):
            parent = part
            key = chance.choice(list(part) if isinstance(part, dict) else range(len(part)))
            part = parent[key]
            if chance.random() < 0.3:
                break
        if key is None:
            return copy.deepcopy(chance.choice(ODD))
        if isinstance(part, torch.Tensor) and chance.random() < 0.7:
            parent[key] = odd_tensor(part, chance)
        elif chance.random() < 0.2:
            del parent[key]
        else:
            parent[key] = copy.deepcopy(chance.choice(ODD))
    return value


def odd_tensor(tensor: torch.Tensor, chance: random.Random) -> torch.Tensor:
    """Return a tensor with another shape or dtype, or with NaNs."""
    change = chance.randrange(6)
    if change == 0:
        return tensor.flatten()
    if change == 1:
        return tensor.unsqueeze(0)[..., :0]
    if change == 2:
        return torch.stack([tensor, tensor])
    return (tensor.double(), tensor * float("nan"), tensor.to(torch.uint8))[change - 3]


class Harmful:
    """An object that runs a program when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Create a file."""
        return os.system, (f"touch {WORK / HARM}",)


def harmful_checkpoint(good: bytes, chance: random.Random) -> bytes:
    """Return a malicious checkpoint: a bare pickle, or a valid file with its pickle replaced."""
    if chance.random() < 0.3:
        return pickle.dumps(Harmful(), protocol=chance.choice((0, 2, 4)))
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as before, zipfile.ZipFile(stream, "w") as after:
        for name in before.namelist():
            content = before.read(name)
            after.writestr(name, pickle.dumps(Harmful(), 2) if name.endswith("data.pkl") else content)
    return stream.getvalue()


class Doors:
    """The doors, each a method that tests one input; the real files are created once per process."""

    def __init__(
        self,
        folder: Path,
        served: tuple[Server, str, str] | None = None,
        works: tuple[str, ...] = ("dream", "paint", "style", "train"),
    ) -> None:
        global WORK
        WORK = folder
        os.chdir(folder)
        (folder / "harm.py").write_text(f"open({str(folder / HARM)!r}, 'w')\ndef make(): pass\n")
        sys.path.insert(0, str(folder))  # as for a user whose current folder is untrusted
        decoding.PIXEL_LIMIT = 500_000  # low, so that hostile sizes exceed it quickly
        self.originals = Path(tempfile.mkdtemp(dir=folder.parent))  # the real files, which stay unchanged
        self.pictures = list(real_files().values())
        dreamed = Dream(layer="block2", steps=2, octaves=1, size=64)
        save_picture(torch.rand(3, 32, 48), self.originals / "input.png")
        self.good_recipe = make_recipe(
            "dream", "dream", dreamed, inputs=[self.originals / "input.png"], network_name=""
        )
        for suffix in ("png", "jpg", "webp", "avif", "tiff"):
            save_picture(torch.rand(3, 8, 8), self.originals / f"a.{suffix}", recipe=self.good_recipe)
            self.pictures.append((self.originals / f"a.{suffix}").read_bytes())
        frames = list(torch.rand(4, 3, 48, 64))
        for suffix in ("webp", "gif", "avif", "mp4", "webm"):
            save_film(frames, self.originals / f"film.{suffix}", count=4)
        self.films = {path.suffix: path.read_bytes() for path in self.originals.glob("film.*")}
        plan = Plan(network="dense", hidden=(8,))
        save_trained(build(plan), plan, self.originals / "net")
        self.network = {name: (self.originals / "net" / name).read_bytes() for name in (PLAN, WEIGHTS)}
        self.works = {name: self._work(name) for name in works}
        self.painting = (self.originals / "painting.safetensors").read_bytes()
        self.weights = _weights()
        self.pad = Pad(build(Plan(network="dense", hidden=(8,))))
        self.served = served

    def _work(self, name: str) -> tuple[Callable[..., Any], bytes]:
        """Return a function that starts or resumes a technique, and one of its checkpoints."""
        picture = torch.rand(3, 48, 64)
        if name == "dream":
            with_lite = {"network": open_network("efficientnet-lite0")}
            begin = partial(dream, picture, Dream(layer="block2", steps=3, size=64), **with_lite)
        elif name == "style":
            with_vgg = {"network": open_network("vgg16"), "styles": [picture.flip(1)]}
            begin = partial(style, picture, Stylize(size=64, steps=4), **with_vgg)
        elif name == "paint":
            begin = partial(paint, picture, Paint(network="relu", layers=1, neurons=8, steps=6, size=32))
        else:
            learning = Train(network="dense", hidden=(8,), fraction=0.02, epochs=1, hold_out=0)
            begin = partial(train, learning, extra_steps={3})
        place = self.originals / f"{name}.pt"
        frames = begin(checkpoint=place)
        for frame in frames:
            if frame.step >= 3:
                break
        frames.close()
        if name == "paint":
            frame.painting.save(self.originals / "painting.safetensors")
        return begin, place.read_bytes()

    # The doors.

    def picture(self, chance: random.Random) -> None:
        """Open a picture, and read its recipe."""
        data = changed(chance.choice(self.pictures), chance)
        with contextlib.suppress(LanternaError):
            read_recipe(data)
        open_picture(data, longest=64)

    def film(self, chance: random.Random) -> None:
        """Open a film, and read its frames."""
        suffix = chance.choice(sorted(self.films))
        place = WORK / f"film{suffix}"
        place.write_bytes(changed(self.films[suffix], chance))
        for number, _ in enumerate(open_film(place)):
            if number > 50:
                break

    def recipe(self, chance: random.Random) -> None:
        """Read a recipe from a picture, and rerun it."""
        recipe = json.loads(to_json(self.good_recipe))
        sort = chance.random()
        if sort < 0.2:  # a name that runs code, or a file elsewhere
            recipe["settings"]["network"] = chance.choice(
                (
                    "harm:make",
                    "os:system",
                    "../harm.py:make",
                    f"{WORK}/harm.py:make",
                    "..",
                    "/",
                    "harm",
                    str(WORK),
                )
            )
        elif sort < 0.3:
            recipe["inputs"][0]["path"] = chance.choice(
                ("/etc/passwd", "../../../etc/passwd", "/dev/zero", "~root/x", "-", "\0", "/proc/self/mem")
            )
        else:
            recipe = odd(recipe, chance)
        text = json.dumps(recipe)
        data = (
            changed(text.encode("utf-8", "replace"), chance)
            if sort > 0.8
            else text.encode("utf-8", "replace")
        )
        text_chunk = chunk(b"iTXt", b"lanterna\0\0\0\0\0" + data)
        parsed = read_recipe(png(1, 1, 8, 0, b"\0\0", text_chunk))
        settings = parsed.settings
        if settings.get("steps") not in (2, None) or settings.get("size") != 64:
            return  # valid but slow
        for _ in (0, 1):  # with the inputs in the recipe, then with the real one
            with contextlib.suppress(LanternaError):
                rerun_recipe(parsed)
            parsed = parsed.model_copy(update={"inputs": self.good_recipe.inputs})

    def trained(self, chance: random.Random) -> None:
        """Open a trained network's folder."""
        folder = WORK / "net"
        folder.mkdir()
        files = dict(self.network)
        if chance.random() < 0.5:
            files[PLAN] = json.dumps(odd(json.loads(files[PLAN]), chance)).encode("utf-8", "replace")
        else:
            name = chance.choice(sorted(files))
            files[name] = changed(files[name], chance)
        if chance.random() < 0.05:
            files[WEIGHTS] = pickle.dumps(Harmful())
        for name, data in files.items():
            (folder / name).write_bytes(data)
        open_trained(folder)(torch.zeros(1, 1, 28, 28))

    def shelf_file(self, chance: random.Random) -> None:
        """Convert a file of the shelf, as if its sha256 had been right."""
        how = chance.choice(sorted(self.weights))
        data = self.weights[how]
        if how != "onnx" and chance.random() < 0.2:
            data = pickle.dumps(Harmful(), protocol=chance.choice((0, 2, 4)))
            data = (
                gzip.compress(data) if how == "digits" else harmful_checkpoint(self.weights["torch"], chance)
            )
        elif how == "digits":
            data = gzip.compress(changed(gzip.decompress(data), chance), 1)
        else:
            data = changed(data, chance)
        if how == "onnx":
            (WORK / "a.onnx").write_bytes(data)
            read_weights(WORK / "a.onnx")
        else:
            convert.convert(data, WORK / "a.safetensors", how)

    def view(self, chance: random.Random) -> None:
        """Send a message from the page to a notebook's view."""
        message = {"pixels": [chance.randrange(256) for _ in range(784)], "number": 1}
        message = odd(message, chance) if chance.random() < 0.8 else message
        try:
            self.pad.set_state({"from_page": message})
        except TraitError as error:
            raise LanternaError("an invalid message") from error
        if self.pad.image is not None and not 0 <= self.pad.image.min() <= self.pad.image.max() <= 1:
            raise AssertionError("an invalid image")

    def painting_file(self, chance: random.Random) -> None:
        """Open a painting."""
        place = WORK / "a.safetensors"
        place.write_bytes(changed(self.painting, chance))
        open_painting(place)

    def checkpoint(self, chance: random.Random) -> None:
        """Resume a technique from a checkpoint, for a few steps."""
        begin, good = self.works[chance.choice(sorted(self.works))]
        sort, stream = chance.random(), io.BytesIO()
        if sort < 0.3:
            data = changed(good, chance)
        elif sort < 0.4:
            data = harmful_checkpoint(good, chance)
        else:
            state = torch.load(io.BytesIO(good), weights_only=True)
            torch.save(odd({**state}, chance), stream)
            data = stream.getvalue()
        place = WORK / "work.pt"
        place.write_bytes(data)
        frames = begin(checkpoint=place, resume=True)
        for _ in zip(range(3), frames, strict=False):
            pass
        frames.close()

    def manifest(self, chance: random.Random) -> None:
        """Resume or restart a render in a folder with a damaged manifest or plan."""
        carried = chance.random() < 0.3
        place, task = WORK / "out", Task(0, f"{CHUNKS}/00000-to-00001" if carried else "cat", {})
        pieces = {"pieces": [[0, 2, 0], [1, 9, 1]]} if carried else {}
        folder = Folder(place, {"verb": "dream", **pieces}, ".png")
        folder.save(task, Rendered(0, [b"file"] * (2 if carried else 1)))
        (WORK / "mine.png").write_bytes(b"mine")
        lines = []
        for _ in range(chance.randint(1, 4)):
            entry = {"number": 0, "name": task.name, "sizes": [4], "seconds": 0.1}
            if chance.random() < 0.3:
                entry |= {"name": chance.choice(("../mine", "..", ".", "", "\0", f"{WORK}/mine", "a" * 300))}
            lines.append(json.dumps(odd(entry, chance)))
        text = "\n".join(lines).encode("utf-8", "replace")
        (place / MANIFEST).write_bytes(changed(text, chance) if chance.random() < 0.4 else text)
        plan = (place / RENDER_PLAN).read_bytes()
        if chance.random() < 0.5:
            plan = changed(plan, chance)
        elif chance.random() < 0.3:
            plan = json.dumps(odd(json.loads(plan), chance)).encode("utf-8", "replace")
        (place / RENDER_PLAN).write_bytes(plan)
        try:
            for piece in read_chunks(read_plan(place), 9):
                if not 0 <= piece.first < piece.last <= 9:
                    raise AssertionError("a piece is outside of its film")
            again = Folder(place, {"verb": "dream", **pieces}, ".png", force=chance.random() < 0.5)
            again.done(task.name)
            again.save(task, Rendered(0, [b"file"] * (2 if carried else 1)))
            if not again.done(task.name):
                raise AssertionError("a saved result is missing")
        finally:
            if (WORK / "mine.png").read_bytes() != b"mine":
                raise AssertionError("a file outside the folder was changed")

    def sweep(self, chance: random.Random) -> None:
        """Parse a sweep."""
        good = chance.choice(("step_size=0.5:4:8", "layer=block5,block9", "seed=1:9:3", "steps=1,2"))
        text = changed(good.encode(), chance).decode("utf-8", "replace")
        if chance.random() < 0.3:
            text = f"{good.partition('=')[0]}={chance.choice(ODD)}:{chance.choice(ODD)}:{chance.choice(ODD)}"
        variations(Dream(), [Sweep.parse(text)])

    def api(self, chance: random.Random) -> None:
        """Send a request to the studio."""
        assert self.served is not None
        served, job, picture = self.served
        body: Any = {"kind": "random", "settings": {"width": 32, "height": 32}, "inputs": [], "title": "x"}
        method, path = chance.choice(
            (
                ("POST", "/api/jobs"), ("PATCH", f"/api/jobs/{job}"),
                ("GET", f"/api/jobs/{job}/numbers?after=X"),
                ("GET", "/api/gallery?limit=X&before=X&words=X"), ("PATCH", f"/api/gallery/{picture}"),
                ("POST", "/api/pictures"), ("POST", "/api/read?surface=pad&network=X"),
                ("POST", "/api/classify?top=X"), ("POST", "/api/lessons/derivative"),
                ("POST", "/api/lessons/X/check"), ("GET", "/api/gallery/export.zip?ids=X"),
                ("GET", f"/api/jobs/{job}/history/X"), ("GET", "/api/look?network=X&picture=X"),
                ("PATCH", "/api/networks/X"), ("POST", "/api/examples/X"), ("GET", "/X"),
                ("GET", f"/api/pictures/{picture}/X"),
            )
        )  # fmt: skip
        words = chance.choice(
            ("..%2f..%2fetc%2fpasswd", "%00", "-1", "9" * 30, "harm:make", "%ff", picture, "1")
        )
        path = path.replace("X", words)
        headers = {"Content-Type": "application/json"}
        if "pictures" in path or "read" in path or "classify" in path:
            headers = {"Content-Type": "image/png"}
            data = changed(chance.choice(self.pictures), chance)
        else:
            if method == "PATCH":
                body = {"starred": True, "title": "x", "state": "stopped", "settings": {}, "back": 1}
            elif "lessons" in path:
                body = {"exercise": 1, "answer": 3}
            data = json.dumps(odd(body, chance)).encode("utf-8", "replace")
            data = changed(data, chance) if chance.random() < 0.3 else data
        status, content, _ = served.request(method, path, None if method == "GET" else data, headers=headers)
        if status >= 500:
            raise AssertionError(f"{method} {path} {data[:200]!r}: {status} {content[:200]!r}")
        if status >= 400:
            if "\n" in json.loads(content)["error"]:
                raise AssertionError(f"{method} {path}: {content[:200]!r} is not one line")
            raise LanternaError(json.loads(content)["error"])


def _weights() -> dict[str, bytes]:
    """Create small files of the kinds that the shelf converts: ONNX, a torch checkpoint, pickled digits."""
    tensor = helper.make_tensor("a", TensorProto.FLOAT, [2, 3], [1.0] * 6)
    graph = helper.make_graph(
        [helper.make_node("DequantizeLinear", ["a", "a", "a"], ["b"])], "g", [], [], [tensor]
    )
    stream = io.BytesIO()
    torch.save({"a": torch.ones(2, 3)}, stream)
    pair = np.zeros((2, 784), np.float32), np.zeros(2, np.int64)
    return {
        "onnx": helper.make_model(graph).SerializeToString(),
        "torch": stream.getvalue(),
        "digits": gzip.compress(pickle.dumps((pair, pair, pair), protocol=2)),
    }


def client_of(base: str, token: str) -> Server:
    """Create a client of a studio that another process has started."""
    client = object.__new__(Server)
    client.base, client.token = base, token
    return client


SHARES = {
    "picture": 30, "film": 8, "recipe": 10, "trained": 8, "painting_file": 6, "checkpoint": 10,
    "manifest": 10, "sweep": 4, "api": 14, "shelf_file": 8, "view": 4,
}  # fmt: skip


def run_inputs(
    numbers: list[tuple[str, int]], seed: int, folder: str, studio: tuple[str, ...], pipe: Any
) -> None:
    """Test these inputs one after another, and report each result through the pipe."""
    torch.set_num_threads(1)
    os.environ["TMPDIR"] = folder
    tempfile.tempdir = None
    base, token, job, picture = studio
    doors = Doors(Path(tempfile.mkdtemp(dir=folder)), (client_of(base, token), job, picture))
    pipe.send(("ready", 0, "", 0.0))
    files = 0
    for count, (door, number) in enumerate(numbers):
        faulthandler.dump_traceback_later(SECONDS, exit=True)  # also interrupts code that blocks Python
        pipe.send(("begin", number, door, 0.0))
        start, outcome = time.perf_counter(), "accepted"
        try:
            getattr(doors, door)(random.Random(f"{seed} {door} {number}"))
        except LanternaError as error:
            outcome = "refused" if "\n" not in str(error) else f"more than one line: {error}"
        except Exception as error:
            outcome = f"{type(error).__name__}: {error}"[:300]
            if os.environ.get("LANTERNA_DEBUG"):
                import traceback

                traceback.print_exc()
        faulthandler.cancel_dump_traceback_later()
        if (WORK / HARM).exists():
            outcome = "it ran code"
            (WORK / HARM).unlink()
        strays = {str(path) for path in WORK.rglob(".*") if path.name != ".pieces"}
        strays |= {str(path) for path in Path(folder).glob("lanterna-*")}
        if strays:
            outcome = f"left behind: {strays}"
        for path in WORK.iterdir():
            if path.name not in ("harm.py", "__pycache__"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        now = sum(1 for _ in Path("/proc/self/fd").iterdir())
        if count > 200 and now > files + 8:
            outcome = f"files left open: {now}, {files} before"
        files = max(files, now) if count <= 200 else files
        pipe.send((outcome, number, door, time.perf_counter() - start))
    pipe.send(("end", 0, "", 0.0))


def main() -> int:
    """Test all inputs, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first input of each door")
    parser.add_argument("--only", nargs="+", choices=list(SHARES), default=list(SHARES))
    parser.add_argument("--side-by-side", type=int, default=2, help="number of processes")
    given = parser.parse_args()
    total_share = sum(SHARES[door] for door in given.only)
    numbers = [
        (door, given.first + number)
        for door in given.only
        for number in range(-(-given.inputs * SHARES[door] // total_share))
    ]
    random.Random(given.seed).shuffle(numbers)
    outcomes: dict[str, Counter[str]] = {door: Counter() for door in given.only}
    slowest = dict.fromkeys(given.only, 0.0)
    failures: list[str] = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        home = Path(folder) / "home"
        home.mkdir()
        (home / "shelf").symlink_to(shelf_folder().resolve(), target_is_directory=True)
        served = Server(home)
        job = served.start("random", settings={"width": 32, "height": 32})
        studio = (served.base, served.token, job, served.wait(job)["picture"])
        shares = [numbers[part :: given.side_by_side] for part in range(given.side_by_side)]
        context = multiprocessing.get_context("spawn")
        running: dict[Any, tuple[Any, list[tuple[str, int]]]] = {}
        ready: set[Any] = set()

        def start(share: list[tuple[str, int]]) -> None:
            ours, theirs = context.Pipe()
            process = context.Process(target=run_inputs, args=(share, given.seed, folder, studio, theirs))
            process.start()
            theirs.close()
            running[ours] = process, share

        for share in shares:
            if share:
                start(share)
        while running:
            for pipe in multiprocessing.connection.wait(list(running)):
                process, share = running[pipe]
                try:
                    outcome, number, door, seconds = pipe.recv()
                except EOFError:
                    process.join()
                    del running[pipe]
                    if process.exitcode:
                        current = str(share[0]) if share else "at the end"
                        failures.append(f"{current}: the process ended with {process.exitcode}")
                        if len(share) > 1 and pipe in ready:
                            start(share[1:])
                    continue
                ready.add(pipe)
                if outcome in ("ready", "begin", "end"):
                    continue
                share.pop(0)
                kind = outcome if outcome in ("accepted", "refused") else "failed"
                outcomes[door][kind] += 1
                slowest[door] = max(slowest[door], seconds)
                if kind == "failed":
                    failures.append(f"{door} {number}: {outcome}")
        if served.process.poll() is not None:
            failures.insert(0, f"the studio ended with {served.process.returncode}")
        served.close()
        left = list((home / "studio/incoming").iterdir())
        log = (home / "studio.log").read_text()
        if left or "Traceback" in log:
            failures.append(f"the studio left {left}, and logged {log[-1500:]}")
    print("door            inputs  accepted  refused  failed  slowest")
    for door, counts in outcomes.items():
        print(
            f"{door:14} {counts.total():7} {counts['accepted']:9} {counts['refused']:8} "
            f"{counts['failed']:7} {slowest[door]:6.1f} s"
        )
    total = sum(counts.total() for counts in outcomes.values())
    print(f"{total} inputs in {time.monotonic() - started:.0f} s")
    for failure in failures[:60]:
        print(failure)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
