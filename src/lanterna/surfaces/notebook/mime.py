"""What a view gives a notebook: itself where there is a page to show it, else a picture, else words."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from lanterna.images.drawing import as_png

if TYPE_CHECKING:
    from torch import Tensor

MimeBundle = tuple[dict[str, Any], dict[str, Any]]
_VIEW = "application/vnd.jupyter.widget-view+json"


def mime_bundle(model_id: str, words: str, picture: Tensor | None) -> MimeBundle:
    """MIME types with their data, and the picture's words for whoever does not see it."""
    data: dict[str, Any] = {
        _VIEW: {"version_major": 2, "version_minor": 0, "model_id": model_id},
        "text/plain": words,
    }
    if picture is None:
        return data, {}
    data["image/png"] = base64.b64encode(as_png(picture)).decode()
    return data, {"image/png": {"alt": words}}
