"""Run the `lanterna` command with `python -m lanterna`."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the current folder: its modules are not trusted unless the user names them

from lanterna.surfaces.cli import run

if __name__ == "__main__":
    run()
