"""Two hosts and a cable between them: a cluster's work ends well though one of them is lost.

The hosts are network namespaces of this machine, which want root and the command `ip`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from lanterna import open_picture, save_picture
from lanterna.surfaces.cli import main
from lanterna.surfaces.render.plan import PictureRun, open_source, variations
from lanterna.surfaces.render.renderer import Renderer
from lanterna.surfaces.render.task import RenderConfig
from lanterna.techniques.dream.algorithm import Dream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 300.0  # seconds, so that a test that hangs ends
COUNT = 6
HELD = 3  # of them are made when something happens
RAY, DASK = 6379, 8786  # ports
DREAM = ("dream", "--layer", "block2", "--steps", "1", "--octaves", "1", "--device", "cpu")
RENDER = ("lanterna", "render", "photos", *DREAM, "--silence", "8")
# Runs a module. A render begins when it has as many workers as it is told, and waits after some pictures
# until it may go on: what happens to the hosts then happens in the midst of its work.
RUN = f"""
import os, runpy, sys, time
from pathlib import Path
sys.argv.pop(0)
if go_on := os.environ.get("GO_ON"):
    from lanterna.surfaces.render import dask_engine
    from lanterna.surfaces.render.folder import Folder
    from lanterna.surfaces.render.ray_engine import RayEngine
    dask_engine._TIMEOUT = 5  # and not 10 s, to connect to the lost scheduler again
    save, submit, saved = Folder.save, RayEngine.submit, []
    def save_and_wait(folder, *given):
        save(folder, *given)
        saved.append(given)
        while len(saved) == {HELD} and not Path(go_on).exists():
            time.sleep(0.02)
    def submit_once_all_are_there(ray, task):
        while len(ray._idle) + len(ray._running) < ray.workers and not saved:
            ray._collect_actors()
            time.sleep(0.02)
        submit(ray, task)
    Folder.save, RayEngine.submit = save_and_wait, submit_once_all_are_there
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def ip(*words: str) -> bool:
    return not subprocess.run(["ip", *words], capture_output=True).returncode


class Host:
    """A network namespace with an address, a home and programs of its own."""

    def __init__(self, address: str, folder: Path, settings: dict[str, str]) -> None:
        self.address, self.folder = address, folder
        self.name = f"lanterna-{os.getpid()}-{address.rpartition('.')[2]}"
        self.settings = settings
        self.started: list[subprocess.Popen[str]] = []
        self.home = folder / self.name
        (self.home / ".ray").mkdir(parents=True)  # where Ray looks for the token
        (self.home / ".ray/auth_token").write_text("a token that nobody guesses, of thirty-two and more")

    def start(self, *words: str, **settings: str) -> subprocess.Popen[str]:
        """Start one of our environment's programs here; what it says goes to a file."""
        environment = {**os.environ, "HOME": str(self.home), **self.settings, **settings}
        with (self.home / "log").open("a") as log:
            self.started += [subprocess.Popen(
                ["ip", "netns", "exec", self.name, sys.executable, "-c", RUN, *words],
                env=environment, cwd=self.folder, stdout=log, stderr=log, text=True,
            )]  # fmt: skip
        return self.started[-1]

    def run(self, *words: str, **settings: str) -> int:
        return self.start(*words, **settings).wait(PATIENCE)

    def message(self) -> str:
        return (self.home / "log").read_text()

    def pids(self) -> list[int]:
        found = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True)
        return [int(pid) for pid in found.stdout.split()]

    def runs(self, words: str) -> list[int]:
        """The processes here whose command has those words."""
        found = []
        for pid in self.pids():
            path = Path(f"/proc/{pid}/cmdline")
            if path.exists() and words in path.read_bytes().replace(b"\0", b" ").decode():
                found.append(pid)
        return found

    def unplug(self) -> None:
        """Pull the cable: nothing is closed, nothing is heard any more."""
        assert ip("-n", self.name, "link", "set", "cable", "down")

    def plug_in_again(self) -> None:
        """With nothing running here, as after a power cut."""
        self.stop()
        assert ip("-n", self.name, "link", "set", "cable", "up")

    def stop(self) -> None:
        while pids := self.pids():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for process in self.started:
                process.wait()
            time.sleep(0.02)

    def remove(self) -> None:
        self.stop()
        ip("netns", "del", self.name)


def joined(one: Host, other: Host) -> bool:
    """Make both, with a cable between them. Not everybody may."""
    peer = ("peer", "name", "cable", "netns", other.name)
    return (
        all(ip("netns", "add", host.name) for host in (one, other))
        and ip("link", "add", "cable", "netns", one.name, "type", "veth", *peer)
        and all(
            ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "cable")
            and ip("-n", host.name, "link", "set", "cable", "up")
            and ip("-n", host.name, "link", "set", "lo", "up")
            for host in (one, other)
        )
    )


@pytest.fixture
def hosts(tmp_path: Path, session_home: Path) -> Iterator[tuple[Host, Host]]:
    """Two hosts, 10.77.0.1 and 10.77.0.2."""
    if not shutil.which("ip"):
        pytest.skip("hosts of our own want the command ip")
    settings = {
        "LANTERNA_HOME": str(session_home), "OMP_NUM_THREADS": "1", "RAY_DISABLE_DOCKER_CPU_WARNING": "1",
        # A host that is not heard is lost after seconds, not after half a minute.
        "RAY_health_check_initial_delay_ms": "1000", "RAY_health_check_period_ms": "500",
        "RAY_health_check_timeout_ms": "1000", "RAY_health_check_failure_threshold": "4",
        "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s",
    }  # fmt: skip
    both = [Host(f"10.77.0.{number}", tmp_path, settings) for number in (1, 2)]
    try:
        one, other = both
        if not joined(one, other):
            pytest.skip("hosts of our own want root and network namespaces")
        yield one, other
    finally:
        for host in both:
            host.remove()


@pytest.fixture
def expected(tmp_path: Path, real_shelf: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What is made of a folder of small pictures when nothing happens."""
    cat = open_picture(real_shelf / "photographs/chelsea.png", longest=160)
    for number in range(COUNT):
        save_picture(cat[:, :48, number * 6 : number * 6 + 48], tmp_path / f"photos/cat{number:02}.png")
    monkeypatch.chdir(tmp_path)  # a recipe says where its picture was
    whole = PictureRun(open_source(Path("photos")), variations(Dream(layer="block2", steps=1, octaves=1), []))
    default = torch.get_num_threads()
    renderer = Renderer(RenderConfig("dream", "dream", ".png", "cpu"))
    made = {f"{task.name}.png": renderer(task).files[0] for task in whole.tasks(range(COUNT))}
    renderer.close()
    torch.set_num_threads(default)  # which a maker changes
    return made


def has_ray(host: Host, head: str | None = None, cores: int = 1, **settings: str) -> bool:
    """Start Ray on a host: the head of a cluster, or a node that joins the one at `head`."""
    joined = [f"--address={head}"] if head else ["--head", f"--port={RAY}", "--include-dashboard=false"]
    place = (f"--num-cpus={cores}", "--disable-usage-stats", f"--node-ip-address={host.address}")
    return host.run("ray.scripts.scripts", "start", *place, *joined, RAY_AUTH_MODE="token", **settings) == 0


def has_dask(scheduler: Host, *workers: Host) -> None:
    """Start Dask: a scheduler, and a worker on each of `workers`."""
    scheduler.start("dask", "scheduler", "--host", scheduler.address, "--no-dashboard")
    address = f"{scheduler.address}:{DASK}"
    for host in workers:
        host.start("dask", "worker", address, "--host", host.address, "--nthreads=1", "--no-dashboard")
    until(lambda: scheduler.message().count("Register worker") == len(workers), "all workers")


def made(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("[!.]*.png"))}


def until(found: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.05)


def render_though_unplugged(driver: Host, other: Host, engine: str, address: str, out: Path) -> int:
    """Render on a cluster from `driver`, and pull the cable in the midst of it; its exit code."""
    go_on = out.with_name(f"{out.name}-may-go-on")
    running = driver.start(
        *RENDER, "--engine", engine, "--address", address, "-o", str(out), GO_ON=str(go_on)
    )
    until(lambda: len(made(out)) == HELD or running.poll() is not None, "work")
    assert running.poll() is None, driver.message()
    other.unplug()
    go_on.touch()
    return running.wait(PATIENCE * 3)


def check_cluster(one: Host, other: Host, engine: str, expected: dict[str, bytes], capsys) -> None:
    """Of a cluster whose head is on `one` and that has a worker on each."""
    address = f"{one.address}:{RAY if engine == 'ray' else DASK}"
    out, lost = one.folder / "out", one.folder / "lost"
    # A worker is lost: the others make what it was at work on.
    assert render_though_unplugged(one, other, engine, address, out) == 0, one.message()
    assert made(out) == expected
    # What hands work out is lost: what was made is kept, and the same words make the rest.
    other.plug_in_again()
    if engine == "ray":
        assert has_ray(other, address, cores=0), other.message()  # who calls Ray has to be one of its nodes
    assert render_though_unplugged(other, one, engine, address, lost) == 1, other.message()
    assert other.message().splitlines()[-1].startswith("lanterna: ")
    kept = made(lost)
    assert kept.items() < expected.items()
    assert len(kept) >= HELD
    assert main([*RENDER[1:], "-o", "lost"]) == 0
    assert f"{len(kept)} already there" in capsys.readouterr().err
    assert made(lost) == expected


def test_ray_with_a_token_though_a_cable_is_pulled(hosts, expected, tmp_path, capsys):
    pytest.importorskip("ray")
    one, other = hosts
    address = f"{one.address}:{RAY}"
    assert has_ray(one), one.message()
    other_token = {"RAY_AUTH_TOKEN": "some other token", "RAY_NUM_REDIS_GET_RETRIES": "1"}  # and not 20 tries
    assert not has_ray(other, address, HOME=str(tmp_path), **other_token)
    assert has_ray(other, address), other.message()
    # Who has no token is told so in a line, and nothing is begun.
    words = ("--engine", "ray", "--address", address, "-o", "none")
    assert one.run(*RENDER, *words, HOME=str(tmp_path)) == 1
    message = one.message().splitlines()[-1]
    assert message.startswith("lanterna: no Ray cluster at"), one.message()
    assert "auth_token" in message
    assert not made(tmp_path / "none")
    check_cluster(one, other, "ray", expected, capsys)


def test_dask_though_a_cable_is_pulled(hosts, expected, capsys):
    pytest.importorskip("distributed")
    one, other = hosts
    has_dask(one, one, other)
    check_cluster(one, other, "dask", expected, capsys)
