"""Two hosts and a cable between them: a cluster's work ends well though one of them is lost.

The hosts are network namespaces of this machine, which want root and the command `ip`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lanterna import open_picture, save_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 90.0
COUNT = 16
RAY, DASK = 6379, 8786  # ports
RUN = (  # a module, with less patience for what is silent
    "import runpy, sys; from lanterna.surfaces.render import on_ray; on_ray.SILENCE = 8; "
    "sys.argv.pop(0); runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)
DREAM = ("dream", "--stage", "block3", "--steps", "3", "--octaves", "2")


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

    def said(self) -> str:
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

    def remove(self) -> None:
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        for process in self.started:
            process.wait()
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
        "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s",
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
def expected(tmp_path: Path, real_shelf: Path) -> dict[str, bytes]:
    """What is made of a folder of small pictures when nothing happens."""
    cat = open_picture(real_shelf / "photographs/chelsea.png", longest=200)
    for number in range(COUNT):
        save_picture(cat[:, :, number * 6 : number * 6 + 96], tmp_path / f"photos/cat{number:02}.png")
    words = ["render", "photos", *DREAM, "--workers", "2", "-o", "undisturbed", "--quiet"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "lanterna", *words], cwd=tmp_path, env=environment, check=True)
    return made(tmp_path / "undisturbed")


def has_ray(host: Host, head: str | None = None, **settings: str) -> bool:
    """Start Ray on a host: the head of a cluster, or a node that joins the one at `head`."""
    joined = [f"--address={head}"] if head else ["--head", f"--port={RAY}", "--include-dashboard=false"]
    place = ("--num-cpus=1", "--disable-usage-stats", f"--node-ip-address={host.address}")
    return host.run("ray.scripts.scripts", "start", *place, *joined, RAY_AUTH_MODE="token", **settings) == 0


def has_dask(scheduler: Host, *workers: Host) -> None:
    """Start Dask: a scheduler, and a worker on each of `workers`."""
    scheduler.start("dask", "scheduler", "--host", scheduler.address, "--no-dashboard")
    address = f"{scheduler.address}:{DASK}"
    for host in workers:
        host.start("dask", "worker", address, "--host", host.address, "--nthreads=1", "--no-dashboard")
    until(lambda: scheduler.said().count("Register worker") == len(workers), "all workers")


def made(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def until(found: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.05)


def test_ray_with_a_token_though_a_cable_is_pulled(hosts, expected, tmp_path):
    pytest.importorskip("ray")
    one, other = hosts
    address = f"{one.address}:{RAY}"
    assert has_ray(one), one.said()
    assert not has_ray(other, address, HOME=str(tmp_path), RAY_AUTH_TOKEN="some other token")
    assert has_ray(other, address), other.said()
    render = ("lanterna", "render", "photos", *DREAM, "--engine", "ray", "--address", address, "-o", "out")
    # Who has no token is told so in a line, and nothing is begun.
    assert one.run(*render, HOME=str(tmp_path)) == 1
    said = one.said().splitlines()[-1]
    assert said.startswith("lanterna: no Ray cluster at"), one.said()
    assert "auth_token" in said
    assert not made(tmp_path / "out")
    running = one.start(*render)
    until(lambda: other.runs("ray::_Actor") and len(made(tmp_path / "out")) > 2, "work on both hosts")
    other.unplug()
    assert running.wait(PATIENCE) == 0, one.said()
    assert made(tmp_path / "out") == expected


def test_dask_though_a_cable_is_pulled(hosts, expected, tmp_path):
    pytest.importorskip("distributed")
    one, other = hosts
    address = f"{one.address}:{DASK}"
    has_dask(one, one, other)
    running = one.start(
        "lanterna", "render", "photos", *DREAM, "--engine", "dask", "--address", address, "-o", "out"
    )
    until(lambda: len(made(tmp_path / "out")) > 3, "work")
    other.unplug()
    assert running.wait(PATIENCE) == 0, one.said()
    assert made(tmp_path / "out") == expected


@pytest.mark.parametrize("engine", ["ray", "dask"])
def test_what_hands_work_out_is_lost_and_what_was_made_is_kept(hosts, expected, tmp_path, engine):
    one, other = hosts
    if engine == "ray":
        address = f"{one.address}:{RAY}"
        assert has_ray(one)
        assert has_ray(other, address)
    else:
        address = f"{one.address}:{DASK}"
        has_dask(one, one)
    render = ("lanterna", "render", "photos", *DREAM, "-o", "out")
    running = other.start(*render, "--engine", engine, "--address", address)
    until(lambda: len(made(tmp_path / "out")) > 2, "work")
    one.unplug()
    assert running.wait(PATIENCE * 3) == 1, other.said()
    assert other.said().splitlines()[-1].startswith("lanterna: ")
    kept = made(tmp_path / "out")
    assert kept.items() < expected.items()
    assert other.run(*render) == 0
    assert f"{len(kept)} were there" in other.said()
    assert made(tmp_path / "out") == expected
