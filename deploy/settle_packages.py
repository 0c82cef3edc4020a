"""Takes out of this environment what differs from one build of a commit to the next.

Run when an image is built, by the environment's own Python: uv notes when it built each of our
packages, and gives the list of parts (SBOM) a random number and the time.
"""

import json
import sys
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

CACHE = "uv_cache.json"
SBOM = "sbom.cdx.json"


def settle(environment: Path) -> None:
    """Do so in the environment in this folder."""
    for note in sorted(environment.glob(f"lib/python3*/site-packages/*.dist-info/{CACHE}")):
        note.unlink()
        record = note.with_name("RECORD")
        lines = record.read_text("utf-8").splitlines(keepends=True)
        kept = [line for line in lines if f".dist-info/{CACHE}," not in line]
        record.write_text("".join(kept), "utf-8")
    parts = environment / SBOM
    told = json.loads(parts.read_text("utf-8"))
    del told["serialNumber"], told["metadata"]["timestamp"]
    # The number of what it says: another one for other parts, the same for the same.
    number = uuid5(NAMESPACE_OID, json.dumps(told, sort_keys=True))
    told = {**told, "serialNumber": f"urn:uuid:{number}"}
    parts.write_text(json.dumps(told, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    settle(Path(sys.prefix))
