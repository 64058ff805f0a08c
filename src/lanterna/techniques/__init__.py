"""The techniques: each is declared once, and every surface is made from its declaration.

`technique.py` says what a technique is, `registry.py` which there are, `execute.py` runs them.
"""
