"""DeepDream: amplify what a network detects in a picture."""
