"""Dream a picture with a studio that is open: send it, start a job, watch it, fetch what it made.

`python examples/studio_client.py STUDIO/address.txt cat.jpg dream.png`, where STUDIO is the studio's folder;
`lanterna doctor` says where it is. Only you can read that file, while everybody can read a command line.
Nothing but Python is needed, so that it also runs inside other programs, such as TouchDesigner and Blender.
"""

import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


def ask(method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Any:  # noqa: ANN401
    """What the studio answers; a refusal is told in its own words."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind}
    request = urllib.request.Request(STUDIO + path, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            content = answer.read()
            return json.loads(content) if answer.headers["Content-Type"] == "application/json" else content
    except urllib.error.HTTPError as error:
        sys.exit(f"the studio refused: {json.loads(error.read())['error']}")


if len(sys.argv) != 4:
    sys.exit(__doc__)
STUDIO, _, TOKEN = Path(sys.argv[1]).read_text(encoding="ascii").strip().partition("/?token=")
source, target = Path(sys.argv[2]), Path(sys.argv[3])

picture = ask("POST", f"/api/pictures?title={source.stem}", source.read_bytes(), "image/*")
job = {
    "kind": "dream",
    "settings": {"size": 384},
    "inputs": [{"role": "picture", "picture": picture["id"]}],
}
job = ask("POST", "/api/jobs", json.dumps(job).encode())
while job["state"] in ("queued", "running", "paused"):
    time.sleep(0.25)
    job = ask("GET", f"/api/jobs/{job['id']}")
    print(f"{job['state']}, step {job['step']} of {job['steps']}")
if job["picture"] is None:
    sys.exit(f"it has {job['state']}: {job['error']}")
target.write_bytes(ask("GET", f"/api/pictures/{job['picture']}/file"))
print(f"{target}: {target.stat().st_size // 1000} kB")
