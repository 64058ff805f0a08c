"""A test picture with known corners, and conversion to 8-bit levels."""

import numpy as np
from PIL import Image


def scene(width=96, height=64):
    """Make an asymmetric picture: red increases to the right, green downwards; the top left is blue."""
    y, x = np.mgrid[0:height, 0:width]
    levels = np.stack([x * 255 // (width - 1), y * 255 // (height - 1), np.full_like(x, 60)], axis=-1)
    levels[: height // 4, : width // 4] = (20, 30, 250)
    return Image.fromarray(levels.astype(np.uint8))


def as_levels(picture):
    return (picture * 255).permute(1, 2, 0).numpy()
