"""Names that the techniques of this folder use for what `lanterna.techniques.technique` defines."""

from lanterna.techniques.technique import Frame
from lanterna.techniques.technique import Settings as Recipe

__all__ = ["Frame", "Recipe"]
