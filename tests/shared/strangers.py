"""What other users of this machine can reach: listening sockets and accessible files."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from pathlib import Path

Address = tuple[str, int]


def process_tree(pid: int) -> list[psutil.Process]:
    """Return a process and all its descendants."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def listening_sockets(pid: int) -> set[Address]:
    """Return the addresses and ports on which a process or its descendants listen."""
    found: set[Address] = set()
    for process in process_tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            for connection in process.net_connections("inet"):
                is_udp = connection.type == socket.SOCK_DGRAM and not connection.raddr
                if connection.status == psutil.CONN_LISTEN or is_udp:
                    found.add((connection.laddr.ip, connection.laddr.port))
    return found


def is_loopback(address: Address) -> bool:
    """Whether an address is reachable from this machine only."""
    ip = ipaddress.ip_address(address[0])
    return (getattr(ip, "ipv4_mapped", None) or ip).is_loopback


def fetch(address: Address, path: str) -> bytes:
    """Request a page; return the start of the response, empty if the connection is closed."""
    with contextlib.suppress(OSError), socket.create_connection(address, 60) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        return connection.recv(4096)
    return b""


def world_accessible(folder: Path) -> list[Path]:
    """List the files in a folder that other users may read or change."""
    return [path for path in folder.iterdir() if path.lstat().st_mode & 0o077]
