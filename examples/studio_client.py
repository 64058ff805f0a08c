"""Dream on a picture with a running studio: upload it, start a job, wait for it, download the result.

`python examples/studio_client.py STUDIO/address.txt cat.jpg dream.png`, where STUDIO is the studio's folder;
`lanterna doctor` prints its path. The address is read from a file because only you can read that, while all
users can read a command line. The script needs only Python's standard library, so it also runs inside other
programs, such as TouchDesigner and Blender.
"""

import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


def request(method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Any:  # noqa: ANN401
    """Send a request and return the response; exit with the studio's message if it refuses."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind}
    prepared = urllib.request.Request(STUDIO + path, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(prepared) as response:
            content = response.read()
            return json.loads(content) if response.headers["Content-Type"] == "application/json" else content
    except urllib.error.HTTPError as error:
        sys.exit(f"the studio refused: {json.loads(error.read())['error']}")


if len(sys.argv) != 4:
    sys.exit(__doc__)
STUDIO, _, TOKEN = Path(sys.argv[1]).read_text(encoding="ascii").strip().partition("/?token=")
source, target = Path(sys.argv[2]), Path(sys.argv[3])

picture = request("POST", f"/api/pictures?title={source.stem}", source.read_bytes(), "image/*")
job = {
    "kind": "dream",
    "settings": {"size": 384},
    "inputs": [{"role": "picture", "picture": picture["id"]}],
}
job = request("POST", "/api/jobs", json.dumps(job).encode())
while job["state"] in ("queued", "running", "paused"):
    time.sleep(0.25)
    job = request("GET", f"/api/jobs/{job['id']}")
    print(f"{job['state']}, step {job['step']} of {job['steps']}")
if job["picture"] is None:
    sys.exit(f"the job {job['state']}: {job['error']}")
target.write_bytes(request("GET", f"/api/pictures/{job['picture']}/file"))
print(f"{target}: {target.stat().st_size // 1000} kB")
