"""Reading handwritten digits on a page."""
