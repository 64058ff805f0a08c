"""Draw digits that nobody wrote, from noise."""
