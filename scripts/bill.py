"""The software bill of materials: Lanterna's dependencies with their versions, licences and last releases.

    python scripts/bill.py --index URL > docs/bill.md       on a connected machine; URL is a package index

It lists the installed packages that Lanterna requires, directly or indirectly. The licence is the one in the
package's metadata; the date is that of its last release on the index (PEP 700), or `-`. `--audit` also checks
for known vulnerabilities with pip-audit, which must be installed.
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
"""What a user may have installed: `""` stands for the dependencies without extras."""

DEVELOPERS = ("dev",)
"""What only developers need; without its dependencies, as no user installs it."""


def direct(extras: tuple[str, ...]) -> list[str]:
    """Return Lanterna's direct requirements: the basic ones for `""`, and those of each extra."""
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    return [line for extra in extras for line in (optional[extra] if extra else project["dependencies"])]


def resolve(requirements: list[str]) -> set[str]:
    """Return the names of all packages required on this machine, directly or indirectly."""
    names: set[str] = set()
    queue = [(Requirement(line), ("",)) for line in requirements]
    visited = set()
    while queue:
        requirement, active_extras = queue.pop()
        if requirement.marker and not any(
            requirement.marker.evaluate({**default_environment(), "extra": extra}) for extra in active_extras
        ):
            continue
        name, extras = canonical(requirement.name), ("", *sorted(requirement.extras))
        names.add(name)
        if (name, extras) not in visited:
            visited.add((name, extras))
            with contextlib.suppress(metadata.PackageNotFoundError):  # for another system, or not installed
                queue += [(Requirement(line), extras) for line in metadata.requires(name) or []]
    return names


def canonical(name: str) -> str:
    """Return a package's normalised name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(name: str) -> str:
    """Return the licence in a package's metadata, in a few words."""
    fields = metadata.metadata(name)
    expression = fields.get("License-Expression")
    if expression:
        return expression
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in fields.get_all("Classifier") or []
        if line.startswith("License")
    ]
    if classifiers:
        return ", ".join(classifiers)
    first = (fields.get("License") or "not stated").strip().splitlines()[0]
    return first[:60]


def last_release(name: str, index: str) -> str:
    """Return the date of the last release, or `-`."""
    request = urllib.request.Request(
        f"{index.rstrip('/')}/{name}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            files = json.load(response)["files"]
    except (OSError, ValueError, KeyError):
        return "-"
    return max((file.get("upload-time", "")[:10] for file in files), default="") or "-"


def table(names: set[str], index: str | None) -> None:
    """Print a line for each installed package."""
    print("| package | version | licence | last release |\n|---|---|---|---|")
    for name in sorted(names):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        date = last_release(name, index) if index else "-"
        print(f"| {name} | {version} | {licence(name)} | {date} |")


def main() -> int:
    """Print the bill, and audit it if requested."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--index", help="a package index with a JSON API (PEP 691)")
    parser.add_argument("--audit", action="store_true", help="check for known vulnerabilities with pip-audit")
    arguments = parser.parse_args()
    used = resolve(direct(EXTRAS)) - {"lanterna"}
    print("# The software bill\n")
    print(
        "The dependencies of Lanterna and its extras, written by `python scripts/bill.py --index URL`. On a\n"
        "connected machine, `python scripts/bill.py --audit` also checks for known vulnerabilities.\n"
    )
    table(used, arguments.index)
    print(
        "\nFurther dependencies of the tests, the documentation and the build, which users do not install.\n"
    )
    table({canonical(Requirement(line).name) for line in direct(DEVELOPERS)} - used, arguments.index)
    if arguments.audit:
        return subprocess.run([sys.executable, "-m", "pip_audit", "--local"], check=False).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
