"""What is in a picture, in a network's own classes."""
