"""Image out: the command line and the other places where a person meets Lanterna."""
