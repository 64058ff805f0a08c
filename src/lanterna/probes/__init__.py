"""What to see in a network, and what to want of it."""

from lanterna.probes.links import links
from lanterna.probes.look import Look, look
from lanterna.probes.paths import Paths, heat, paths

__all__ = ["Look", "Paths", "heat", "links", "look", "paths"]
