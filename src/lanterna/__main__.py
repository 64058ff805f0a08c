"""`python -m lanterna` is the `lanterna` command."""

from lanterna.surfaces.cli import run

if __name__ == "__main__":
    run()
