"""Drive the installed Firefox (WebDriver BiDi) and WebKitGTK (WebDriver), which Playwright cannot."""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import socket
import subprocess
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from anyio.from_thread import start_blocking_portal
from tornado.websocket import WebSocketClosedError, websocket_connect

from served import TIMEOUT, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_KEYS = {"Enter": "\ue007", "End": "\ue010", "Escape": "\ue00c", "Space": " "}
_FIND = """(name => [...document.querySelectorAll(
    "button, a, input, select, textarea, summary, canvas, label, [role], h1, img")].filter((each) =>
    each.checkVisibility() && (each.ariaLabel ?? each.alt ?? each.textContent).trim().startsWith(name)))"""


class Browser(ABC):
    """A page in a browser; elements are found by a selector, or by `=` and the beginning of their name."""

    programs: ClassVar[tuple[str, ...]]
    packages: ClassVar[str]  # of Debian

    def __init__(self) -> None:
        self._closing = ExitStack()

    def close(self) -> None:
        """Close the browser."""
        self._closing.close()

    @abstractmethod
    def open(self, url: str) -> None:
        """Open an address and wait until it is loaded."""

    @abstractmethod
    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in JavaScript; it is awaited."""

    @abstractmethod
    def resize(self, width: int, height: int) -> None:
        """Set the size of the page in pixels."""

    @abstractmethod
    def upload(self, selector: str, *files: Path) -> None:
        """Choose files in an input."""

    @abstractmethod
    def screenshot(self) -> bytes:
        """Return a picture of the visible page, as PNG."""

    @abstractmethod
    def _act(self, actions: list[dict[str, Any]]) -> None:
        """Perform the actions of WebDriver's pointer and keyboard."""

    def has(self, element: str) -> bool:
        """Return whether an element is there and visible."""
        return bool(self.evaluate(f"({self._find(element)})?.checkVisibility() ?? false"))

    def wait(self, condition: str) -> Any:
        """Wait until an expression is true; the text of the page explains a timeout."""
        return wait_until(lambda: self.evaluate(condition), lambda: self.evaluate("document.body.innerText"))

    def wait_for(self, element: str, text: str = "") -> None:
        """Wait until an element is visible and contains a text."""
        found = self._find(element)
        self.wait(f"({found})?.checkVisibility() && ({found}).textContent.includes({json.dumps(text)})")

    def click(self, element: str) -> None:
        """Click on the middle of an element with the mouse."""
        self.draw(element, [(0.5, 0.5)])

    def draw(self, element: str, points: Sequence[tuple[float, float]]) -> None:
        """Draw a stroke with the mouse; points are fractions of the element."""
        found = self._find(element)
        self.wait(f"({found})?.checkVisibility() && !({found}).disabled")
        self.evaluate(f"({found}).scrollIntoView({{block: 'center', behavior: 'instant'}})")
        x, y, width, height = self.evaluate(
            f"(r => [r.x, r.y, r.width, r.height])(({found}).getBoundingClientRect())"
        )
        moves = [
            {"type": "pointerMove", "x": round(x + across * width), "y": round(y + down * height)}
            for across, down in points
        ]
        press, release = ({"type": f"pointer{which}", "button": 0} for which in ("Down", "Up"))
        self._act([{"type": "pointer", "id": "mouse", "actions": [moves[0], press, *moves[1:], release]}])

    def press(self, *keys: str) -> None:
        """Press keys, each by its name or character, one after another."""
        strokes = [
            {"type": which, "value": _KEYS.get(key, key)} for key in keys for which in ("keyDown", "keyUp")
        ]
        self._act([{"type": "key", "id": "keyboard", "actions": strokes}])

    @staticmethod
    def _find(element: str) -> str:
        if element.startswith("="):
            return f"{_FIND}({json.dumps(element[1:])})[0]"
        return f"document.querySelector({json.dumps(element)})"


class Firefox(Browser):
    """Firefox without a window."""

    programs, packages = ("firefox-esr",), "firefox-esr"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        profile = folder / "firefox"
        profile.mkdir()
        process = subprocess.Popen(
            [
                self.programs[0],
                "--headless",
                "--no-remote",
                "--profile",
                profile,
                "--remote-debugging-port",
                "0",
            ],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "HOME": str(folder)},
        )
        self._closing.enter_context(process)
        self._closing.callback(process.terminate)
        assert process.stderr is not None
        lines = itertools.takewhile(bool, iter(process.stderr.readline, ""))
        address = next(filter(None, (re.search(r"ws://\S+", line) for line in lines)))[0]
        self._portal = self._closing.enter_context(start_blocking_portal())
        self._socket = self._portal.call(_connect, f"{address}/session")
        self._closing.callback(self._portal.call, self._socket.close)
        self._numbers = itertools.count()
        self._send("session.new", capabilities={})
        self._page = self._send("browsingContext.getTree")["contexts"][0]["context"]

    def _send(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        text = json.dumps({"id": number, "method": method, "params": params})
        self._portal.call(self._socket.write_message, text)
        while True:
            message = self._portal.call(self._socket.read_message)
            if message is None:
                raise WebSocketClosedError
            answer = json.loads(message)
            if answer.get("id") == number:
                assert answer["type"] == "success", f"{method}: {answer.get('message')}"
                return answer["result"]

    def open(self, url: str) -> None:
        self._send("browsingContext.navigate", context=self._page, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        wrapped = f"(async () => JSON.stringify(await ({expression})) ?? 'null')()"
        target = {"context": self._page}
        answer = self._send("script.evaluate", expression=wrapped, target=target, awaitPromise=True)
        assert answer["type"] == "success", f"{expression}: {answer.get('exceptionDetails', {}).get('text')}"
        return json.loads(answer["result"]["value"])

    def resize(self, width: int, height: int) -> None:
        viewport = {"width": width, "height": height}
        self._send("browsingContext.setViewport", context=self._page, viewport=viewport)

    def upload(self, selector: str, *files: Path) -> None:
        self.wait(f"!!{self._find(selector)}")
        found = self._send("browsingContext.locateNodes", context=self._page,
            locator={"type": "css", "value": selector})["nodes"][0]  # fmt: skip
        element = {"sharedId": found["sharedId"]}
        self._send("input.setFiles", context=self._page, element=element, files=[str(file) for file in files])

    def screenshot(self) -> bytes:
        return base64.b64decode(self._send("browsingContext.captureScreenshot", context=self._page)["data"])

    def _act(self, actions: list[dict[str, Any]]) -> None:
        self._send("input.performActions", context=self._page, actions=actions)


async def _connect(address: str) -> Any:
    return await websocket_connect(address, max_message_size=2**28)


class WebKit(Browser):
    """WebKitGTK, in a display without a screen."""

    programs, packages = ("WebKitWebDriver", "Xvfb"), "webkit2gtk-driver xvfb"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        display, ready = os.pipe()
        screen = subprocess.Popen(
            ["Xvfb", "-displayfd", str(ready), "-screen", "0", "2000x1400x24"],
            pass_fds=[ready],
            stderr=subprocess.DEVNULL,
        )
        self._closing.enter_context(screen)
        self._closing.callback(screen.terminate)
        os.close(ready)
        with os.fdopen(display) as file:
            number = file.readline().strip()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {**os.environ, "DISPLAY": f":{number}", "HOME": str(folder), "LANG": "C", "LC_ALL": "C"}
        driver = subprocess.Popen(
            [self.programs[0], f"--port={port}"], env=environment, stderr=subprocess.DEVNULL
        )
        self._closing.enter_context(driver)
        self._closing.callback(driver.terminate)
        self._base = f"http://127.0.0.1:{port}/session"
        wait_until(partial(_listens, port))
        self._base += "/" + self._send("POST", "", capabilities={})["sessionId"]
        self._closing.callback(self._send, "DELETE", "")

    def _send(self, method: str, path: str, **body: Any) -> Any:
        data = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(self._base + path, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{path}: {json.load(error)['value']['message']}") from None

    def open(self, url: str) -> None:
        self._send("POST", "/url", url=url)

    def evaluate(self, expression: str) -> Any:
        script = f"return Promise.resolve({expression})"
        return self._send("POST", "/execute/sync", script=script, args=[])

    def resize(self, width: int, height: int) -> None:
        for _ in range(2):  # the window has a frame and a toolbar, whose size the first round shows
            inner = self.evaluate("[innerWidth, innerHeight]")
            outer = self._send("GET", "/window/rect")
            wider, taller = outer["width"] + width - inner[0], outer["height"] + height - inner[1]
            self._send("POST", "/window/rect", x=0, y=0, width=wider, height=taller)

    def upload(self, selector: str, *files: Path) -> None:
        self.wait(f"!!{self._find(selector)}")
        found = self._send("POST", "/element", using="css selector", value=selector)
        (element,) = found.values()
        self._send("POST", f"/element/{element}/value", text="\n".join(map(str, files)))

    def screenshot(self) -> bytes:
        return base64.b64decode(self._send("GET", "/screenshot"))

    def _act(self, actions: list[dict[str, Any]]) -> None:
        self._send("POST", "/actions", actions=actions)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
