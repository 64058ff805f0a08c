"""The software bill: what Lanterna stands on, each with its version, licence and last release.

    python scripts/bill.py --index URL > docs/bill.md       on a connected machine; URL is a package index

All that is installed here and that Lanterna asks for, directly or through others. The licence is what the
package says of itself; the date is that of its last release on the index (PEP 700), `-` without one.
`--audit` also looks for known weaknesses with pip-audit, which must be installed.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import urllib.request
from importlib import metadata

from packaging.markers import default_environment
from packaging.requirements import Requirement

EXTRAS = ("", "video", "notebook", "cluster")
"""What somebody who uses it may have installed: not what only developers need."""


def needed(name: str, extras: tuple[str, ...] = ("",)) -> set[str]:
    """The names of all packages that a package asks for here, itself not among them, those of others too."""
    found: set[str] = set()
    waiting = [(name, extras)]
    seen = set()
    while waiting:
        asked, wanted = waiting.pop()
        if (asked, wanted) in seen:
            continue
        seen.add((asked, wanted))
        try:
            requirements = metadata.requires(asked) or []
        except metadata.PackageNotFoundError:
            continue  # of another system, or not installed here
        for text in requirements:
            requirement = Requirement(text)
            marker = requirement.marker
            if marker and not any(
                marker.evaluate({**default_environment(), "extra": each}) for each in wanted
            ):
                continue
            plain = canonical(requirement.name)
            found.add(plain)
            waiting.append((plain, tuple(sorted({"", *requirement.extras}))))
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


def main() -> int:
    """Print the bill, and audit where that is asked for."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--index", help="a package index that answers in JSON (PEP 691)")
    words.add_argument("--audit", action="store_true", help="look for known weaknesses with pip-audit")
    given = words.parse_args()
    names = sorted(needed("lanterna", EXTRAS) - {"lanterna"})
    print("# The software bill\n")
    print("What Lanterna and its extras stand on; made by `python scripts/bill.py --index URL`.\n")
    print("| package | version | licence | last release |\n|---|---|---|---|")
    for name in names:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        date = last_release(name, given.index) if given.index else "-"
        print(f"| {name} | {version} | {licence(name)} | {date} |")
    if given.audit:
        return subprocess.run([sys.executable, "-m", "pip_audit", "--local"], check=False).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
