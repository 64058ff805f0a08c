"""Create a view's MIME bundle: the widget, a picture for pages without widgets, and text."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from lanterna.images.drawing import as_png

if TYPE_CHECKING:
    from torch import Tensor

MimeBundle = tuple[dict[str, Any], dict[str, Any]]
_VIEW = "application/vnd.jupyter.widget-view+json"


def mime_bundle(model_id: str, text: str, picture: Tensor | None) -> MimeBundle:
    """Return the data by MIME type, and the metadata with the picture's alternative text."""
    data: dict[str, Any] = {
        _VIEW: {"version_major": 2, "version_minor": 0, "model_id": model_id},
        "text/plain": text,
    }
    if picture is None:
        return data, {}
    data["image/png"] = base64.b64encode(as_png(picture)).decode()
    return data, {"image/png": {"alt": text}}
