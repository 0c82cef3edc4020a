"""Real processes on real Kafka and PostgreSQL, killed, paused, stopped and moved under load.

The probe's effects are lines in a file: none may be there twice, none may be missing that was
reported as done. Each test first shows that its fault happened.
"""

import asyncio
import signal
from collections import Counter
from pathlib import Path

import pytest
from mirsal_contracts.commands import RunNode
from mirsal_contracts.statuses import NodeFailed, NodeSucceeded, NodeUnconfirmed
from mirsal_runtime.failpoints import Failpoint
from mirsal_runtime.settings import RuntimeSettings
from mirsal_testing.commands import command_message, make_command
from mirsal_testing.servers import Server
from mirsal_testing.worker_processes import Field, WorkerProcess, open_field

PROBE = str(Path(__file__).parent / "processes" / "probe_worker.py")
GROUP = "noop-worker"


class Probes:
    """Probe processes on a field, and what became of their commands."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self._effects = field.folder / "effects"

    def process(self, number: int = 1) -> WorkerProcess:
        return self.field.process(
            f"noop-worker-{number}", [PROBE], PROBE_EFFECTS=str(self._effects)
        )

    @property
    def effects(self) -> Counter[str]:
        """How often each run had its effect."""
        if not self._effects.exists():
            return Counter()
        return Counter(line.split()[0] for line in self._effects.read_text().splitlines())

    async def until_effects(self, count: int) -> None:
        async with asyncio.timeout(30):
            while sum(self.effects.values()) < count:
                await asyncio.sleep(0.01)

    def check(self, commands: list[RunNode], *, unconfirmed: int = 0) -> None:
        """No effect twice; each success has its effect; few attempts are unconfirmed."""
        effects = self.effects
        assert [run for run, count in effects.items() if count > 1] == []
        unknown = 0
        for command in commands:
            first = self.field.statuses[command.run_id][0]
            assert not isinstance(first, NodeFailed), first
            unknown += isinstance(first, NodeUnconfirmed)
            if isinstance(first, NodeSucceeded):
                assert effects[command.run_id] == 1
        assert unknown <= unconfirmed

    async def until_committed(self) -> None:
        """Wait until the committed offsets are at the ends, and not past them."""
        async with asyncio.timeout(30):
            while True:
                committed, ends = await self.field.read_committed(GROUP)
                assert committed <= ends
                if committed == ends:
                    return


@pytest.fixture
def probes(field: Field) -> Probes:
    return Probes(field)


def commands_of(count: int, *, after: float = 0.0, timeout: float = 15.0) -> list[RunNode]:
    return [
        make_command(config={"value": {"after": after}}, timeout_seconds=timeout)
        for _ in range(count)
    ]


COMMIT_POINTS: tuple[Failpoint, ...] = (
    "before_claim",
    "after_claim",
    "before_call",
    "after_call",
    "after_answer",
    "after_outcome",
    "after_status",
    "before_commit",
    "after_commit",
)


@pytest.mark.parametrize("failpoint", COMMIT_POINTS)
async def test_kill_at_each_commit_point(probes: Probes, failpoint: Failpoint) -> None:
    commands = commands_of(60)
    worker = probes.process()
    await probes.field.send(commands)
    await worker.start(MIRSAL_FAILPOINT=failpoint)
    assert await worker.ended() == -signal.SIGKILL
    await worker.start()
    await probes.field.until_reported(commands)
    await worker.until_ready()
    in_call = failpoint in ("before_call", "after_call", "after_answer")
    probes.check(commands, unconfirmed=50 if in_call else 0)
    await probes.until_committed()
    assert await worker.stop() == 0


async def test_kills_under_load(probes: Probes) -> None:
    commands = commands_of(600, after=0.05)
    workers = [probes.process(1), probes.process(2)]
    for worker in workers:
        await worker.start()
    for worker in workers:
        await worker.until_ready()
    sending = asyncio.create_task(send_slowly(probes.field, commands, 100))
    for kill in range(4):
        await asyncio.sleep(1.2)
        worker = workers[kill % 2]
        assert sum(probes.effects.values()) < len(commands)
        await worker.kill()
        await worker.start()
    await sending
    await probes.field.until_reported(commands)
    probes.check(commands, unconfirmed=4 * 50)


async def test_paused_process_that_wakes_has_no_further_effect(probes: Probes) -> None:
    """Paused for longer than its session, its silence and its leases: others take over."""
    commands = commands_of(30, after=0.4, timeout=1.0)
    zombie, other = probes.process(1), probes.process(2)
    await zombie.start()
    await zombie.until_ready()
    await probes.field.send(commands)
    await probes.until_effects(1)
    zombie.signal(signal.SIGSTOP)
    await asyncio.sleep(0.2)
    before = probes.effects
    await other.start()
    await probes.field.until_reported(commands)
    unconfirmed = [
        run
        for run, statuses in probes.field.statuses.items()
        if isinstance(statuses[0], NodeUnconfirmed)
    ]
    assert unconfirmed
    zombie.signal(signal.SIGCONT)
    await zombie.until_ready()
    later = commands_of(30)
    await probes.field.send(later)
    await probes.field.until_reported(later)
    # Its one thread may have stood between its last look at the clock and its write, where nothing
    # can be asked any more: that one attempt is unconfirmed rightly.
    late = [run for run in unconfirmed if probes.effects[run] > before[run]]
    assert len(late) <= 1
    probes.check([*commands, *later], unconfirmed=50)


async def test_rebalances_under_load(probes: Probes) -> None:
    commands = commands_of(900, after=0.02)
    first, second = probes.process(1), probes.process(2)
    await first.start()
    await first.until_ready()
    sending = asyncio.create_task(send_slowly(probes.field, commands, 150))
    for _ in range(2):
        await second.start(MIRSAL_LEAVE_GROUP="true")
        await second.until_ready()
        await asyncio.sleep(1.0)
        assert "partitions_assigned" in second.log.read_text()
        assert await second.stop() == 0
    await sending
    await probes.field.until_reported(commands)
    probes.check(commands)
    assert len({status.run_id for status in commands}) == 900
    await probes.until_committed()
    assert await first.stop() == 0


async def test_sigterm_under_load_loses_and_doubles_nothing(probes: Probes) -> None:
    commands = commands_of(300, after=0.2)
    worker = probes.process()
    await worker.start()
    await worker.until_ready()
    await probes.field.send(commands)
    for round_ in range(1, 3):
        await probes.until_effects(60 * round_)
        assert await worker.stop() == 0
        assert sum(probes.effects.values()) < len(commands)
        await worker.start()
    await probes.field.until_reported(commands)
    probes.check(commands)
    repeats = sum(len(found) - 1 for found in probes.field.statuses.values())
    assert repeats == 0


async def test_poison_goes_to_the_dead_letters_and_holds_nothing_up(probes: Probes) -> None:
    commands = commands_of(100)
    poisoned = make_command()
    template = command_message(poisoned)
    values = [b"{", b"\xff\xfe", b"[]", b"", None]
    worker = probes.process()
    await worker.start()
    messages = [command_message(command) for command in commands]
    await probes.field.send_messages(
        [*messages[:50], *(template._replace(value=value) for value in values), *messages[50:]]
    )
    await probes.field.until_reported([*commands, poisoned])
    probes.check(commands)
    letters = await probes.field.read_messages(probes.field.topics[1], len(values))
    assert sorted(value or b"" for value, _ in letters) == sorted(v or b"" for v in values)
    assert {headers["dead_letter_topic"] for _, headers in letters} == {b"node.commands.noop.v1"}
    assert {headers["ce_executionid"].decode() for _, headers in letters} == {poisoned.execution_id}
    statuses = probes.field.statuses[poisoned.run_id]
    assert isinstance(statuses[0], NodeFailed)
    assert statuses[0].error.code == "unreadable_command"
    await probes.until_committed()
    assert await worker.stop() == 0


async def test_flood_of_poison_makes_the_process_unready(probes: Probes) -> None:
    poison = command_message(make_command())._replace(value=b"{")
    worker = probes.process()
    await worker.start(MIRSAL_DEAD_LETTER_LIMIT="5")
    await worker.until_ready()
    await probes.field.send_messages([poison] * 20)
    await worker.until_readiness(503, "5 records in a row could not be read")
    assert await worker.stop() == 0
    committed, _ = await probes.field.read_committed(GROUP)
    assert committed == 5


async def test_database_that_is_killed_and_comes_back(
    probes: Probes, postgres_server: Server
) -> None:
    commands = commands_of(300, after=0.05)
    worker = probes.process()
    await worker.start()
    await worker.until_ready()
    sending = asyncio.create_task(send_slowly(probes.field, commands, 100))
    await probes.until_effects(50)
    await postgres_server.kill()
    await worker.until_readiness(503, "PostgreSQL is away")
    await postgres_server.start()
    await sending
    await probes.field.until_reported(commands)
    probes.check(commands)


async def test_broker_that_is_killed_and_comes_back(probes: Probes, kafka_server: Server) -> None:
    commands = commands_of(300, after=0.05)
    worker = probes.process()
    await worker.start()
    await worker.until_ready()
    await probes.field.send(commands[:150])
    await probes.until_effects(20)
    await kafka_server.kill()
    await asyncio.sleep(1.0)
    await kafka_server.start()
    await probes.field.send(commands[150:])
    await probes.field.until_reported(commands)
    probes.check(commands)


async def test_namesake_of_a_living_process_waits_and_says_why(probes: Probes) -> None:
    first = probes.process()
    namesake = probes.process()
    await first.start()
    await first.until_ready()
    await namesake.start()
    await namesake.until_readiness(503, "another process runs as 'noop-worker-1'")
    await first.kill()
    await namesake.until_ready()


async def test_process_without_topics_says_so_and_begins_when_they_are_made(
    field_settings: RuntimeSettings, tmp_path: Path
) -> None:
    async with open_field(field_settings, tmp_path, topics=False) as field:
        worker = Probes(field).process()
        await worker.start()
        await worker.until_readiness(503, "node.commands.noop.v1")
        await field.make_topics()
        await worker.until_ready()
        assert await worker.stop() == 0


async def send_slowly(field: Field, commands: list[RunNode], per_second: int) -> None:
    """Send in tenths of a second."""
    size = max(1, per_second // 10)
    for start in range(0, len(commands), size):
        await field.send(commands[start : start + size])
        await asyncio.sleep(0.1)
