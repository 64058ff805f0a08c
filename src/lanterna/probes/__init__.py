"""What to see in a network, and what to want of it."""

from lanterna.probes.ablation import BY, ablation
from lanterna.probes.attribution import grad_cam, integrated_gradients, occlusion
from lanterna.probes.links import links
from lanterna.probes.look import Look, look
from lanterna.probes.paths import Paths, heat, paths

__all__ = [
    "BY",
    "Look",
    "Paths",
    "ablation",
    "grad_cam",
    "heat",
    "integrated_gradients",
    "links",
    "look",
    "occlusion",
    "paths",
]
