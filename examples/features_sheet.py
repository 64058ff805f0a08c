"""The sheet in docs/features.jpg: what some channels and classes of three networks want to see.

`python examples/features_sheet.py features.jpg`, with the shelf filled and a `conv` network trained.
"""

from __future__ import annotations

import sys
from collections import deque

from lanterna import Feature, feature, save_picture
from lanterna.images.drawing import contact_sheet

VGG = "vgg16"
WISHES = [
    *(
        Feature(layer=layer, channel=channel)
        for layer, channel in (("block5", 5), ("block9", 31), ("block12", 40))
    ),
    Feature(class_="goldfish", robustness=1.6), Feature(class_="flamingo"), Feature(class_="espresso"),
    *(
        Feature(network=VGG, layer=layer, channel=channel)
        for layer, channel in (
            ("relu3_1", 20), ("relu4_2", 7), ("relu4_2", 100),
            ("relu5_1", 33), ("relu5_1", 100), ("relu5_1", 200),
        )
    ),
    *(Feature(network="conv", class_=digit) for digit in "2389"),
    *(Feature(network="conv", layer="relu2", channel=channel) for channel in (0, 6)),
]  # fmt: skip


def main(place: str) -> None:
    """Paint them all, and lay them out."""
    tiles = []
    for settings in WISHES:
        (last,) = deque(feature(settings), maxlen=1)
        assert last.picture is not None
        words = f"class {settings.class_}" if settings.class_ else f"{settings.layer} {settings.channel}"
        tiles.append((last.picture, words))
    title = "What they want to see: EfficientNet-Lite0, VGG-16, and a network that reads digits"
    save_picture(contact_sheet(tiles, columns=6, side=168, gap=12, title=title), place, quality=82)


if __name__ == "__main__":
    main(sys.argv[1])
