"""Make the sheet docs/features.jpg: feature visualisations of channels and classes of three networks.

`python examples/features_sheet.py features.jpg`, with a full shelf and a trained `conv` network.
"""

from __future__ import annotations

import sys
from collections import deque

from lanterna import Feature, feature, save_picture
from lanterna.images.drawing import contact_sheet

VGG = "vgg19"
FEATURES = [
    *(
        Feature(layer=layer, channel=channel)
        for layer, channel in (("block5", 5), ("block9", 31), ("block12", 40))
    ),
    Feature(class_="goldfish", robustness=1.6), Feature(class_="flamingo"), Feature(class_="espresso"),
    *(
        Feature(network=VGG, layer=layer, channel=channel, size=160, steps=96)
        for layer, channel in (
            ("relu3_3", 20), ("relu4_2", 7), ("relu5_1", 0),
            ("relu5_1", 1), ("relu5_1", 4), ("relu5_1", 7),
        )
    ),
    *(Feature(network="conv", class_=digit) for digit in "2389"),
    *(Feature(network="conv", layer="relu2", channel=channel) for channel in (0, 6)),
]  # fmt: skip


def main(target: str) -> None:
    """Compute all features and lay them out."""
    cells = []
    for settings in FEATURES:
        (last,) = deque(feature(settings), maxlen=1)
        assert last.picture is not None
        caption = f"class {settings.class_}" if settings.class_ else f"{settings.layer} {settings.channel}"
        cells.append((last.picture, caption))
    title = "Features of EfficientNet-Lite0, VGG-19 and a network that reads digits"
    save_picture(contact_sheet(cells, columns=6, side=168, gap=12, title=title), target, quality=82)


if __name__ == "__main__":
    main(sys.argv[1])
