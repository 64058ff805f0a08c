"""A minimal notebook front end: a real kernel, whose widgets are rendered in a real browser.

It implements the protocol of Jupyter widgets as JupyterLab does: opening a comm transmits a widget's state,
comm messages update it in both directions; a widget's module is imported from its `_esm` and rendered into a
cell.
"""

from __future__ import annotations

import base64
import os
import time
from queue import Empty
from typing import TYPE_CHECKING, Any

from jupyter_client.manager import start_new_kernel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import FrameLocator, Locator, Page

_TIMEOUT = 60.0  # seconds

_FRONT = """
window.models = {};
window.receive = (id, state, buffers) => {
  const model = (models[id] ??= makeModel(id));
  for (const [name, data] of Object.entries(buffers))
    state[name] = new DataView(Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)).buffer);
  Object.assign(model.state, state);
  for (const name of Object.keys(state)) model.fire(`change:${name}`);
};
function makeModel(id) {
  const listeners = {};
  let changed = {};
  return {
    state: {},
    get(name) { return this.state[name]; },
    set(name, value) { this.state[name] = changed[name] = value; this.fire(`change:${name}`); },
    save_changes() { toKernel(id, { method: "update", state: changed, buffer_paths: [] }); changed = {}; },
    send(content) { toKernel(id, { method: "custom", content }); },
    on(name, callback) { (listeners[name] ??= new Set()).add(callback); },
    off(name, callback) { listeners[name]?.delete(callback); },
    fire(name) { for (const callback of listeners[name] ?? []) callback(); },
  };
}
window.show = async (id) => {
  const model = models[id];
  const style = document.createElement("style");
  style.textContent = model.get("_css") ?? "";
  document.head.append(style);
  const source = new Blob([model.get("_esm")], { type: "text/javascript" });
  const module = await import(URL.createObjectURL(source));
  const el = document.createElement("div");
  el.className = "cell";
  document.querySelector("main").append(el);
  window.gone = module.default.render({ model, el });
};
"""


class Cells:
    """A kernel with its own LANTERNA_HOME, and a page that shows its widgets."""

    page: Page

    def __init__(self, home: Path) -> None:
        environment = {**os.environ, "LANTERNA_HOME": str(home)}
        self._manager, self._client = start_new_kernel(kernel_name="python3", env=environment)
        self._last_message = 0.0  # the time when it was sent or received
        self._sent: list[tuple[str, dict[str, Any]]] = []
        self.errors: list[str] = []

    def show_in(self, page: Page, background: str, ink: str) -> None:
        """Show widgets in a new page with these colours."""
        self.page = page
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.expose_function("toKernel", lambda comm, data: self._sent.append((comm, data)))
        page.set_content(
            "<!doctype html><html lang='en'><title>A notebook</title>"
            f"<body style='margin: 16px; background: {background}; color: {ink}'><main><h1>Cells</h1></main>"
        )
        page.add_script_tag(content=_FRONT)

    def run(self, code: str) -> dict[str, Any]:
        """Run a cell, show its widget if it has one, and return the cell's output by MIME type."""
        # A kernel that stops on an error drops a request that comes soon after it.
        request, output, error = self._client.execute(code, stop_on_error=False), {}, ""
        while True:
            message = self._client.get_iopub_msg(timeout=_TIMEOUT)
            self._receive(message)
            kind, content = message["msg_type"], message["content"]
            if kind == "error":
                error = "\n".join(content["traceback"])
            if kind in ("execute_result", "display_data"):
                output = content["data"]
            if (
                kind == "status"
                and content["execution_state"] == "idle"
                and message["parent_header"].get("msg_id") == request
            ):
                break
        assert not error, error
        view = output.get("application/vnd.jupyter.widget-view+json")
        if view:
            self.page.evaluate("id => show(id)", view["model_id"])
        return output

    def value(self, expression: str) -> str:
        """Return the repr of an expression in the kernel."""
        return self.run(expression)["text/plain"]

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Exchange messages between kernel and page until a condition is true."""
        start = time.monotonic()
        while not condition():
            assert time.monotonic() - start < _TIMEOUT, "timed out"
            self.page.wait_for_timeout(30)
            for comm, data in self._sent:
                content = {"comm_id": comm, "data": data}
                self._client.shell_channel.send(self._client.session.msg("comm_msg", content))
                self._last_message = time.monotonic()
            self._sent.clear()
            try:
                while True:
                    self._receive(self._client.get_iopub_msg(timeout=0.02))
            except Empty:
                pass

    def is_quiet(self) -> bool:
        """Whether no message was sent or received for a while."""
        return time.monotonic() - self._last_message > 0.5

    @property
    def cell(self) -> Locator:
        """The last cell."""
        return self.page.locator(".cell").last

    @property
    def inside(self) -> FrameLocator:
        """The page within the last cell."""
        return self.cell.frame_locator("iframe")

    def close(self) -> None:
        """Shut the kernel down."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def _receive(self, message: dict[str, Any]) -> None:
        self._last_message = time.monotonic()
        if message["msg_type"] not in ("comm_open", "comm_msg"):
            return
        content = message["content"]
        data = content["data"]
        if data.get("method", "update") != "update" or "state" not in data:
            return
        buffers = {
            path[0]: base64.b64encode(bytes(buffer)).decode()
            for path, buffer in zip(data.get("buffer_paths", ()), message["buffers"], strict=True)
        }
        self.page.evaluate("([id, state, buffers]) => receive(id, state, buffers)",
                           [content["comm_id"], data["state"], buffers])  # fmt: skip
