"""A network that learns to paint a picture from (x, y), and what can be done with one that has learned."""
