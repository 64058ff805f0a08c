"""What a network saw in pictures, computed once and kept: a cache that goes by what is in the files.

A feature is what the network's layer `pool` puts out, 1,280 numbers for each picture. It is kept under the
sha256 of the picture's file, in a folder named for the network, the sha256 of its weights and the way
pictures are prepared, so that a renamed picture is known, a changed one is not, and nothing stale is used.

Features are written shard by shard, each whole or not at all and named by what it holds. So work that is
killed goes on from its last shard, and two runs at once can at worst compute the same shard twice.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from lanterna.files import atomic_write
from lanterna.images.recipe import weights_sha256
from lanterna.networks.inference import optimize_for_inference
from lanterna.settings import features_folder
from lanterna.techniques.classify.algorithm import BATCH
from lanterna.techniques.teach.prefetch import Decoded, decoded

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from lanterna.images.folders import PictureFolder
    from lanterna.networks.network import Network

LAYER = "pool"
PREPARATION = 1
"""Which way pictures are opened and cut for the network: to be raised whenever that changes."""

SHARD = 512  # pictures of one file: 1.3 MB, and at most some ten seconds of work that a kill can cost
_OPEN_SHARDS = 8


class Keys:
    """Many sha256, 40 bytes of memory for each, and where each of them stands."""

    def __init__(self, keys: NDArray[np.uint8]) -> None:
        """`keys` is uint8 `(N, 32)`."""
        starts = _starts(keys)
        self._order = np.argsort(starts, kind="stable")
        self._starts, self._keys = starts[self._order], keys

    def find(self, keys: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The place of each of `keys` `(M, 32)`, `(M,)`; -1 for those that are not here."""
        if not len(self._keys):
            return np.full(len(keys), -1)
        near = np.minimum(np.searchsorted(self._starts, _starts(keys)), len(self._starts) - 1)
        found = self._order[near]
        # Two different sha256 that begin with the same eight bytes: the second is computed anew, no more.
        return np.where((self._keys[found] == keys).all(1), found, -1)

    def __contains__(self, key: object) -> bool:
        assert isinstance(key, bytes)
        return bool(self.find(np.frombuffer(key, np.uint8)[None])[0] >= 0)


def _starts(keys: NDArray[np.uint8]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(keys[:, :8]).view(np.uint64)[:, 0]


class Features:
    """The kept features of one network. What is on disk is read when it is asked for, a few shards at a time.

    A shard that is damaged is taken away, and its pictures are computed anew.
    """

    def __init__(self, network: Network) -> None:
        weights = weights_sha256(network)[:16]
        self.folder = features_folder() / f"{network.name}-{weights}-{PREPARATION}"
        output = network.layer("output")
        assert isinstance(output, nn.Linear)
        self.width = output.in_features
        self._open: OrderedDict[Path, Tensor] = OrderedDict()
        self.read()

    def read(self) -> None:
        """Look up which features are kept by now."""
        self._shards, keys = [], []
        for path in sorted(self.folder.glob("[0-9a-f]*.safetensors")):
            held = self._keys_of(path)
            if held is None:
                path.unlink(missing_ok=True)
            else:
                self._shards.append(path)
                keys.append(held)
        self._ends = np.cumsum([len(each) for each in keys], dtype=np.int64)
        self.keys = Keys(np.concatenate(keys) if keys else np.empty((0, 32), np.uint8))

    def _keys_of(self, path: Path) -> NDArray[np.uint8] | None:
        try:
            with safe_open(path, "pt") as shard:
                keys: NDArray[np.uint8] = shard.get_tensor("sha256").numpy()
                shape = shard.get_slice("features").get_shape()
        except (OSError, SafetensorError):
            return None
        fits = keys.dtype == np.uint8 and keys.shape[1:] == (32,) and shape == [len(keys), self.width]
        return keys if fits else None

    def add(self, keys: list[bytes], features: Tensor) -> None:
        """Keep the features `(N, width)` of N files, as one shard."""
        held = torch.frombuffer(bytearray(b"".join(keys)), dtype=torch.uint8).view(-1, 32)
        name = hashlib.sha256(b"".join(keys)).hexdigest()[:32]
        with atomic_write(self.folder / f"{name}.safetensors") as temporary:
            temporary.write_bytes(save({"sha256": held, "features": features.half().contiguous()}))

    def rows(self, places: NDArray[np.int64]) -> Tensor:
        """The features of these places (of `keys.find`), float32 `(N, width)`, in their order."""
        shards = np.searchsorted(self._ends, places, side="right")
        out = torch.empty(len(places), self.width)
        for number in np.unique(shards):
            chosen = np.nonzero(shards == number)[0]
            first = self._ends[number - 1] if number else 0
            inside = torch.from_numpy(places[chosen] - first)
            out[torch.from_numpy(chosen)] = self._shard(self._shards[number])[inside].float()
        return out

    def _shard(self, path: Path) -> Tensor:
        if path not in self._open:
            if len(self._open) >= _OPEN_SHARDS:
                self._open.popitem(last=False)
            with safe_open(path, "pt") as shard:
                self._open[path] = shard.get_tensor("features")
        self._open.move_to_end(path)
        return self._open[path]


@dataclass
class Looked:
    """What came of looking at pictures so far.

    `keys` uint8 `(N, 32)` are the files' sha256, `readable` bool `(N,)`; `unreadable` says of those that are
    not why, in order. `computed` counts the pictures that the network had to look at.
    """

    keys: NDArray[np.uint8]
    readable: NDArray[np.bool_]
    unreadable: list[str] = field(default_factory=list)
    done: int = 0
    computed: int = 0


def look_at_all(
    gathered: PictureFolder, network: Network, features: Features, *, workers: int = 0
) -> Generator[Looked, None, None]:
    """See to it that the features of all pictures are kept; yield after each batch how far that is.

    What is kept already is hashed only. Closing the generator keeps what was computed.
    """
    count = len(gathered.files)
    looked = Looked(np.zeros((count, 32), np.uint8), np.zeros(count, np.bool_))
    quick = optimize_for_inference(network, [LAYER])
    new_keys: list[bytes] = []
    new_features: list[Tensor] = []

    def keep() -> None:
        if new_keys:
            features.add(new_keys, torch.cat(new_features))
            new_keys.clear()
            new_features.clear()

    batches = ([gathered.path(i) for i in places] for places in _spans(count))
    coming = decoded(batches, network.input_spec, workers=workers, known=features.keys)
    try:
        for batch in coming:
            for place, each in enumerate(batch, start=looked.done):
                looked.readable[place] = not each.error
                if each.error:
                    looked.unreadable.append(each.error)
                else:
                    looked.keys[place] = np.frombuffer(each.key, np.uint8)
            new = [each for each in batch if each.picture is not None]
            if new:
                new_features.append(_seen_by(quick, new))
                new_keys += [each.key for each in new]
                looked.computed += len(new)
            looked.done += len(batch)
            if len(new_keys) >= SHARD:
                keep()
            yield looked
    finally:
        coming.close()
        keep()
    features.read()


def _spans(count: int) -> Iterator[range]:
    return (range(first, min(first + BATCH, count)) for first in range(0, count, BATCH))


@torch.inference_mode()
def _seen_by(quick: Network, batch: list[Decoded]) -> Tensor:
    """The features of decoded pictures, float16 `(N, width)`."""
    device = quick.get_buffer("mean").device
    images = stacked(batch).to(device, memory_format=torch.channels_last)
    found: Tensor = quick(images)
    return found.half().cpu()


def stacked(batch: list[Decoded]) -> Tensor:
    """Decoded pictures as one tensor `(N, 3, S, S)` in [0, 1]."""
    return torch.from_numpy(np.stack([each.picture for each in batch if each.picture is not None]))
