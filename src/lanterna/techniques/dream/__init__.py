"""DeepDream: a picture turned into what a network sees in it."""
