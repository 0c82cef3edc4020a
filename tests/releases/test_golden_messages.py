"""What every release wrote is read by this version, and the last release reads what this writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import mirsal_testing.releases.old_reader
import pytest
from mirsal_contracts.commands import RunNode
from mirsal_contracts.message import Envelope
from mirsal_contracts.nodes import NODE_TYPES
from mirsal_contracts.topics import COMMANDS, DEAD_LETTERS, TOPICS
from mirsal_runtime.dead_letters import find_letter
from mirsal_runtime.work import Headers, read_command
from mirsal_testing.releases.keeping import current_schemas
from mirsal_testing.releases.kept import GoldenMessage, all_releases, last_release
from mirsal_testing.releases.shapes import missing_from
from mirsal_testing.releases.source import Checkout, unpack
from orchestrator.decide.state import RunRequest, RunState
from orchestrator.intake.records import KINDS, Arrival, read_record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirsal_contracts.message import Message

ROOT = Path(__file__).parents[2]
GOLDEN = [(release, message) for release in all_releases() for message in release.messages()]
STATES = [(release, state) for release in all_releases() for state in release.states()]
EXAMPLES = sorted((ROOT / "shared/contracts/examples").rglob("*.json"))
DEAD = {topic.name for topic in DEAD_LETTERS.values()}
CONNECTORS = {topic.name: connector for connector, topic in COMMANDS.items()}


class Record(NamedTuple):
    """A golden message as a consumer gets it."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    partition: int = 0
    offset: int = 0


def record_of(message: GoldenMessage) -> Record:
    return Record(message.topic, message.key, message.value, message.headers)


def is_poison(message: GoldenMessage) -> bool:
    """What the recording itself put there for nobody to read; the dead letters are made of it."""
    return message.value == b"{broken"


def read(message: GoldenMessage) -> Message:
    """The message, read by the code of this version that consumes its topic."""
    if message.topic in KINDS:
        arrival = read_record(record_of(message), "")
        assert isinstance(arrival, Arrival), arrival
        return arrival.message
    command = read_command(CONNECTORS[message.topic], message.value, Headers(message.type, ""))
    NODE_TYPES[command.connector].config.model_validate(command.config)
    return command


def label(value: Any) -> str:
    release, message = value
    said = f"{message.topic}-{message.type.removeprefix('mirsal.')}"
    return f"{release.version}-{said}"


READABLE = [each for each in GOLDEN if not is_poison(each[1]) and each[1].topic not in DEAD]


@pytest.mark.parametrize("golden", READABLE, ids=label)
def test_every_member_that_was_released_is_read(golden: tuple[Any, GoldenMessage]) -> None:
    _, message = golden
    again = json.loads(read(message).to_json())
    assert missing_from(json.loads(message.value), again) == []
    sent, kept = dict(message.headers), dict(Envelope.from_headers(message.headers).to_headers())
    assert {name: kept.get(name) for name in sent} == sent


@pytest.mark.parametrize("golden", [each for each in GOLDEN if each[1].topic in DEAD], ids=label)
def test_every_dead_letter_that_was_released_is_found(golden: tuple[Any, GoldenMessage]) -> None:
    _, message = golden
    found = find_letter(message.key, message.value, message.headers)
    assert found.letter.topic in {topic.name for topic in TOPICS} - DEAD
    assert found.letter.offset >= 0
    assert found.died_at is not None
    assert found.reason != "unknown"
    assert found.text


@pytest.mark.parametrize("stored", STATES, ids=lambda each: each[1]["state"]["status"])
def test_every_run_that_was_stored_is_read(stored: tuple[Any, dict[str, Any]]) -> None:
    _, run = stored
    again = json.loads(RunState.from_json(json.dumps(run["state"])).to_json())
    assert missing_from(run["state"], again) == []
    empty = RunRequest("w", "r", "f", 1, "l", RunState.from_json(json.dumps(run["state"])).stamp,
                       {}, {})  # fmt: skip
    request = json.loads(empty.with_json(json.dumps(run["request"])).to_json())
    assert missing_from(run["request"], request) == []


def test_each_release_left_messages_of_every_type_on_every_topic() -> None:
    for release in all_releases():
        messages = release.messages()
        schemas = {f"mirsal.{name}" for name in release.schemas() if not name.startswith("config.")}
        assert schemas == {each.type for each in messages if each.topic not in DEAD}
    topics = {each.topic for each in last_release().messages()}
    assert topics <= {topic.name for topic in TOPICS}
    assert len(topics) >= 14


def written_now() -> Iterable[tuple[str, bytes]]:
    """Type and value of what this version writes: its examples, and golden messages read anew."""
    for path in EXAMPLES:
        message = GoldenMessage(f"{path.parts[-3]}.v1", None, headers_of(path), path.read_bytes())
        yield message.type, read(message).to_json()
    for _, message in READABLE:
        yield message.type, read(message).to_json()


def headers_of(path: Path) -> tuple[tuple[str, bytes], ...]:
    """An example's type: its file is named after it, or after a case of it."""
    names = sorted(current_schemas(ROOT), key=len, reverse=True)
    kind = next(name for name in names if path.stem.startswith(name.removesuffix(".v1")))
    return (("ce_type", f"mirsal.{kind}".encode()),)


def test_the_last_release_reads_what_this_version_writes() -> None:
    known = {f"mirsal.{name}" for name in last_release().schemas()}
    written = [(kind, value) for kind, value in written_now() if kind in known]
    lines = [json.dumps({"type": kind, "value": value.decode()}) for kind, value in written]
    folder = unpack(last_release())
    done = subprocess.run(
        [sys.executable, mirsal_testing.releases.old_reader.__file__],
        input="\n".join(lines),
        env={**os.environ, **Checkout(folder, Path(sys.executable)).environment},
        capture_output=True,
        text=True,
        check=True,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(written) > 30
    faults = [
        f"{kind}: {fault}"
        for (kind, value), answer in zip(written, answers, strict=True)
        for fault in ([answer["fault"]] if "fault" in answer else lost(kind, value, answer))
    ]
    assert faults == []


def lost(kind: str, value: bytes, answer: dict[str, Any]) -> list[str]:
    """What the last release has a member for, and read otherwise than it was written."""
    known = last_release().schemas()[kind.removeprefix("mirsal.")]["properties"]
    ours = {name: member for name, member in json.loads(value).items() if name in known}
    return missing_from(ours, {**ours, **answer})


def test_the_last_release_is_what_reads() -> None:
    """The packages of the archive come before those that are installed here."""
    folder = unpack(last_release())
    done = subprocess.run(
        [sys.executable, "-c", "import mirsal_contracts as found; print(found.__file__)"],
        env={**os.environ, **Checkout(folder, Path(sys.executable)).environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).is_relative_to(folder)
    assert RunNode.TYPE == "mirsal.node.run.v1"
