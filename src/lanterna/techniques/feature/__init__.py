"""Feature visualisation: what a channel, unit or class of a network responds to."""
