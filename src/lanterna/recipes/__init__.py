"""Work: each technique as a recipe of settings and a generator of frames."""
