"""Neural style transfer: a photograph in the style of a painting, step by step or instantly."""
