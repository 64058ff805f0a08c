"""The browser of this machine; run as a program, this file says in one line whether there is one."""

from __future__ import annotations

import shutil
import sys

MISSING = "the tests of pages need Chromium: apt-get install chromium (`make quick` does without)"


def find_chromium() -> str | None:
    """The path of Chromium or Chrome, or None where neither is installed.

    The headless shell is the same engine without a window: a page opens in it for half the processor time.
    """
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


if __name__ == "__main__":
    sys.exit(None if find_chromium() else MISSING)
