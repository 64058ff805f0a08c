"""A cache of picture features on disk, keyed by the content of the files.

A picture's features are the output of the network's layer `pool`, 1,280 numbers. They are stored under the
sha256 of the picture's file, in a folder named after the network, the sha256 of its weights and the version
of the preprocessing. So renamed pictures are found, changed ones are not, and no stale features are used.

Features are written in shards, atomically, and each shard is named by its content. So work that is killed
continues after its last shard, and two simultaneous runs can at worst compute the same shard twice.
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
from lanterna.techniques.teach.prefetch import Decoded, decode

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from lanterna.images.folders import PictureFolder
    from lanterna.networks.network import Network

LAYER = "pool"
PREPROCESSING_VERSION = 1
"""Version of how pictures are opened, cropped and resized; raise it whenever that changes."""

SHARD = 512  # pictures in one file: 1.3 MB, and about ten seconds of work to lose when killed
_MAX_LOADED = 8


class KeyIndex:
    """An index of sha256 digests, using 40 bytes of memory for each."""

    def __init__(self, keys: NDArray[np.uint8]) -> None:
        """Index `keys`, uint8 `(N, 32)`."""
        starts = _prefixes(keys)
        self._order = np.argsort(starts, kind="stable")
        self._prefixes, self._keys = starts[self._order], keys

    def find(self, keys: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the position `(M,)` of each of `keys` `(M, 32)`, or -1 if it is not in the index."""
        if not len(self._keys):
            return np.full(len(keys), -1)
        nearest = np.minimum(np.searchsorted(self._prefixes, _prefixes(keys)), len(self._prefixes) - 1)
        found = self._order[nearest]
        # If two digests share their first eight bytes, the second is not found, and is only computed again.
        return np.where((self._keys[found] == keys).all(1), found, -1)

    def __contains__(self, key: object) -> bool:
        assert isinstance(key, bytes)
        return bool(self.find(np.frombuffer(key, np.uint8)[None])[0] >= 0)


def _prefixes(keys: NDArray[np.uint8]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(keys[:, :8]).view(np.uint64)[:, 0]


class FeatureCache:
    """The cached features of one network. Shards are loaded from disk on demand, a few at a time.

    Damaged shards are deleted, and the features in them are computed again.
    """

    def __init__(self, network: Network) -> None:
        weights = weights_sha256(network)[:16]
        self.folder = features_folder() / f"{network.name}-{weights}-{PREPROCESSING_VERSION}"
        output = network.layer("output")
        assert isinstance(output, nn.Linear)
        self.width = output.in_features
        self._loaded: OrderedDict[Path, Tensor] = OrderedDict()
        self.read()

    def read(self) -> None:
        """Read from disk which features are in the cache."""
        self._shards, keys = [], []
        for path in sorted(self.folder.glob("[0-9a-f]*.safetensors")):
            shard_keys = self._read_keys(path)
            if shard_keys is None:
                path.unlink(missing_ok=True)
            else:
                self._shards.append(path)
                keys.append(shard_keys)
        self._ends = np.cumsum([len(each) for each in keys], dtype=np.int64)
        self.keys = KeyIndex(np.concatenate(keys) if keys else np.empty((0, 32), np.uint8))

    def _read_keys(self, path: Path) -> NDArray[np.uint8] | None:
        try:
            with safe_open(path, "pt") as shard:
                keys: NDArray[np.uint8] = shard.get_tensor("sha256").numpy()
                shape = shard.get_slice("features").get_shape()
        except (OSError, SafetensorError):
            return None
        valid = keys.dtype == np.uint8 and keys.shape[1:] == (32,) and shape == [len(keys), self.width]
        return keys if valid else None

    def add(self, keys: list[bytes], features: Tensor) -> None:
        """Save the features `(N, width)` of N files as one shard."""
        shard_keys = torch.frombuffer(bytearray(b"".join(keys)), dtype=torch.uint8).view(-1, 32)
        name = hashlib.sha256(b"".join(keys)).hexdigest()[:32]
        with atomic_write(self.folder / f"{name}.safetensors") as temporary:
            temporary.write_bytes(save({"sha256": shard_keys, "features": features.half().contiguous()}))

    def rows(self, positions: NDArray[np.int64]) -> Tensor:
        """Return the features at `positions` (from `keys.find`), float32 `(N, width)`, in their order."""
        shards = np.searchsorted(self._ends, positions, side="right")
        out = torch.empty(len(positions), self.width)
        for number in np.unique(shards):
            chosen = np.nonzero(shards == number)[0]
            first = self._ends[number - 1] if number else 0
            offsets = torch.from_numpy(positions[chosen] - first)
            out[torch.from_numpy(chosen)] = self._load(self._shards[number])[offsets].float()
        return out

    def _load(self, path: Path) -> Tensor:
        if path not in self._loaded:
            if len(self._loaded) >= _MAX_LOADED:
                self._loaded.popitem(last=False)
            with safe_open(path, "pt") as shard:
                self._loaded[path] = shard.get_tensor("features")
        self._loaded.move_to_end(path)
        return self._loaded[path]


@dataclass
class ExtractionProgress:
    """Progress of feature extraction.

    `keys` uint8 `(N, 32)` are the files' sha256, `readable` is bool `(N,)`, and `unreadable` holds the errors
    of the files that cannot be read, in order. `done` counts all files so far, `computed` those whose
    features were not in the cache.
    """

    keys: NDArray[np.uint8]
    readable: NDArray[np.bool_]
    unreadable: list[str] = field(default_factory=list)
    done: int = 0
    computed: int = 0


def extract_features(
    gathered: PictureFolder, network: Network, features: FeatureCache, *, workers: int = 0
) -> Generator[ExtractionProgress, None, None]:
    """Compute and cache the features of all pictures, yielding the progress after each batch.

    Pictures that are in the cache are only hashed. Closing the generator saves what was computed so far.
    """
    count = len(gathered.files)
    progress = ExtractionProgress(np.zeros((count, 32), np.uint8), np.zeros(count, np.bool_))
    fast_network = optimize_for_inference(network, [LAYER])
    new_keys: list[bytes] = []
    new_features: list[Tensor] = []

    def flush() -> None:
        if new_keys:
            features.add(new_keys, torch.cat(new_features))
            new_keys.clear()
            new_features.clear()

    batches = ([gathered.path(i) for i in span] for span in _spans(count))
    batches_of_files = decode(batches, network.input_spec, workers=workers, known=features.keys)
    try:
        for batch in batches_of_files:
            for index, file in enumerate(batch, start=progress.done):
                progress.readable[index] = not file.error
                if file.error:
                    progress.unreadable.append(file.error)
                else:
                    progress.keys[index] = np.frombuffer(file.key, np.uint8)
            new = [file for file in batch if file.picture is not None]
            if new:
                new_features.append(_compute_features(fast_network, new))
                new_keys += [file.key for file in new]
                progress.computed += len(new)
            progress.done += len(batch)
            if len(new_keys) >= SHARD:
                flush()
            yield progress
    finally:
        batches_of_files.close()
        flush()
    features.read()


def _spans(count: int) -> Iterator[range]:
    return (range(first, min(first + BATCH, count)) for first in range(0, count, BATCH))


@torch.inference_mode()
def _compute_features(fast_network: Network, batch: list[Decoded]) -> Tensor:
    """Compute the features of decoded pictures, float16 `(N, width)`."""
    device = fast_network.get_buffer("mean").device
    images = stack(batch).to(device, memory_format=torch.channels_last)
    features: Tensor = fast_network(images)
    return features.half().cpu()


def stack(batch: list[Decoded]) -> Tensor:
    """Stack decoded pictures into one tensor `(N, 3, S, S)` in [0, 1]."""
    return torch.from_numpy(np.stack([file.picture for file in batch if file.picture is not None]))
