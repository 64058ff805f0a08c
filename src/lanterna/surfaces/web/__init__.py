"""The pages: what is written into them, and their scripts, styles and vendored modules."""
