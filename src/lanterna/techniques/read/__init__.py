"""Handwritten digits on a page, read."""
