"""A studio in its own process, and a client for its API."""

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
"""Seconds to wait for any event; generous, because the worker runs at low priority."""

T = TypeVar("T")


def wait_until(poll: Callable[[], T | None], describe: Callable[[], object] = lambda: "") -> T:
    """Wait until `poll()` is true and return its result; `describe` explains a timeout."""
    end = time.monotonic() + TIMEOUT
    while not (result := poll()):
        assert time.monotonic() < end, f"timed out: {describe()}"
        time.sleep(0.05)
    return result


class Server:
    """A studio with its own home, listening on a free port."""

    def __init__(self, folder: Path, *words: str, browser: str = "", home: Path | None = None) -> None:
        """Start a studio that logs to `folder`, which is also the default home, and opens `browser`."""
        self.home = home or folder
        environment = {
            key: value
            for key, value in os.environ.items()
            if key == "LANTERNA_PRECISION" or not key.startswith("LANTERNA_")
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
        timeout: float = TIMEOUT,
    ) -> tuple[int, bytes, dict[str, str]]:
        """Send a request; without a token if `token` is None."""
        all_headers = {} if token is None else {"Authorization": f"Bearer {token or self.token}"}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            all_headers["Content-Type"] = "application/json"
        request = urllib.request.Request(
            self.base + path, data=body, method=method, headers={**all_headers, **(headers or {})}
        )
        opener = urllib.request.build_opener(_NoRedirects)
        try:
            with opener.open(request, timeout=timeout) as response:
                return response.status, response.read(), dict(response.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), dict(error.headers)

    def session(self) -> tuple[str, dict[str, str]]:
        """Open the studio's link as a browser does; return the session's base path and its cookie."""
        status, _, headers = self.request("GET", f"/?token={self.token}", token=None)
        assert status == 303
        return headers["location"].removesuffix("/"), {"Cookie": headers["set-cookie"].partition(";")[0]}

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Send a valid request to the API and return the response."""
        status, content, _ = self.request(method, path, body, **options)
        assert status < 300, (status, content[:400])
        return json.loads(content) if content else None

    def error(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, str]:
        """Send an invalid request; return the status and the error message."""
        status, content, _ = self.request(method, path, body, **options)
        assert status >= 400, (status, content[:400])
        return status, json.loads(content)["error"]

    def send(self, file: Path) -> dict[str, Any]:
        """Upload a picture."""
        found: dict[str, Any] = self(
            "POST", "/api/pictures", file.read_bytes(), headers={"Content-Type": "image/png"}
        )
        return found

    def start(self, kind: str, *, inputs: list[tuple[str, str]] = [], **fields: Any) -> str:  # noqa: B006
        """Start a job and return its id."""
        job_inputs = [{"role": role, "picture": picture} for role, picture in inputs]
        found: str = self("POST", "/api/jobs", {"kind": kind, "inputs": job_inputs, **fields})["id"]
        return found

    def wait_until(self, job: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the condition holds for a job and return the job."""

        def poll() -> dict[str, Any] | None:
            current: dict[str, Any] = self("GET", f"/api/jobs/{job}")
            return current if condition(current) else None

        return wait_until(poll, lambda: self("GET", f"/api/jobs/{job}"))

    def wait(self, job: str) -> dict[str, Any]:
        """Wait until a job has ended and return it."""
        return self.wait_until(job, lambda found: found["state"] in ("done", "stopped", "failed"))

    def stop(self, job: str) -> dict[str, Any]:
        """Stop a job, wait until it has ended and return it."""
        self("PATCH", f"/api/jobs/{job}", {"state": "stopped"})
        return self.wait(job)

    def file(self, picture: str) -> bytes:
        """Download a picture's file."""
        status, content, _ = self.request("GET", f"/api/pictures/{picture}/file")
        assert status == 200
        return content

    @contextlib.contextmanager
    def events(self, after: int | None = None) -> Iterator[Iterator[tuple[int, str, Any]]]:
        """Open the event stream, as (number, event, data)."""
        headers = {"Authorization": f"Bearer {self.token}"}
        headers |= {} if after is None else {"Last-Event-ID": str(after)}
        request = urllib.request.Request(f"{self.base}/api/events", headers=headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:

            def events() -> Iterator[tuple[int, str, Any]]:
                fields: dict[str, str] = {}
                for line in response:
                    name, _, value = line.decode().rstrip("\n").partition(": ")
                    if name:
                        fields[name] = value
                    elif "event" in fields:
                        yield int(fields["id"]), fields["event"], json.loads(fields["data"])
                        fields = {}

            yield events()

    def workers(self) -> list[int]:
        """Return the process that runs jobs, if there is one: its niceness is 10 more than the server's."""
        return self._processes_with_niceness(10)

    def wall_painters(self) -> list[int]:
        """Return the process that paints the style wall, if there is one: its niceness is the highest."""
        return self._processes_with_niceness(20)

    def _processes_with_niceness(self, more: int) -> list[int]:
        niceness = min(19, os.getpriority(os.PRIO_PROCESS, self.process.pid) + more)
        return [pid for pid in self.processes() if os.getpriority(os.PRIO_PROCESS, pid) == niceness]

    def processes(self) -> list[int]:
        """Return the studio's child processes."""
        return started_by(self.process.pid)

    def kill(self) -> None:
        """Kill the server process without warning, as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._close()

    def close(self, by: signal.Signals = signal.SIGINT) -> None:
        """Close the studio with a signal, by default Ctrl-C's."""
        if self.process.poll() is None:
            self.process.send_signal(by)
            assert self.process.wait(TIMEOUT) == 0, self.log_file.read_text()
        self._close()

    def _close(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()


def started_by(pid: int) -> list[int]:
    """Return the processes that a process started with `multiprocessing`; on Linux a server forks them."""
    forked = [each for fork_server in _children(pid, "forkserver") for each in _children(fork_server)]
    return forked or _children(pid, "spawn_main")


def _children(pid: int, pattern: str = "") -> list[int]:
    """Return the child processes whose command line contains a pattern."""
    found = subprocess.run(["pgrep", "-P", str(pid), "-f", pattern or "."], capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A handler that does not follow redirects, so that tests can check them."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Do not follow a redirect."""
        return
