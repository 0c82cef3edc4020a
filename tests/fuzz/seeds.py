"""What fuzzing begins with: the injection corpus, what the authors' page shows, and seeds/."""

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DICTIONARY: Final = Path(__file__).parent / "words.dict"
_KEPT: Final = Path(__file__).parent / "seeds"
_PAYLOADS: Final = ROOT / "shared/expressions/tests/data/ssti_payloads.txt"
_AUTHORS_PAGE: Final = ROOT / "docs/EXPRESSIONS.md"


def write_seeds(target: str, folder: Path) -> int:
    """Writes each seed of a target to a file of its own; gives how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds = set(_read_kept(target))
    if target != "readers":
        seeds |= set(_PAYLOADS.read_text("utf-8").splitlines())
        seeds |= set(re.findall(r"`([^`\n]+)`", _AUTHORS_PAGE.read_text("utf-8")))
    for seed in seeds:
        data = seed.encode("utf-8", "surrogatepass")
        (folder / sha256(data).hexdigest()[:16]).write_bytes(data)
    return len(seeds)


def _read_kept(target: str) -> list[str]:
    """A seed a line, as a JSON text."""
    lines = (_KEPT / f"{target}.jsonl").read_text("utf-8").split("\n")
    return [str(json.loads(line)) for line in lines if line]
