"""Make the thumbnails of the studio's presets from a photograph on the shelf.

`python examples/preset_thumbnails.py ["dream-*"]`, with a full shelf, writes `dream-eyes.jpg` and so on to
the studio's page; `dream.jpg` has the default settings.
"""

from __future__ import annotations

import sys
from collections import deque
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanterna import open_picture, shelf
from lanterna.images.drawing import as_image
from lanterna.techniques.dream.algorithm import Dream, dream
from lanterna.techniques.octaves import resized
from lanterna.techniques.paint.algorithm import Paint, paint
from lanterna.techniques.paint.random_picture import RandomPicture, random_picture
from lanterna.techniques.style.algorithm import style
from lanterna.techniques.style.technique import Painted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor

SIZE = (150, 200)
PAGE = Path(__file__).parent.parent / "src/lanterna/surfaces/web/studio/presets"


def photograph(name: str, top: float, left: float, height: float) -> Tensor:
    """Open a photograph, cropped to 4:3; `top`, `left` and `height` are shares of its height."""
    picture = open_picture(shelf.need("photographs") / name)
    pixels = picture.shape[1]
    y, x, side = round(top * pixels), round(left * pixels), round(height * pixels)
    return picture[:, y : y + side, x : x + side * 4 // 3]


def last(frames: Iterable[Any]) -> Tensor:
    """Return the picture of the last frame."""
    (frame,) = deque(frames, maxlen=1)
    picture: Tensor = frame.picture
    return picture


def main(folder: Path, pattern: str) -> None:
    """Make the thumbnails whose names match a pattern."""
    cat, portrait = photograph("chelsea.png", 0.02, 0.3, 0.72), photograph("astronaut.png", 0, 0.06, 0.55)
    painting = random_picture(
        RandomPicture.checked({**RandomPicture.presets["glass"], "width": 512, "height": 384})
    )
    small = resized(portrait, SIZE).clamp(0, 1)
    techniques: dict[str, tuple[type[Any], Callable[[Any], Tensor]]] = {
        "dream": (Dream, lambda settings: last(dream(cat, settings.changed({"size": 288})))),
        "style": (
            Painted,
            lambda settings: last(style(portrait, settings.changed({"size": 288}), styles=[painting])),
        ),
        "paint": (Paint, lambda settings: last(paint(small, settings.changed({"seconds": 12, "size": 224})))),
        "random": (
            RandomPicture,
            lambda settings: random_picture(settings.changed({"width": 448, "height": 336})),
        ),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for kind, (settings, run) in techniques.items():
        for name, preset in {"": {}, **settings.presets}.items():
            if (name and not preset) or not fnmatch(f"{kind}-{name}", pattern):
                continue  # a preset without settings has the thumbnail of the defaults
            file = folder / f"{kind}{'-' if name else ''}{name}.jpg"
            picture = resized(run(settings.checked(preset)), SIZE).clamp(0, 1)
            as_image(picture).save(file, quality=80, optimize=True)
            print(file.name, file.stat().st_size)


if __name__ == "__main__":
    main(PAGE, sys.argv[1] if len(sys.argv) > 1 else "*")
