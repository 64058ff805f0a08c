"""Create a view's MIME bundle: the widget, a picture for pages without widgets, and text."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from lanterna.images.drawing import as_png

if TYPE_CHECKING:
    from torch import Tensor

MimeBundle = tuple[dict[str, Any], dict[str, Any]]
_VIEW = "application/vnd.jupyter.widget-view+json"


def mime_bundle(model_id: str, text: str, picture: Tensor | None, live: str = "") -> MimeBundle:
    """Return the data by MIME type, and the metadata with the picture's alternative text.

    `live` names a page of the site, in its folder `live`, that shows the view without a kernel.
    """
    data: dict[str, Any] = {
        _VIEW: {"version_major": 2, "version_minor": 0, "model_id": model_id},
        "text/plain": text,
    }
    if picture is None:
        instead = (
            f'<a href="../live/lessons/{live}.html">Open it as a page</a>'
            if live
            else "Run the notebook to use it"
        )
        data["text/html"] = f'<p class="needs-kernel">Here the notebook does not run. {instead}.</p>'
        return data, {}
    data["image/png"] = base64.b64encode(as_png(picture)).decode()
    return data, {"image/png": {"alt": text}}
