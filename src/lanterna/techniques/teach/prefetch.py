"""Prefetching: decode pictures in worker processes while the network computes.

Why not WebDataset or torchdata? WebDataset needs the pictures packed into archives, but users have folders;
torchdata's advantage is a loader whose position can be saved, but here the pictures' hashes show what has
been done. Why not torch's DataLoader? It passes tensors through shared memory, of which containers have
little, and pickles the full list of files into each worker. A process pool from the standard library is
enough: only a few batches are in memory, however many pictures there are.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import torch

from lanterna.errors import LanternaError
from lanterna.images import open_picture
from lanterna.images.decoding import BYTE_LIMIT, regular_file
from lanterna.networks.preprocessing import to_input
from lanterna.techniques.classify.algorithm import LONGEST

if TYPE_CHECKING:
    from collections.abc import Container, Generator, Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from lanterna.networks.network import InputSpec

_MIN_FOR_PROCESSES = 600  # pictures; with fewer, starting processes takes longer than it saves


@dataclass(frozen=True)
class Decoded:
    """A file's sha256 and its preprocessed picture `(3, S, S)` float32.

    There is no picture if the sha256 is already known or the file cannot be read; in the latter case `error`
    says why.
    """

    key: bytes
    picture: NDArray[np.float32] | None = None
    error: str = ""


def worker_count(pictures: int, requested: int | None = None) -> int:
    """Return how many processes to decode with: `requested`, or as many as are worthwhile; 0 uses a thread.

    A daemon process, such as the studio's worker, must not have child processes.
    """
    if multiprocessing.current_process().daemon:
        return 0
    if requested is not None:
        return requested
    return min(8, max(1, (os.cpu_count() or 1) - 1)) if pictures >= _MIN_FOR_PROCESSES else 0


def decode(
    batches: Iterable[list[Path]], spec: InputSpec, *, workers: int = 0, known: Container[bytes] = ()
) -> Generator[list[Decoded], None, None]:
    """Decode the files of each batch and preprocess them for `spec`, in order.

    A file whose sha256 is `known` is read but not decoded. Closing the generator stops the processes.

    Errors: `LanternaError` if a process dies, for example for lack of memory.
    """
    remaining = iter(batches)
    with _pool(workers, spec, known) as pool:
        work = _decode_in_worker if workers else partial(_decode_batch, spec, known)
        pending = deque(pool.submit(work, batch) for batch in islice(remaining, workers + 1))
        try:
            while pending:
                decoded = pending.popleft().result()
                pending.extend(pool.submit(work, batch) for batch in islice(remaining, 1))
                yield decoded
        except BrokenProcessPool:
            raise LanternaError(
                "a process that decodes pictures died, perhaps for lack of memory: repeat the command to "
                "continue, with workers 0 to use no processes; a script needs if __name__ == '__main__'"
            ) from None
        finally:
            for future in pending:
                future.cancel()


def _pool(workers: int, spec: InputSpec, known: Container[bytes]) -> Executor:
    if workers == 0:
        return ThreadPoolExecutor(1)
    # A forked process could inherit a lock held by one of torch's threads.
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, spawn, initializer=_initialise, initargs=(spec, known))


def _decode_batch(spec: InputSpec, known: Container[bytes], files: list[Path]) -> list[Decoded]:
    return [_decode_file(file, spec, known) for file in files]


def _decode_file(path: Path, spec: InputSpec, known: Container[bytes]) -> Decoded:
    try:
        with regular_file(path, "a picture file") as file:
            data = file.read(BYTE_LIMIT + 1)  # read once, so that the hash matches the decoded data
    except (LanternaError, OSError) as error:
        return Decoded(b"", error=str(error))
    key = hashlib.sha256(data).digest()
    if key in known:
        return Decoded(key)
    try:
        picture = to_input(open_picture(data, longest=LONGEST), spec)
    except LanternaError as error:
        return Decoded(key, error=f"{path}{str(error).removeprefix('the picture')}")
    return Decoded(key, picture.numpy())


# In a worker process.

_worker_arguments: list[tuple[InputSpec, Container[bytes]]] = []


def _initialise(spec: InputSpec, known: Container[bytes]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _worker_arguments.append((spec, known))


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(0)


def _decode_in_worker(files: list[Path]) -> list[Decoded]:
    return _decode_batch(*_worker_arguments[0], files)
