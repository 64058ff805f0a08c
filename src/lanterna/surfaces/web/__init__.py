"""The HTML pages: their generators, scripts, styles and vendored modules."""
