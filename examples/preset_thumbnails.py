"""The small pictures on the studio's presets: what each makes of a photograph from the shelf.

`python examples/preset_thumbnails.py ["dream-*"]`, with the shelf filled, writes `dream-eyes.jpg` and so on
into the studio's page; `dream.jpg` is what there is without a preset.
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
    """A part of a photograph, four by three: where it begins, and how high it is, as shares of its height."""
    picture = open_picture(shelf.need("photographs") / name)
    whole = picture.shape[1]
    y, x, side = round(top * whole), round(left * whole), round(height * whole)
    return picture[:, y : y + side, x : x + side * 4 // 3]


def last(frames: Iterable[Any]) -> Tensor:
    """The picture of the last frame."""
    (frame,) = deque(frames, maxlen=1)
    picture: Tensor = frame.picture
    return picture


def main(folder: Path, only: str) -> None:
    """Make those whose name fits."""
    cat, portrait = photograph("chelsea.png", 0.02, 0.3, 0.72), photograph("astronaut.png", 0, 0.06, 0.55)
    painting = random_picture(
        RandomPicture.checked({**RandomPicture.presets["glass"], "width": 512, "height": 384})
    )
    small = resized(portrait, SIZE).clamp(0, 1)
    makers: dict[str, tuple[type[Any], Callable[[Any], Tensor]]] = {
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
    for kind, (settings, make) in makers.items():
        for name, preset in {"": {}, **settings.presets}.items():
            if not fnmatch(f"{kind}-{name}", only):
                continue
            place = folder / f"{kind}{'-' if name else ''}{name}.jpg"
            picture = resized(make(settings.checked(preset)), SIZE).clamp(0, 1)
            as_image(picture).save(place, quality=80, optimize=True)
            print(place.name, place.stat().st_size)


if __name__ == "__main__":
    main(PAGE, sys.argv[1] if len(sys.argv) > 1 else "*")
