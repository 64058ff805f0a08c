"""Feature visualisation: what a channel, unit or class of a network wants to see."""
