"""Tools to inspect a network: activations, attributions, and objectives to maximise."""

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
