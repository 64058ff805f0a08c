"""A texture that lives: every pixel is a cell that follows one small learned rule."""
