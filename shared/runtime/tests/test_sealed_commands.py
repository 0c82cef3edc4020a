"""Commands that are sealed: opened for the attempt, answered sealed, and never again after."""

import os
from pathlib import Path

import pytest
from mirsal_contracts.commands import RunNode
from mirsal_contracts.leads import CONFIG, ERROR, HIDDEN, OUTPUT
from mirsal_contracts.statuses import NodeFailed, NodeSucceeded
from mirsal_runtime.failures import PermanentError
from mirsal_runtime.vault.personal import LeadKey
from mirsal_testing.commands import make_command
from mirsal_testing.lead_keys import KeyCabinet
from mirsal_testing.noop_worker.connector import connector
from mirsal_testing.worker_rig import WorkerRig
from mirsal_testing.worker_world import World, raising

WORDS = "ahmed@example.com"


def seal(command: RunNode, key: LeadKey) -> RunNode:
    config = key.hide(command.config, CONFIG, command.command_id)
    return command.model_copy(update={"config": config})


async def test_a_sealed_command_is_served_and_answered_sealed(tmp_path: Path) -> None:
    cabinet = KeyCabinet()
    key = await cabinet.make("tests", "a-lead")
    command = seal(make_command(config={"value": WORDS}), key)
    assert WORDS.encode() not in command.to_json()
    async with WorkerRig(connector, tmp_path, keys=cabinet.reader()) as rig:
        status = await rig.run(command)
        await rig.until_done()
        assert not any(WORDS.encode() in (each.value or b"") for each in rig.kafka.messages)
        written = [Path(root) / name for root, _, names in os.walk(tmp_path) for name in names]
        assert not any(WORDS.encode() in path.read_bytes() for path in written)
    assert isinstance(status, NodeSucceeded)
    opened = key.reveal(status.output, OUTPUT, command.execution_id)
    assert opened["value"] == WORDS


async def test_what_a_provider_says_is_sealed_and_its_code_is_not(world: World) -> None:
    cabinet = KeyCabinet()
    key = await cabinet.make("tests", "a-lead")
    world.provider.before = raising(PermanentError("refused", f"no {WORDS}", details={"n": WORDS}))
    command = seal(make_command(config={"value": 1}), key)
    async with world.process(keys=cabinet.reader()) as process:
        status = await process.run(command)
    assert isinstance(status, NodeFailed)
    assert (status.kind, status.error.code, status.error.message) == (
        "permanent",
        "refused",
        HIDDEN,
    )
    assert WORDS not in str(status)
    words = key.reveal(status.error.details or {}, ERROR, command.execution_id)
    assert words == {"message": f"no {WORDS}", "details": {"n": WORDS}}


@pytest.mark.parametrize("fate", ["erased", "moved", "elsewhere", "away"])
async def test_what_does_not_open_is_not_sent(tmp_path: Path, fate: str) -> None:
    cabinet = KeyCabinet()
    key = await cabinet.make("tests", "a-lead")
    command = seal(make_command(config={"value": WORDS}), key)
    if fate == "erased":
        cabinet.erase(key)
    elif fate == "moved":
        cabinet.move(key, lead_id="other")
    elif fate == "elsewhere":
        other = make_command(config={"value": WORDS})
        command = command.model_copy(update={"config": seal(other, key).config})
    else:
        cabinet.away = True
    async with WorkerRig(connector, tmp_path, keys=cabinet.reader()) as rig:
        status = await rig.run(command)
        await rig.until_done()
        assert not rig.kafka.of("dead-letters.noop.v1")
    assert isinstance(status, NodeFailed)
    assert (status.kind, status.error.code) == {
        "erased": ("permanent", "lead_erased"),
        "moved": ("action_required", "lead_unreadable"),
        "elsewhere": ("action_required", "lead_unreadable"),
        "away": ("throttled", "lead_keys_unavailable"),
    }[fate]


async def test_a_config_in_the_open_is_answered_in_the_open(tmp_path: Path) -> None:
    async with WorkerRig(connector, tmp_path) as rig:
        status = await rig.run(make_command(config={"value": "x"}))
    assert isinstance(status, NodeSucceeded)
    assert status.output["value"] == "x"
