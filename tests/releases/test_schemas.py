"""Message by message: what this version may write, the last release reads, and the other way."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from mirsal_testing.releases.compatibility import removed_since, unread_by
from mirsal_testing.releases.keeping import current_schemas
from mirsal_testing.releases.kept import all_releases, last_release

ROOT = Path(__file__).parents[2]
NOW = current_schemas(ROOT)
LAST = last_release().schemas()
MESSAGES = sorted(name for name in LAST if not name.startswith("config."))
KEPT = [(release, name) for release in all_releases() for name in release.schemas()]


@pytest.mark.parametrize(("release", "name"), KEPT, ids=lambda each: getattr(each, "version", each))
def test_what_was_released_is_read_and_nothing_of_it_is_gone(release: Any, name: str) -> None:
    """Messages in Kafka, and the nodes of workflows that were saved."""
    assert name in NOW, f"{name} is gone, and messages of it may still lie in Kafka"
    old = release.schemas()[name]
    assert unread_by(old, NOW[name]) == []
    assert removed_since(old, NOW[name]) == []


@pytest.mark.parametrize("name", MESSAGES)
def test_the_last_release_reads_all_that_this_version_may_write(name: str) -> None:
    assert unread_by(NOW[name], LAST[name]) == []


def changed(name: str, path: str, **members: Any) -> dict[str, Any]:
    """A schema of the last release in which one member was changed; None takes a key away."""
    schema: dict[str, Any] = copy.deepcopy(LAST[name])
    *way, last = path.split("/")
    place = schema
    for step in way:
        place = place[step]
    place[last] = {**place.get(last, {}), **members}
    place[last] = {key: value for key, value in place[last].items() if value is not None}
    return schema


def renamed(name: str, old: str, new: str) -> dict[str, Any]:
    schema: dict[str, Any] = copy.deepcopy(LAST[name])
    schema["properties"][new] = schema["properties"].pop(old)
    needed = schema.get("required", [])
    schema["required"] = [new if each == old else each for each in needed]
    return schema


@pytest.mark.parametrize(
    ("name", "other", "fault"),
    [
        ("node.run.v1", renamed("node.run.v1", "leadId", "person"), ".person is needed"),
        (
            "node.run.v1",
            changed("node.run.v1", "properties/attempt", type="string", minimum=None),
            ".attempt may be integer, read is string",
        ),
        (
            "node.run.v1",
            changed("node.run.v1", "properties/attempt", minimum=2),
            ".attempt has no minimum of 2",
        ),
        (
            "run.requested.v1",
            changed("run.requested.v1", "$defs/Lead/properties/name", type="integer", anyOf=None),
            ".lead.name may be",
        ),
        (
            "node.failed.v1",
            changed("node.failed.v1", "properties/kind", enum=["transient"]),
            ".kind may be",
        ),
    ],
)
def test_a_reader_that_changed_is_found(name: str, other: dict[str, Any], fault: str) -> None:
    found = unread_by(LAST[name], other)
    assert any(each.startswith(fault) for each in found), found


def test_a_member_that_is_gone_is_found() -> None:
    gone = removed_since(LAST["run.requested.v1"], renamed("run.requested.v1", "input", "given"))
    assert gone == [".input is gone"]
    deep = copy.deepcopy(LAST["run.requested.v1"])
    del deep["$defs"]["Lead"]["properties"]["phone"]
    assert removed_since(LAST["run.requested.v1"], deep) == [".lead.phone is gone"]


def test_a_member_that_is_new_is_no_fault() -> None:
    newer = changed("node.run.v1", "properties/sealed", type="string", default="")
    assert unread_by(newer, LAST["node.run.v1"]) == []
    assert unread_by(LAST["node.run.v1"], newer) == []
    assert removed_since(LAST["node.run.v1"], newer) == []


def test_what_is_not_always_written_any_more_is_found() -> None:
    schema: dict[str, Any] = copy.deepcopy(LAST["run.requested.v1"])
    schema["required"].remove("lead")
    assert unread_by(schema, LAST["run.requested.v1"]) == [
        ".lead is needed where it is read, and not always written"
    ]
