"""The AsyncAPI document: in step with the contracts, and whole in itself."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mirsal_contracts.topics import TOPICS

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "shared" / "runtime" / "asyncapi.py"


def read_document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ROOT / "docs" / "asyncapi.json").read_text())
    return document


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_document_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_topic_is_a_channel() -> None:
    channels = read_document()["channels"]
    assert set(channels) == {topic.name for topic in TOPICS}
    for topic in TOPICS:
        assert channels[topic.name]["bindings"]["kafka"]["partitions"] == topic.partitions


def test_every_reference_leads_somewhere() -> None:
    document = read_document()
    found = set(references(document))
    assert found
    for reference in found:
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_names_of_components_are_allowed() -> None:
    for section in read_document()["components"].values():
        for name in section:
            assert re.fullmatch(r"[a-zA-Z0-9._-]+", name)
