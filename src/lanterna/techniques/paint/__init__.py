"""Networks that learn to paint a picture from (x, y), their renderings, and pictures of untrained ones."""
