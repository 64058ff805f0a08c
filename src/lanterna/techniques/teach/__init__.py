"""Teaching networks your own classes."""
