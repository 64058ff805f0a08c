"""A real studio in a process of its own, and a plain client for its API."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TIMEOUT = 180.0
"""Seconds that anything may take: a wait is for an event, and ends with it. A busy machine gives the worker
little, as it lets others go first."""

T = TypeVar("T")


def wait_until(found: Callable[[], T | None], otherwise: Callable[[], object] = lambda: "") -> T:
    """What is found, as soon as there is something; `otherwise` tells what there was in the end."""
    end = time.monotonic() + TIMEOUT
    while not (thing := found()):
        assert time.monotonic() < end, f"it never was so: {otherwise()}"
        time.sleep(0.05)
    return thing


class Server:
    """A studio that listens at a free port, on a home of its own."""

    def __init__(self, folder: Path, *words: str, browser: str = "", home: Path | None = None) -> None:
        """`folder` has its log, and is its home if no other is; the program `browser` shows its page."""
        self.home = home or folder
        seen = ("LANTERNA_PRECISION",)  # what the tests are run in
        environment = {
            key: value for key, value in os.environ.items() if key in seen or not key.startswith("LANTERNA_")
        }
        environment |= {"LANTERNA_HOME": str(self.home), "LANTERNA_OFFLINE": "1", "BROWSER": browser}
        command = [sys.executable, "-m", "lanterna", "studio", *words]
        command += () if browser else ("--no-browser",)
        command += () if "--port" in words else ("--port", "0")
        self.log_file = folder / "studio.log"
        self.log = self.log_file.open("a")
        self.process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address, self.log_file.read_text()
        self.base, _, self.token = self.address.partition("/?token=")
        self.port = int(self.base.rpartition(":")[2])

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        token: str | None = "",
    ) -> tuple[int, bytes, dict[str, str]]:
        """One request as it is; `token` None sends none."""
        sent = {} if token is None else {"Authorization": f"Bearer {token or self.token}"}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        asked = urllib.request.Request(
            self.base + path, data=body, method=method, headers={**sent, **(headers or {})}
        )
        opener = urllib.request.build_opener(_Stay)
        try:
            with opener.open(asked, timeout=TIMEOUT) as answer:
                return answer.status, answer.read(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), dict(error.headers)

    def session(self) -> tuple[str, dict[str, str]]:
        """What a browser has in which the link has been opened: the path to everything, and a cookie."""
        status, _, headers = self.request("GET", f"/?token={self.token}", token=None)
        assert status == 303
        return headers["location"].removesuffix("/"), {"Cookie": headers["set-cookie"].partition(";")[0]}

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """What the API answers, where it is asked properly."""
        status, content, _ = self.request(method, path, body, **options)
        assert status < 300, (status, content[:400])
        return json.loads(content) if content else None

    def error(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, str]:
        """The status and the words with which it is refused."""
        status, content, _ = self.request(method, path, body, **options)
        assert status >= 400, (status, content[:400])
        return status, json.loads(content)["error"]

    def send(self, file: Path) -> dict[str, Any]:
        """Send a picture."""
        found: dict[str, Any] = self(
            "POST", "/api/pictures", file.read_bytes(), headers={"Content-Type": "image/png"}
        )
        return found

    def start(self, kind: str, *, inputs: list[tuple[str, str]] = [], **fields: Any) -> str:  # noqa: B006
        """Start a job, and give its id."""
        notes = [{"role": role, "picture": picture} for role, picture in inputs]
        found: str = self("POST", "/api/jobs", {"kind": kind, "inputs": notes, **fields})["id"]
        return found

    def wait_until(self, job: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The job as soon as it is so."""

        def found() -> dict[str, Any] | None:
            now: dict[str, Any] = self("GET", f"/api/jobs/{job}")
            return now if is_so(now) else None

        return wait_until(found, lambda: self("GET", f"/api/jobs/{job}"))

    def wait(self, job: str) -> dict[str, Any]:
        """The job once it has ended."""
        return self.wait_until(job, lambda found: found["state"] in ("done", "stopped", "failed"))

    def stop(self, job: str) -> dict[str, Any]:
        """The job, which is stopped now, once it has ended."""
        self("PATCH", f"/api/jobs/{job}", {"state": "stopped"})
        return self.wait(job)

    def file(self, picture: str) -> bytes:
        """A picture's file."""
        status, content, _ = self.request("GET", f"/api/pictures/{picture}/file")
        assert status == 200
        return content

    @contextlib.contextmanager
    def events(self, after: int | None = None) -> Iterator[Iterator[tuple[int, str, Any]]]:
        """The event stream, as (number, event, data)."""
        headers = {"Authorization": f"Bearer {self.token}"}
        headers |= {} if after is None else {"Last-Event-ID": str(after)}
        asked = urllib.request.Request(f"{self.base}/api/events", headers=headers)
        with urllib.request.urlopen(asked, timeout=TIMEOUT) as answer:

            def each() -> Iterator[tuple[int, str, Any]]:
                fields: dict[str, str] = {}
                for line in answer:
                    name, _, value = line.decode().rstrip("\n").partition(": ")
                    if name:
                        fields[name] = value
                    elif "event" in fields:
                        yield int(fields["id"]), fields["event"], json.loads(fields["data"])
                        fields = {}

            yield each()

    def workers(self) -> list[int]:
        """The process that does jobs: the page goes before it."""
        ours = os.getpriority(os.PRIO_PROCESS, self.process.pid)
        return [each for each in self.processes() if os.getpriority(os.PRIO_PROCESS, each) > ours]

    def processes(self) -> list[int]:
        """The processes in which the studio works: on Linux they are forked from one that it has started."""
        ours = self.process.pid
        forked = [each for forking in _children(ours, "forkserver") for each in _children(forking)]
        return forked or _children(ours, "spawn_main")

    def kill(self) -> None:
        """End it as a power cut would: the server alone, without a word."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._close()

    def close(self, by: signal.Signals = signal.SIGINT) -> None:
        """End it, as Ctrl-C does or by another signal."""
        if self.process.poll() is None:
            self.process.send_signal(by)
            assert self.process.wait(TIMEOUT) == 0, self.log_file.read_text()
        self._close()

    def _close(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()


def _children(pid: int, doing: str = "") -> list[int]:
    """The processes that one has started, whose command has `doing` in it."""
    found = subprocess.run(["pgrep", "-P", str(pid), "-f", doing or "."], capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


class _Stay(urllib.request.HTTPRedirectHandler):
    """Redirections are looked at, not followed."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Not followed."""
        return
