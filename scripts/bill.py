"""The software bill: what Lanterna stands on, each with its version, licence and last release.

    python scripts/bill.py --index URL > docs/bill.md       on a connected machine; URL is a package index

All that is installed here and that Lanterna asks for, directly or through others. The licence is what the
package says of itself; the date is that of its last release on the index (PEP 700), `-` without one.
`--audit` also looks for known weaknesses with pip-audit, which must be installed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import subprocess
import sys
import tomllib
import urllib.request
from importlib import metadata
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement

EXTRAS = ("", "video", "notebook", "cluster")
"""What somebody who uses it may have installed, with all that it asks for itself."""

DEVELOPERS = ("dev", "docs")
"""What only who works on it needs: that alone, as nothing of it is in anybody's installation."""


def own(extras: tuple[str, ...]) -> list[str]:
    """What Lanterna itself asks for: with "" what it always does, with an extra what that does."""
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    return [each for extra in extras for each in (optional[extra] if extra else project["dependencies"])]


def needed(requirements: list[str]) -> set[str]:
    """The names of all packages that these ask for here, directly or through others."""
    found: set[str] = set()
    waiting = [(Requirement(each), ("",)) for each in requirements]
    seen = set()
    while waiting:
        requirement, wanted = waiting.pop()
        if requirement.marker and not any(
            requirement.marker.evaluate({**default_environment(), "extra": each}) for each in wanted
        ):
            continue
        name, extras = canonical(requirement.name), ("", *sorted(requirement.extras))
        found.add(name)
        if (name, extras) not in seen:
            seen.add((name, extras))
            with contextlib.suppress(metadata.PackageNotFoundError):  # of another system, or not here
                waiting += [(Requirement(each), extras) for each in metadata.requires(name) or []]
    return found


def canonical(name: str) -> str:
    """A package's name as indexes have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(name: str) -> str:
    """What a package says its licence is, in a few words."""
    told = metadata.metadata(name)
    expression = told.get("License-Expression")
    if expression:
        return expression
    classified = [
        each.rpartition(" :: ")[2] for each in told.get_all("Classifier") or [] if each.startswith("License")
    ]
    if classified:
        return ", ".join(classified)
    first = (told.get("License") or "not said").strip().splitlines()[0]
    return first[:60]


def last_release(name: str, index: str) -> str:
    """The date of the last release, or `-`."""
    request = urllib.request.Request(
        f"{index.rstrip('/')}/{name}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            files = json.load(answer)["files"]
    except (OSError, ValueError, KeyError):
        return "-"
    return max((file.get("upload-time", "")[:10] for file in files), default="") or "-"


def table(names: set[str], index: str | None) -> None:
    """Print a line for each package that is installed here."""
    print("| package | version | licence | last release |\n|---|---|---|---|")
    for name in sorted(names):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        date = last_release(name, index) if index else "-"
        print(f"| {name} | {version} | {licence(name)} | {date} |")


def main() -> int:
    """Print the bill, and audit where that is asked for."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--index", help="a package index that answers in JSON (PEP 691)")
    words.add_argument("--audit", action="store_true", help="look for known weaknesses with pip-audit")
    given = words.parse_args()
    used = needed(own(EXTRAS)) - {"lanterna"}
    print("# The software bill\n")
    print(
        "What Lanterna and its extras stand on, made by `python scripts/bill.py --index URL`. On a machine\n"
        "with a connection, `python scripts/bill.py --audit` also asks pip-audit for known weaknesses.\n"
    )
    table(used, given.index)
    print("\nWhat tests, documentation and builds use besides; it is in nobody's installation.\n")
    table({canonical(Requirement(each).name) for each in own(DEVELOPERS)} - used, given.index)
    if given.audit:
        return subprocess.run([sys.executable, "-m", "pip_audit", "--local"], check=False).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
