"""Training digit networks."""
