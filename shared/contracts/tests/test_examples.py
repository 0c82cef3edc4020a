"""Golden messages: what was ever released must parse, and satisfy its schema, for ever."""

import json
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from mirsal_contracts.commands import RunNode
from mirsal_contracts.controls import (
    CancelRun,
    ForgetRun,
    ReplayLetter,
    ResolveExecution,
    RetryRun,
)
from mirsal_contracts.message import Message
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.statuses import NODE_STATUS, NodeFailed, NodeSucceeded, NodeUnconfirmed
from mirsal_contracts.timers import TimerFired
from mirsal_contracts.topics import COMMANDS
from pydantic import TypeAdapter

HERE = Path(__file__).parents[1]
EXAMPLES = sorted((HERE / "examples").rglob("*.json"))
TOPICS = [yaml.safe_load(path.read_text("utf-8")) for path in (HERE / "topics").glob("*.yaml")]
READERS: dict[str, TypeAdapter[Message]] = {
    "executions.requested": TypeAdapter(RunRequested),
    **{f"node.commands.{connector}": TypeAdapter(RunNode) for connector in COMMANDS},
    "node.statuses": NODE_STATUS,  # type: ignore[dict-item]  # a union, each member a Message
    "run.timers": TypeAdapter(TimerFired),
}
CONTROLS: tuple[type[Message], ...] = (
    CancelRun,
    RetryRun,
    ResolveExecution,
    ReplayLetter,
    ForgetRun,
)
# The header says which of the topic's messages it is; an example's file is named after it.
READERS_BY_KIND: dict[str, TypeAdapter[Message]] = {
    each.TYPE.removeprefix("mirsal.").removesuffix(".v1"): TypeAdapter(each) for each in CONTROLS
}
MODELS = (
    RunRequested,
    *CONTROLS,
    RunNode,
    NodeSucceeded,
    NodeFailed,
    NodeUnconfirmed,
    TimerFired,
)


def label(path: Path) -> str:
    """The example as a person would name it."""
    return path.relative_to(HERE / "examples").as_posix()


def read(path: Path) -> Message:
    """The example, read as its topic's consumers do."""
    return reader_of(path).validate_json(path.read_bytes())


def reader_of(path: Path) -> TypeAdapter[Message]:
    """What the topic's consumers read the example with."""
    return READERS_BY_KIND.get(path.stem) or READERS[path.parts[-3]]


@pytest.mark.parametrize("path", EXAMPLES, ids=label)
def test_an_example_reads_and_says_the_same_again(path: Path) -> None:
    message = read(path)
    again = json.loads(message.to_json())
    written = json.loads(path.read_text("utf-8"))
    assert {key: again[key] for key in written if key not in ("graph", "lead")} == {
        key: value for key, value in written.items() if key not in ("graph", "lead")
    }
    assert type(message).model_validate_json(message.to_json()) == message


@pytest.mark.parametrize("path", EXAMPLES, ids=label)
def test_an_example_satisfies_its_committed_schema(path: Path) -> None:
    kind = type(read(path)).TYPE.removeprefix("mirsal.")
    schema = json.loads((HERE / "schemas" / f"{kind}.json").read_text("utf-8"))
    jsonschema_rs.validate(schema, json.loads(path.read_text("utf-8")))


@pytest.mark.parametrize("path", EXAMPLES, ids=label)
def test_a_newer_writer_may_add_members(path: Path) -> None:
    newer = json.loads(path.read_text("utf-8")) | {"addedLater": {"deep": [1]}}
    reader = reader_of(path)
    assert reader.validate_json(json.dumps(newer)) == read(path)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_message_has_an_example_and_a_topic(model: type[Message]) -> None:
    assert any(type(read(path)) is model for path in EXAMPLES)
    assert any(model.__name__ in topic["messages"] for topic in TOPICS)


def test_every_topic_has_an_example_of_what_it_carries() -> None:
    for topic in TOPICS:
        if topic["messages"]:
            noun, version = topic["name"].rsplit(".", 1)
            assert list((HERE / "examples" / noun / version).glob("*.json")), topic["name"]


def test_all_topics_of_the_orchestrator_have_the_same_partitions() -> None:
    read_by_it = [topic for topic in TOPICS if "orchestrator" in topic["consumers"]]
    assert len(read_by_it) == 3
    assert len({topic["partitions"] for topic in read_by_it}) == 1
