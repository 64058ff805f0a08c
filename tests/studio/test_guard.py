"""What the guard refuses: other sites, wrong tokens, foreign paths, decompression bombs, slow clients."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import http.server
import ipaddress
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from browsing import TIMEOUT_MS
from lanterna.surfaces.cli import main
from lanterna.surfaces.studio.access import Access
from lanterna.surfaces.studio.connections import Connection
from lanterna.surfaces.studio.guard import Guard
from lanterna.surfaces.studio.routes import error_handlers
from served import TIMEOUT, Server, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser
    from starlette.requests import Request

JSON = {"Content-Type": "application/json"}
TOKEN = "the-token-of-these-tests"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file to which a stand-in for the browser, next to it, writes its arguments."""
    recorded = tmp_path_factory.mktemp("browser") / "arguments.txt"
    program = recorded.with_name("program")
    program.write_text(f'#!/bin/sh\necho "$@" > {recorded}.new && mv {recorded}.new {recorded}\n')
    program.chmod(0o755)
    return recorded


@pytest.fixture(scope="module")
def studio(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    served = Server(tmp_path_factory.mktemp("guarded"), browser=f"{recorded.with_name('program')} %s")
    yield served
    served.close()


def test_dns_rebinding_is_refused(studio: Server) -> None:
    port = studio.port
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1.evil.example:{port}",
                 f"localhost@evil.example:{port}", f"[::1]:{port + 1}", "", f"10.0.0.1:{port}",
                 f"localhost:{port}/evil", f"localhost:{port}?evil", f"localhost:{port}#evil",
                 f"localhost/:{port}", f"localhost:{port}:{port}", f"localhost :{port}", f"localhost:+{port}",
                 f"::1:{port}", f"[127.0.0.1]:{port}", f"[[::1]]:{port}", f"LOCALHOST.:{port}"):  # fmt: skip
        for method, path in (("GET", "/api/jobs"), ("GET", "/"), ("POST", "/api/jobs")):
            status, words = studio.error(method, path, headers={"Host": host})
            assert (status, "host name" in words) == (403, True), host
    for name in ("localhost", "LocalHost", "127.0.0.1", "[::1]"):
        host = f"{name}:{port}"
        assert studio.request("GET", "/api/jobs", headers={"Host": host})[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},  # another server on this machine is another site
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_site_cannot_use_the_users_session(studio: Server, headers: dict[str, str]) -> None:
    path_of_session, cookie = studio.session()
    sent = {**headers, **JSON, **cookie}
    before = studio("GET", "/api/jobs")
    body = json.dumps({"kind": "random", "settings": {"width": 8, "height": 8}}).encode()
    for method, path in (("POST", "/api/jobs"), ("GET", "/api/gallery"), ("GET", "/api/events")):
        status, words = studio.error(
            method, path_of_session + path, body if method == "POST" else None, headers=sent, token=None
        )
        assert (status, "another site" in words) == (403, True)
    assert studio("GET", "/api/jobs") == before


def test_a_form_of_another_site_is_refused_as_not_json(studio: Server) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert studio.error("POST", "/api/jobs", b"{}", headers={"Content-Type": kind})[0] == 415


def test_the_studios_own_page_is_accepted(studio: Server) -> None:
    path, cookie = studio.session()
    sent = {
        "Origin": f"http://127.0.0.1:{studio.port}", "Sec-Fetch-Site": "same-origin", **cookie,
        "Host": f"127.0.0.1:{studio.port}",
    }  # fmt: skip
    job = {"kind": "nonsense"}
    assert studio.error("POST", f"{path}/api/jobs", job, headers=sent, token=None)[0] == 422
    # A link from another site may open the studio.
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    for page in ("/", f"{path}/"):
        assert studio.request("GET", page, headers=link, token=None)[0] == 200


def test_the_cookie_is_worthless_without_the_secret_path(studio: Server) -> None:
    path, cookie = studio.session()
    assert studio.request("GET", f"{path}/api/jobs", headers=cookie, token=None)[0] == 200
    value = cookie["Cookie"].partition("=")[2]
    assert studio.error("GET", "/api/jobs", token=value)[0] == 401
    assert studio.error("GET", f"/?token={value}", token=None)[0] == 401
    for elsewhere in ("", "//", "/x", path[:-1], f"{path}x", f"/x{path}"):
        assert studio.error("GET", f"{elsewhere}/api/jobs", headers=cookie, token=None)[0] == 401
    # So is the path without the cookie; and a cookie that another server has set does not hide ours.
    for none in ({}, {"Cookie": "lanterna="}, {"Cookie": "lanterna=x; path=/"}):
        assert studio.error("GET", f"{path}/api/jobs", headers=none, token=None)[0] == 401
    for more in (f"lanterna=x; {cookie['Cookie']}", f"{cookie['Cookie']}; lanterna=x; odd; =; @=1"):
        assert studio.request("GET", f"{path}/api/jobs", headers={"Cookie": more}, token=None)[0] == 200


def test_another_server_on_this_host_gets_no_cookie(studio: Server, browser: Browser) -> None:
    sent: list[dict[str, str]] = []

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent.append(dict(self.headers))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other)
    Thread(target=other.serve_forever, daemon=True).start()
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(studio.address)
        expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=TIMEOUT_MS)
        (cookie,) = context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert page.evaluate("document.cookie") == ""
        assert page.url.partition("#")[0] == f"{studio.base}/"  # the token does not stay in the URL
        elsewhere = f"http://127.0.0.1:{other.server_port}/"
        context.new_page().goto(f"{elsewhere}api/jobs", wait_until="commit")
        page.evaluate("url => { location.href = url; }", elsewhere)
        wait_until(lambda: len(sent) > 1)
    finally:
        context.close()
        other.shutdown()
        other.server_close()
    assert sent
    assert [each for each in sent if "Cookie" in each or str(studio.port) in each.get("Referer", "")] == []


@contextlib.contextmanager
def default_handler(number: signal.Signals) -> Iterator[None]:
    """Let child processes receive a signal, even if the tests run under nohup."""
    before = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, before)


def test_the_browser_opens_a_file_that_only_this_user_can_read(
    studio: Server, recorded: Path, browser: Browser
) -> None:
    wait_until(recorded.exists)
    given = recorded.read_text().strip()
    file = Path(urlsplit(given).path)
    assert file in address_files(studio)
    assert (given[:8], studio.token in given) == ("file:///", False)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    page = browser.new_page()
    page.goto(given)
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=TIMEOUT_MS)
    assert page.url.partition("#")[0] == f"{studio.base}/"
    page.close()
    recorded.unlink()
    again = subprocess.run(  # shows the open studio again
        [sys.executable, "-m", "lanterna", "studio"], capture_output=True, text=True,
        env={
            **os.environ, "LANTERNA_HOME": str(studio.home),
            "BROWSER": f"{recorded.with_name('program')} %s",
        },
    )  # fmt: skip
    wait_until(recorded.exists)
    assert (again.stdout.strip(), recorded.read_text().strip()) == (studio.address, given)


def address_files(studio: Server) -> list[Path]:
    """Return the files with a studio's address: for other programs, and for the browser."""
    return [studio.home / "studio" / name for name in ("address.txt", "open.html")]


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGHUP])
def test_the_address_files_are_removed_at_the_end(tmp_path: Path, by: signal.Signals) -> None:
    with default_handler(by), contextlib.closing(Server(tmp_path)) as served:
        assert all(file.exists() for file in address_files(served))
        served.close(by)
    assert not any(file.exists() for file in address_files(served))


@pytest.mark.parametrize("token", [None, "wrong", "é", "x" * 5000])
def test_every_request_without_the_token_is_refused(studio: Server, token: str | None) -> None:
    headers = {} if token is None else {"Authorization": f"Bearer {token}".encode().decode("latin-1")}
    for method, path in (
        ("GET", "/api/jobs"), ("GET", "/api/events"), ("GET", "/nowhere"), ("HEAD", "/api/jobs"),
        ("POST", "/api/jobs"), ("PATCH", f"/api/jobs/{'0' * 32}"), ("DELETE", f"/api/gallery/{'0' * 32}"),
        ("POST", "/api/pictures"), ("POST", "/api/read"), ("POST", "/api/shelf/mnist"), ("PUT", "/nowhere"),
    ):  # fmt: skip
        status, content, _ = studio.request(method, path, b"{}", headers={**JSON, **headers}, token=None)
        assert status == 401
        assert method == "HEAD" or "token" in json.loads(content)["error"]
    session_path, cookie = studio.session()
    for forged in (f"lanterna={token}", f"lanterna={studio.token}", cookie["Cookie"][:-1]):
        sent = {**JSON, "Cookie": forged.encode().decode("latin-1")}
        assert studio.error("POST", f"{session_path}/api/jobs", b"{}", headers=sent, token=None)[0] == 401
    assert studio.error("GET", "/?token=wrong", token=None)[0] == 401


@pytest.mark.parametrize(
    "path",
    [
        "/api/pictures/../../../../etc/passwd/file",
        "/api/pictures/%2e%2e%2f%2e%2e%2fstudio.sqlite/file",
        "/api/pictures/" + "0" * 31 + "%00/file",
        "/api/pictures/" + "A" * 32 + "/file",
        "/api/jobs/..%2f..%2fstudio/preview",
        "/api/gallery?before=..%2f..%2fx",
        "/api/gallery/export.zip?ids=../../studio.sqlite",
        "/api/examples/..%2f..%2fmnist%2fmnist.safetensors/thumbnail",
        "/web/../studio/server.py",
        "/web/%2e%2e/studio/server.py",
        "/web/..%5c..%5cx",
        "/web//etc/passwd",
        "/web/studio/",
        "/studio.sqlite",
    ],
)
def test_paths_outside_the_folders_are_refused(studio: Server, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", studio.port, timeout=TIMEOUT)
    connection.putrequest("GET", path)  # without a client that normalises it
    connection.putheader("Authorization", f"Bearer {studio.token}")
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 404, body
    assert set(json.loads(body)) == {"error"}


def test_the_page_may_only_run_its_own_files(studio: Server) -> None:
    for path in ("/api/jobs", "/nowhere", "/web/look.js"):
        _, _, headers = studio.request("GET", path)
        policy = dict(
            part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert not {"'unsafe-inline'", "'unsafe-eval'", "*", "data:"} & set(policy["script-src"].split())
        assert policy["frame-ancestors"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers


def test_a_decompression_bomb_is_refused_before_it_is_decoded(studio: Server) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)  # 10.8 GB of pixels
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10_000)))
    status, words = studio.error("POST", "/api/pictures", bomb, headers={"Content-Type": "image/png"})
    assert (status, "200 million pixels" in words) == (422, True)
    assert list((studio.home / "studio" / "incoming").iterdir()) == []
    assert list((studio.home / "studio" / "pictures").iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html>", b"\x89PNG\r\n"]
)
def test_a_file_that_is_not_a_picture_is_not_stored(studio: Server, content: bytes) -> None:
    assert studio.error("POST", "/api/pictures", content, headers={"Content-Type": "image/png"})[0] == 422
    assert studio.error("POST", "/api/pictures", content, headers={"Content-Type": "text/html"})[0] == 415
    assert list((studio.home / "studio" / "pictures").iterdir()) == []


def test_a_refused_picture_is_named_by_its_title(studio: Server) -> None:
    for title, name in (("?title=my%20cat.png", "my cat.png"), ("", "the picture")):
        image = {"Content-Type": "image/png"}
        words = studio.error("POST", f"/api/pictures{title}", b"\x89PNG\r\n", headers=image)[1]
        assert words.startswith(f"{name} is ")
        assert str(studio.home) not in words


def test_deeply_nested_json_is_refused_in_one_line(studio: Server) -> None:
    lessons = [each["name"] for each in studio("GET", "/api/lessons")]
    paths = [f"/api/lessons/{name}{more}" for name in lessons for more in ("", "/check")]
    paths += ["/api/jobs", f"/api/networks/{'n' * 8}", f"/api/gallery/{'0' * 32}"]
    for path in paths:
        method = "PATCH" if path.startswith(("/api/networks", "/api/gallery")) else "POST"
        for depth in (50, 900, 50_000):
            nested = "[" * depth + "]" * depth
            body = f'{{"exercise": 1, "answer": {nested}, "rate": {nested}}}'.encode()
            status, words = studio.error(method, path, body, headers=JSON)
            assert (status, "\n" in words) == (400 if method == "POST" else status, False), (path, depth)
            assert status < 500


def test_an_answer_of_any_type_is_checked_or_refused(studio: Server) -> None:
    for value in ([], {}, [[1]], {"a": {"b": []}}, None, True, 1e308, -(2**63), "x" * 9999, "\x00"):
        answers = ({"exercise": 1, "answer": value}, {"exercise": value, "answer": 1})
        for path, body in (*(("gates/check", each) for each in answers), ("descent", {"rate": value})):
            status, words, _ = studio.request("POST", f"/api/lessons/{path}", body)
            assert status in (200, 422), (body, words)


@pytest.mark.slow
def test_concurrent_requests_restore_and_rename_a_network_once(studio: Server) -> None:
    folder = studio.home / "networks" / "mine"
    folder.mkdir(parents=True)
    (folder / "weights").write_text("of mine")
    with ThreadPoolExecutor(12) as pool:

        def ask(method: str, path: str, body: object) -> list[int]:
            response_to = [pool.submit(studio.request, method, path, body) for _ in range(12)]
            return sorted(each.result()[0] for each in response_to)

        assert ask("DELETE", "/api/networks/mine", None) == [200, *[404] * 11]
        restored = ask("POST", "/api/networks/mine/restore", None)
        assert (restored[0], set(restored[1:]) <= {404, 422}) == (200, True)
        renamed = ask("PATCH", "/api/networks/mine", {"name": "yours"})
        assert (renamed[0], set(renamed[1:]) <= {404, 422}) == (200, True)
    assert (studio.home / "networks" / "yours" / "weights").read_text() == "of mine"


def test_too_many_bytes_are_refused_with_or_without_a_content_length(studio: Server) -> None:
    for path, limit in (("/api/pictures", 64 * 2**20), ("/api/jobs", 2**18)):
        connection = http.client.HTTPConnection("127.0.0.1", studio.port, timeout=TIMEOUT)
        connection.putrequest("POST", path)
        connection.putheader("Authorization", f"Bearer {studio.token}")
        connection.putheader("Content-Length", str(limit + 1))
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()
    sent = socket.create_connection(("127.0.0.1", studio.port), timeout=TIMEOUT)
    sent.sendall(
        f"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1:{studio.port}\r\n"
        f"Authorization: Bearer {studio.token}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    )
    for _ in range(5):
        sent.sendall(b"10000\r\n" + bytes(65_536) + b"\r\n")
    assert sent.recv(200).startswith(b"HTTP/1.1 413")
    sent.close()


def guarded_echo(seconds: float, **options: Any) -> Guard:
    """Return a guard in front of an app that echoes the body."""

    async def echo(request: Request) -> PlainTextResponse:
        return PlainTextResponse(await request.body())

    app = Starlette(
        routes=[Route("/", echo, methods=["GET", "POST"])],
        exception_handlers={HTTPException: error_handlers.http_error},
    )
    return Guard(app, port=8765, access=Access(token=TOKEN), bodies={"": (100, seconds)}, **options)


def response_to(
    guard: Guard, pieces: list[tuple[float, bytes]], method: str = "POST", **headers: str
) -> tuple[int, bytes]:
    """Return the response to a body that arrives in pieces, each after the given seconds."""
    all_headers = {"host": "127.0.0.1:8765", "authorization": f"Bearer {TOKEN}", **headers}
    scope = {
        "type": "http", "method": method, "path": "/", "query_string": b"", "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in all_headers.items()],
    }  # fmt: skip
    remaining, answer = list(pieces), []

    async def receive() -> dict[str, Any]:
        wait, piece = remaining.pop(0)
        await asyncio.sleep(wait)
        return {"type": "http.request", "body": piece, "more_body": bool(remaining)}

    async def send(message: dict[str, Any]) -> None:
        answer.append(message)

    with ThreadPoolExecutor(1) as thread:  # this thread's event loop may be running a browser
        thread.submit(asyncio.run, guard(scope, receive, send)).result()
    return answer[0]["status"], b"".join(message.get("body", b"") for message in answer)


def test_a_body_that_trickles_in_is_refused() -> None:
    assert response_to(guarded_echo(TIMEOUT), [(0, b"one "), (0, b"two")]) == (200, b"one two")
    status, body = response_to(
        guarded_echo(0.2), [(0.06, b"x")] * 10
    )  # each piece is in time, the whole body is not
    assert (status, b"did not arrive" in body) == (408, True)
    assert response_to(guarded_echo(TIMEOUT), [(0, bytes(60)), (0, bytes(60))])[0] == 413


def slow_connection(port: int) -> socket.socket:
    """Open a connection and send the start of a request's headers."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
    connection.sendall(f"GET /api/jobs HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Slow: ".encode())
    return connection


def is_closed(connection: socket.socket) -> bool:
    """Wait for data, and return whether the server has closed the connection."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_many_idle_connections_lock_nobody_out(studio: Server) -> None:
    own = http.client.HTTPConnection("127.0.0.1", studio.port, timeout=TIMEOUT)
    bearer = {"Authorization": f"Bearer {studio.token}"}
    with contextlib.ExitStack() as stack:
        stack.callback(own.close)
        own.request("GET", "/api/jobs", headers=bearer)
        assert own.getresponse().read() == b"[]"
        ours = own.sock
        events = stack.enter_context(studio.events())
        assert next(events)[1] == "hello"
        many = [stack.enter_context(slow_connection(studio.port)) for _ in range(410)]
        for _ in range(3):
            assert studio("GET", "/api/jobs") == []
            assert studio.request("GET", "/", token=None)[0] == 200
        assert all(is_closed(each) for each in many[:300])  # the oldest ones
        own.request("GET", "/api/jobs", headers=bearer)  # authenticated ones are never closed
        assert (own.getresponse().read(), own.sock is ours) == (b"[]", True)
        job = studio.start("random", settings={"width": 32, "height": 32})
        assert next(events)[2]["id"] == job


def test_headers_that_trickle_in_are_refused() -> None:
    class Quick(Connection):
        seconds = 0.2

    config = uvicorn.Config(
        guarded_echo(TIMEOUT),
        http=Quick,
        ws="none",
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(server.run, [listening])
        try:
            silent = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
            with silent, slow_connection(port) as slow, slow_connection(port) as slower:
                assert is_closed(silent)
                assert is_closed(slow)
                with contextlib.suppress(ConnectionError):  # sending more does not extend the deadline
                    while not select.select([slower], [], [], 0.02)[0]:
                        slower.sendall(b"x")
                assert is_closed(slower)
        finally:
            server.should_exit = True
            running.result()


def test_a_studio_with_a_host_accepts_more_names_and_still_requires_the_token() -> None:
    open_to_others = guarded_echo(TIMEOUT, host="studio.local")
    for host in ("192.168.1.7:8765", "studio.local:8765"):
        assert response_to(open_to_others, [(0, b"")], host=host)[0] == 200
        assert response_to(open_to_others, [(0, b"")], host=host, authorization="")[0] == 401
    assert response_to(open_to_others, [(0, b"")], "GET", host="evil.example:8765")[0] == 403
    assert response_to(guarded_echo(TIMEOUT), [(0, b"")], "GET", host="192.168.1.7:8765")[0] == 403


def run_studio_command(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run another `lanterna studio` on the home of this test; return its exit code, stdout and stderr."""
    code = main(["studio", "--no-browser", *words])
    output = capsys.readouterr()
    return code, output.out, output.err


def test_one_studio_at_a_time(
    studio: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LANTERNA_HOME", str(studio.home))
    code, _, error = run_studio_command(capsys, "--port", "0")
    assert (code, "another studio is open" in error) == (2, True)
    # Opening it again prints the address.
    assert run_studio_command(capsys)[:2] == (0, f"{studio.address}\n")
    monkeypatch.setenv("LANTERNA_HOME", str(tmp_path))
    code, _, error = run_studio_command(capsys, "--port", str(studio.port))
    assert (code, "--port" in error) == (2, True)


@pytest.mark.slow
def test_a_page_of_an_allowed_site_needs_the_token_and_only_this_user_can_read_it(
    tmp_path: Path,
) -> None:
    served = Server(tmp_path, "--allow", "https://sketch.example")
    file = tmp_path / "studio" / "address.txt"
    assert (file.read_text().strip(), file.stat().st_mode & 0o77) == (served.address, 0)
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    allowed_site = {"Origin": "https://sketch.example", "Sec-Fetch-Site": "cross-site"}
    status, _, headers = served.request("OPTIONS", "/api/jobs", headers={**allowed_site, **ask}, token=None)
    assert (status, headers["access-control-allow-origin"]) == (204, "https://sketch.example")
    assert "authorization" in headers["access-control-allow-headers"]
    status, _, headers = served.request("GET", "/api/jobs", headers=allowed_site)
    assert (status, headers["access-control-allow-origin"]) == (200, "https://sketch.example")
    assert served.error("POST", "/api/jobs", {"kind": 1}, headers=allowed_site)[0] == 422
    session_path, cookie = served.session()  # the browser's session does not authenticate another site's page
    own = {**allowed_site, **cookie}
    assert served.error("GET", f"{session_path}/api/jobs", headers=own, token=None)[0] == 401
    other_site = {"Origin": "https://sketch.example.evil", "Sec-Fetch-Site": "cross-site"}
    assert served.error("GET", "/api/jobs", headers=other_site)[0] == 403
    assert served.error("OPTIONS", "/api/jobs", headers={**other_site, **ask}, token=None)[0] == 403
    served.close()
    assert not any(each.exists() for each in address_files(served))


@pytest.mark.parametrize("site", ["*", "null", "sketch.example", "https://sketch.example/page"])
def test_only_an_origin_can_be_allowed(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = run_studio_command(capsys, "--allow", site)
    assert (code, error.count("\n")) == (2, 1)
    assert "http://localhost:8000" in error


@pytest.mark.slow
def test_a_studio_for_other_machines_prints_a_reachable_address(tmp_path: Path) -> None:
    served = Server(tmp_path, "--host", "0.0.0.0")
    name = served.base.removeprefix("http://").rpartition(":")[0]
    assert not ipaddress.ip_address(name).is_unspecified
    assert served.error("GET", "/api/jobs", token=None)[0] == 401
    assert served("GET", "/api/jobs") == []
    served.close()
