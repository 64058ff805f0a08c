"""The techniques: each is declared once, and every surface is derived from its declaration.

`technique.py` defines the declaration, `registry.py` lists the techniques, `execute.py` runs them.
"""
