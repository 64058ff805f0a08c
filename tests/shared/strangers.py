"""What another user of this machine sees of our processes: where they listen, and which files are open."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from pathlib import Path

Place = tuple[str, int]


def process_tree(pid: int) -> list[psutil.Process]:
    """A process and all that it started, directly or through others."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def listening_sockets(pid: int) -> set[Place]:
    """The addresses and ports at which a process or one that it started waits for whoever comes."""
    found: set[Place] = set()
    for process in process_tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            for each in process.net_connections("inet"):
                if each.status == psutil.CONN_LISTEN or (each.type == socket.SOCK_DGRAM and not each.raddr):
                    found.add((each.laddr.ip, each.laddr.port))
    return found


def is_loopback(place: Place) -> bool:
    """Whether only this machine reaches it."""
    address = ipaddress.ip_address(place[0])
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def fetch(place: Place, path: str) -> bytes:
    """The first that comes back when somebody asks for a page: nothing where the connection is closed."""
    with contextlib.suppress(OSError), socket.create_connection(place, 60) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        return connection.recv(4096)
    return b""


def world_accessible(folder: Path) -> list[Path]:
    """What in a folder others may look into or change."""
    return [path for path in folder.iterdir() if path.lstat().st_mode & 0o077]
