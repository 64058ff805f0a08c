"""`python -m lanterna` is the `lanterna` command."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the current folder: what lies there is a stranger's until it is asked for by name

from lanterna.surfaces.cli import run

if __name__ == "__main__":
    run()
