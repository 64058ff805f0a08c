"""Digit networks that learn, watched as they do."""
