"""Reading of the weights in an ONNX file; its graph is not executed.

An ONNX file is a protocol buffer: a message is a sequence of numbered fields, some of which are messages
themselves. We read only those that hold weights (all are in onnx.proto3): the model's graph, the graph's
tensors ("initialisers"), and the nodes that dequantise tensors stored as 8-bit integers.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from lanterna.errors import LanternaError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Array = np.ndarray[Any, np.dtype[Any]]

# The numbers of the fields that are read, by message.
_GRAPH = 7  # of a model
_NODE, _INITIALISER = 1, 5  # of a graph
_INPUT, _OUTPUT, _OPERATOR = 1, 2, 4  # of a node
_SHAPE, _KIND, _FLOATS, _NAME, _BYTES = 1, 2, 4, 8, 9  # of a tensor
_KINDS = {1: "<f4", 3: "<i1", 6: "<i4", 7: "<i8"}

_VARINT, _EIGHT_BYTES, _MESSAGE, _FOUR_BYTES = 0, 1, 2, 5  # wire types


def read_weights(path: Path) -> dict[str, Array]:
    """Return every tensor in the ONNX file at `path`, by name; quantised ones also dequantised.

    The output of a DequantizeLinear node on a tensor x is returned under the output's name, as float32:
    (x - zero point) × scale, with one scale per output channel.

    Errors: `LanternaError` if the file is not valid.
    """
    try:
        (graph,) = (value for field, value in _fields(path.read_bytes()) if field == _GRAPH)
        nodes, tensors = [], {}
        for field, value in _fields(graph):
            if field == _INITIALISER:
                name, tensor = _tensor(value)
                tensors[name] = tensor
            elif field == _NODE:
                nodes.append(_node(value))
        for operator, inputs, outputs in nodes:
            if operator == "DequantizeLinear" and inputs[0] in tensors:
                values, scale, zero = (tensors[name] for name in inputs)
                channels = (-1,) + (1,) * (values.ndim - 1) if scale.ndim else ()
                steps = values.astype(np.int64) - zero.reshape(channels)
                tensors[outputs[0]] = (steps * scale.reshape(channels)).astype(np.float32)
    except (ValueError, LookupError, TypeError, AttributeError, struct.error) as error:
        raise LanternaError(f"the weights in {path} are not valid: {error}") from error
    return tensors


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the fields of a message in order: the number, and the value as an integer or as bytes."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        form = key & 7
        if form == _VARINT:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        if form == _MESSAGE:
            size, place = _varint(message, place)
        elif form in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if form == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"a field of wire type {form}")
        if place + size > len(message):
            raise ValueError("it ends too early")
        yield key >> 3, message[place : place + size]
        place += size


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """Decode an integer of seven bits per byte, lowest first; return it and the position after it."""
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def _tensor(message: bytes) -> tuple[str, Array]:
    shape: list[int] = []
    name, kind, content = "", 0, b""
    for field, value in _fields(message):
        if field == _SHAPE:
            shape += [value] if isinstance(value, int) else _packed(value)
        elif field == _KIND:
            kind = value
        elif field == _NAME:
            name = value.decode()
        elif field in (_BYTES, _FLOATS):  # floats in one field or in many have the same bytes
            content += value
    return name, np.frombuffer(content, _KINDS[kind]).reshape(shape)


def _packed(message: bytes) -> list[int]:
    values, place = [], 0
    while place < len(message):
        value, place = _varint(message, place)
        values.append(value)
    return values


def _node(message: bytes) -> tuple[str, list[str], list[str]]:
    operator, inputs, outputs = "", [], []
    for field, value in _fields(message):
        if field == _INPUT:
            inputs.append(value.decode())
        elif field == _OUTPUT:
            outputs.append(value.decode())
        elif field == _OPERATOR:
            operator = value.decode()
    return operator, inputs, outputs
