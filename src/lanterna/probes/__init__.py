"""What to see in a network, and what to want of it."""
