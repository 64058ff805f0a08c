"""Pictures decoded ahead of the network that looks at them, in processes of their own.

Why not WebDataset or torchdata: the first wants the pictures packed into archives, and a user has a folder;
the second brings a loader whose place can be saved, and here what is done is known by the pictures' own
hashes. Why not torch's DataLoader: it hands tensors over in shared memory, of which containers have little,
and pickles its whole list of files into each worker. A pool of processes from the standard library, and a
few batches under way, is all that is needed: memory holds those few batches however many pictures there are.
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

_MANY = 600  # pictures from which on the seconds that processes take to start are won back


@dataclass(frozen=True)
class Decoded:
    """A file's sha256, and its picture `(3, S, S)` float32 as the network wants to see it.

    There is no picture where it was not wanted, nor where the file cannot be read: then `error` says why.
    """

    key: bytes
    picture: NDArray[np.float32] | None = None
    error: str = ""


def workers_for(pictures: int, wanted: int | None = None) -> int:
    """How many processes decode: `wanted`, or as many as pay; 0 is a thread of this process.

    A process that was itself started as a daemon, as the studio's worker is, may have none.
    """
    if multiprocessing.current_process().daemon:
        return 0
    if wanted is not None:
        return wanted
    return min(8, max(1, (os.cpu_count() or 1) - 1)) if pictures >= _MANY else 0


def decoded(
    batches: Iterable[list[Path]], spec: InputSpec, *, workers: int = 0, known: Container[bytes] = ()
) -> Generator[list[Decoded], None, None]:
    """Yield what is in the files of each batch, in order, as `spec` wants to see it.

    A file whose sha256 is `known` is read and not decoded. Closing the generator ends the processes.

    Errors: `LanternaError` where a process was ended by something else, as for want of memory.
    """
    waiting = iter(batches)
    with _pool(workers, spec, known) as pool:
        work = _in_process if workers else partial(_decode, spec, known)
        coming = deque(pool.submit(work, batch) for batch in islice(waiting, workers + 1))
        try:
            while coming:
                found = coming.popleft().result()
                coming.extend(pool.submit(work, batch) for batch in islice(waiting, 1))
                yield found
        except BrokenProcessPool:
            raise LanternaError(
                "a process that decodes pictures was ended, perhaps for want of memory: the same command "
                "goes on from here, and workers 0 does without; a script needs if __name__ == '__main__'"
            ) from None
        finally:
            for each in coming:
                each.cancel()


def _pool(workers: int, spec: InputSpec, known: Container[bytes]) -> Executor:
    if workers == 0:
        return ThreadPoolExecutor(1)
    # Forked, a process could inherit a lock that a thread of torch holds.
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, spawn, initializer=_begin, initargs=(spec, known))


def _decode(spec: InputSpec, known: Container[bytes], files: list[Path]) -> list[Decoded]:
    return [_decoded(file, spec, known) for file in files]


def _decoded(path: Path, spec: InputSpec, known: Container[bytes]) -> Decoded:
    try:
        with regular_file(path, "a picture file") as file:
            data = file.read(BYTE_LIMIT + 1)  # read once, so that the hash is that of what is decoded
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


# In a process.

_given: list[tuple[InputSpec, Container[bytes]]] = []


def _begin(spec: InputSpec, known: Container[bytes]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that began this one
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    torch.set_num_threads(1)
    _given.append((spec, known))


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(0)


def _in_process(files: list[Path]) -> list[Decoded]:
    return _decode(*_given[0], files)
