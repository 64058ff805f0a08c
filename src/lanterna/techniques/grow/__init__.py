"""Grow a texture that moves and heals, from a rule learned from a picture."""
