"""Pictures in and out: files, drawings and data sets to float tensors in [0, 1], and back with a record."""

from __future__ import annotations

from lanterna.images.pictures import check_place, open_picture, save_picture
from lanterna.images.record import Input, Record, Weights, make_record, note_input, read_record

__all__ = [
    "Input",
    "Record",
    "Weights",
    "check_place",
    "make_record",
    "note_input",
    "open_picture",
    "read_record",
    "save_picture",
]
