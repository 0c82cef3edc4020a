"""Which licences an image holds: `docker run --rm -i IMAGE python - < deploy/list_licences.py`.

Parts are those of the image's SBOM, licences what their own metadata says. Ends with 1 where one
says nothing. Some parts of the SBOM are for other systems, and not in the image.
"""

import json
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import NamedTuple

SBOM = "sbom.cdx.json"
UNSAID = "?"
ABSENT = "not in this image"
OURS = "ours"
_CLASSIFIER = "License ::"


class Part(NamedTuple):
    """A part of the SBOM, and its licence or why there is none."""

    name: str
    version: str
    licence: str


def list_parts(environment: Path) -> Iterator[Part]:
    """The parts of the environment in this folder. Raises `OSError` where there is no SBOM."""
    folders = [str(folder) for folder in environment.glob("lib/python3*/site-packages")]
    installed = {_key(each.name): each for each in distributions(path=folders)}
    told = json.loads((environment / SBOM).read_text("utf-8"))
    for part in (told["metadata"]["component"], *told["components"]):
        found = installed.get(_key(part["name"]))
        yield Part(part["name"], part["version"], _licence_in(part, found))


def licence_of(found: Distribution) -> str:
    """The newest way of saying it first: expression, classifiers, a text's first line."""
    expressions = found.metadata.get_all("License-Expression", [])
    if expressions:
        return str(expressions[0])
    classifiers = found.metadata.get_all("Classifier", [])
    named = [each.rpartition(":: ")[2] for each in classifiers if each.startswith(_CLASSIFIER)]
    if named:
        return " and ".join(named)
    lines = "\n".join(found.metadata.get_all("License", [])).strip().splitlines()
    return lines[0] if lines else UNSAID


def _licence_in(part: dict[str, str], found: Distribution | None) -> str:
    if part["name"].startswith("mirsal-"):
        return OURS
    if found is None or found.version != part["version"]:
        return ABSENT
    return licence_of(found)


def main() -> int:
    """Write `name version licence`, with tabs; the exit code."""
    parts = list(list_parts(Path(sys.prefix)))
    sys.stdout.writelines("\t".join(part) + "\n" for part in parts)
    return 1 if any(part.licence == UNSAID for part in parts) else 0


def _key(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


if __name__ == "__main__":
    sys.exit(main())
