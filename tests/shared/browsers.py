"""Find the installed browser; run as a script, this file exits with a message if there is none."""

from __future__ import annotations

import shutil
import sys

MISSING = "the tests of pages need Chromium: apt-get install chromium (`make quick` does not need it)"


def find_chromium() -> str | None:
    """Return the path of Chromium or Chrome, or None if neither is installed.

    The headless shell is the same engine without a window, and opens a page in half the CPU time.
    """
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


if __name__ == "__main__":
    sys.exit(None if find_chromium() else MISSING)
