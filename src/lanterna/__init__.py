"""Lanterna: classify and generate images with deep neural networks, and look inside them."""

from __future__ import annotations

__version__ = "0.1.0"
