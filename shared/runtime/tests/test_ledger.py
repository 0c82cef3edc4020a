"""One suite for the ledger in memory and the one on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest
from mirsal_runtime.ledger import (
    Claim,
    EndState,
    Ledger,
    LedgerKey,
    LedgerUnavailable,
    Orphan,
    Outcome,
)
from mirsal_runtime.postgres_ledger import PostgresLedger
from mirsal_testing.memory_ledger import LedgerStore, MemoryLedger

Make = Callable[[], Ledger]


@pytest.fixture(params=["memory", "postgres"])
async def make_ledger(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Makes ledgers of processes that share one store."""
    if request.param == "memory":
        store = LedgerStore()
        yield lambda: MemoryLedger(store)
        return
    url = request.getfixturevalue("ledger_database")
    acts_as = {"role": "mirsal_noop_worker", "search_path": "noop_worker"}
    async with asyncpg.create_pool(url, min_size=1, max_size=4, server_settings=acts_as) as pool:
        await pool.execute("DELETE FROM ledger")
        await pool.execute("DELETE FROM ledger_holders")
        yield lambda: PostgresLedger(pool, holder=uuid4(), instance="test-1")


def new_key() -> LedgerKey:
    return LedgerKey(uuid4(), "send", 0)


def claim_of(
    key: LedgerKey,
    attempt: int = 1,
    *,
    token: int = 1,
    deadline: float = 60.0,
    lease: float = 30.0,
) -> Claim:
    return Claim(key, attempt, token, datetime.now(UTC) + timedelta(seconds=deadline), lease)


def outcome_of(
    key: LedgerKey, attempt: int = 1, state: EndState = "succeeded", *, token: int = 1
) -> Outcome:
    return Outcome(key, attempt, token, state, f'{{"attempt":{attempt}}}'.encode())


async def test_first_claim_is_granted_and_its_outcome_is_remembered(make_ledger: Make) -> None:
    ledger, other, key = make_ledger(), make_ledger(), new_key()
    assert (await ledger.claim(claim_of(key))).verdict == "granted"
    assert (await ledger.settle(outcome_of(key))).verdict == "granted"
    again = await other.claim(claim_of(key))
    assert (again.verdict, again.state, again.status) == (
        "remembered",
        "succeeded",
        b'{"attempt":1}',
    )


async def test_claim_whose_answer_was_lost_goes_on_under_its_token_only(make_ledger: Make) -> None:
    ledger, key = make_ledger(), new_key()
    await ledger.claim(claim_of(key, token=7))
    assert (await ledger.claim(claim_of(key, token=7))).verdict == "granted"
    twin = await ledger.claim(claim_of(key, token=8))
    assert (twin.verdict, twin.holder) == ("held", ledger.holder)


async def test_claim_of_another_process_holds(make_ledger: Make) -> None:
    ledger, other, key = make_ledger(), make_ledger(), new_key()
    await ledger.claim(claim_of(key))
    refused = await other.claim(claim_of(key))
    assert (refused.verdict, refused.holder, refused.lease_over) == ("held", ledger.holder, False)


async def test_expired_command_is_not_claimed(make_ledger: Make) -> None:
    ledger, key = make_ledger(), new_key()
    assert (await ledger.claim(claim_of(key, deadline=-1))).verdict == "expired"
    assert (await ledger.look([(key, 1)]))[0].verdict == "vacant"


async def test_outcome_is_remembered_even_after_the_deadline(make_ledger: Make) -> None:
    ledger, key = make_ledger(), new_key()
    await ledger.claim(claim_of(key))
    await ledger.settle(outcome_of(key))
    assert (await ledger.claim(claim_of(key, deadline=-1))).verdict == "remembered"


async def test_own_claim_past_its_deadline_can_be_settled_as_failed(make_ledger: Make) -> None:
    ledger, key = make_ledger(), new_key()
    await ledger.claim(claim_of(key))
    assert (await ledger.claim(claim_of(key, deadline=-1))).verdict == "expired"
    assert (await ledger.settle(outcome_of(key, state="failed"))).verdict == "granted"


@pytest.mark.parametrize("state", ["failed", "unconfirmed"])
async def test_later_attempt_follows_one_without_effect(make_ledger: Make, state: EndState) -> None:
    ledger, other, key = make_ledger(), make_ledger(), new_key()
    await ledger.claim(claim_of(key))
    await ledger.settle(outcome_of(key, state=state))
    assert (await other.claim(claim_of(key, 2))).verdict == "granted"


async def test_later_attempt_is_refused_while_an_earlier_is_open(make_ledger: Make) -> None:
    ledger, other, key = make_ledger(), make_ledger(), new_key()
    await ledger.claim(claim_of(key))
    refused = await other.claim(claim_of(key, 2))
    assert (refused.verdict, refused.attempt) == ("held", 1)
    assert (await other.settle(outcome_of(key, 2, "failed"))).verdict == "held"


async def test_later_attempt_is_refused_after_a_success(make_ledger: Make) -> None:
    ledger, key = make_ledger(), new_key()
    await ledger.claim(claim_of(key))
    await ledger.settle(outcome_of(key))
    refused = await ledger.claim(claim_of(key, 2, token=2))
    assert (refused.verdict, refused.attempt, refused.state) == ("remembered", 1, "succeeded")


async def test_earlier_attempt_is_superseded(make_ledger: Make) -> None:
    ledger, other, key = make_ledger(), make_ledger(), new_key()
    await ledger.claim(claim_of(key))
    await ledger.settle(outcome_of(key, state="failed"))
    await other.claim(claim_of(key, 2))
    assert (await ledger.claim(claim_of(key))).verdict == "superseded"
    assert (await ledger.settle(outcome_of(key))).verdict == "superseded"
    assert (await other.settle(outcome_of(key, 2))).verdict == "granted"


async def test_failure_before_the_claim_fences_its_redelivery(make_ledger: Make) -> None:
    """Attempt 1 fails before its claim at one process; a stale delivery of it reaches another."""
    ledger, other, key = make_ledger(), make_ledger(), new_key()
    assert (await ledger.settle(outcome_of(key, state="failed"))).verdict == "granted"
    stale = await other.claim(claim_of(key))
    assert (stale.verdict, stale.state) == ("remembered", "failed")
    assert (await other.claim(claim_of(key, 2))).verdict == "granted"


async def test_failure_before_the_claim_gives_way_to_another_holder(make_ledger: Make) -> None:
    """Both have the same command; one has claimed, so the other's failure must not be told."""
    ledger, other, key = make_ledger(), make_ledger(), new_key()
    await other.claim(claim_of(key))
    assert (await ledger.settle(outcome_of(key, state="failed"))).verdict == "held"
    assert (await other.settle(outcome_of(key))).verdict == "granted"


async def test_settling_twice_changes_nothing(make_ledger: Make) -> None:
    ledger, key = make_ledger(), new_key()
    await ledger.claim(claim_of(key))
    await ledger.settle(outcome_of(key))
    again = await ledger.settle(outcome_of(key, state="failed"))
    assert (again.verdict, again.state) == ("remembered", "succeeded")


async def test_outcome_without_a_claim_is_kept_once(make_ledger: Make) -> None:
    """As connectors do whose effect may be repeated."""
    ledger, other, key = make_ledger(), make_ledger(), new_key()
    assert (await ledger.settle(outcome_of(key))).verdict == "granted"
    assert (await other.settle(outcome_of(key, state="failed"))).state == "succeeded"


async def test_claim_is_taken_over_only_when_its_lease_is_over(make_ledger: Make) -> None:
    ledger, other, key = make_ledger(), make_ledger(), new_key()
    await ledger.claim(claim_of(key, lease=0.3))
    assert not await other.take_over(key, 1, ledger.holder)
    await asyncio.sleep(0.35)
    assert (await other.look([(key, 1)]))[0].lease_over
    assert not await other.take_over(key, 1, other.holder)
    assert not await other.take_over(key, 2, ledger.holder)
    assert await other.take_over(key, 1, ledger.holder)
    assert not await other.take_over(key, 1, ledger.holder)
    found = (await other.look([(key, 1)]))[0]
    assert (found.verdict, found.state, found.status) == ("remembered", "unconfirmed", None)


async def test_late_outcome_is_evidence_for_what_was_unconfirmed(make_ledger: Make) -> None:
    ledger, other, key = make_ledger(), make_ledger(), new_key()
    await ledger.claim(claim_of(key, lease=-1))
    await other.take_over(key, 1, ledger.holder)
    assert (await ledger.settle(outcome_of(key, state="unconfirmed"))).verdict == "remembered"
    assert (await ledger.settle(outcome_of(key))).verdict == "granted"
    assert (await ledger.settle(outcome_of(key, state="failed"))).state == "succeeded"


async def test_evidence_changes_nothing_once_a_later_attempt_began(make_ledger: Make) -> None:
    ledger, other, key = make_ledger(), make_ledger(), new_key()
    await ledger.claim(claim_of(key, lease=-1))
    await other.take_over(key, 1, ledger.holder)
    await other.claim(claim_of(key, 2))
    assert (await ledger.settle(outcome_of(key))).verdict == "superseded"
    assert (await other.look([(key, 2)]))[0].holder == other.holder


async def test_orphans_are_settled_by_what_their_journal_proves(make_ledger: Make) -> None:
    ledger, heir = make_ledger(), make_ledger()
    keys = [new_key() for _ in range(4)]
    for token, key in enumerate(keys):
        await ledger.claim(claim_of(key, token=token))
    await ledger.settle(outcome_of(keys[3], token=3))
    orphans = [
        Orphan(keys[0], 1, 0, ledger.holder, "free", None),
        Orphan(keys[1], 1, 1, ledger.holder, "unconfirmed", None),
        Orphan(keys[2], 1, 2, ledger.holder, "succeeded", b'{"attempt":1}'),
        Orphan(keys[3], 1, 3, ledger.holder, "free", None),
    ]
    assert {orphan.key for orphan in await heir.resolve(orphans)} == set(keys[:3])
    found = await heir.look([(key, 1) for key in keys])
    assert [each.state for each in found] == [None, "unconfirmed", "succeeded", "succeeded"]
    assert (await heir.claim(claim_of(keys[0]))).verdict == "granted"
    assert await heir.resolve(orphans) == []


async def test_orphan_of_another_claim_is_left_alone(make_ledger: Make) -> None:
    ledger, other, key = make_ledger(), make_ledger(), new_key()
    await ledger.claim(claim_of(key, token=1))
    wrong = [
        Orphan(key, 1, 2, ledger.holder, "free", None),
        Orphan(key, 1, 1, other.holder, "free", None),
        Orphan(key, 2, 1, ledger.holder, "free", None),
    ]
    assert await other.resolve(wrong) == []


async def test_calls_of_many_share_statements_and_answers_keep_their_order(
    make_ledger: Make,
) -> None:
    ledger = make_ledger()
    keys = [new_key() for _ in range(60)]
    claims = [claim_of(key, token=token) for token, key in enumerate(keys)]
    twins = [claim_of(key, token=100 + token) for token, key in enumerate(keys[:20])]
    found = await asyncio.gather(*(ledger.claim(claim) for claim in [*claims, *twins]))
    assert [each.verdict for each in found] == ["granted"] * 60 + ["held"] * 20
    outcomes = [outcome_of(key, token=token) for token, key in enumerate(keys)]
    settled = await asyncio.gather(*(ledger.settle(outcome) for outcome in outcomes))
    assert {each.verdict for each in settled} == {"granted"}


async def test_claims_of_one_key_at_once_have_one_winner(make_ledger: Make) -> None:
    ledgers = [make_ledger() for _ in range(4)]
    for _ in range(10):
        key = new_key()
        found = await asyncio.gather(*(ledger.claim(claim_of(key)) for ledger in ledgers))
        assert [each.verdict for each in found].count("granted") == 1
        assert {each.verdict for each in found} <= {"granted", "held", "vacant"}


async def test_batches_in_opposite_order_do_not_deadlock(make_ledger: Make) -> None:
    first, second = make_ledger(), make_ledger()
    for _ in range(5):
        keys = [new_key() for _ in range(50)]
        await asyncio.gather(
            *(first.claim(claim_of(key)) for key in keys),
            *(second.claim(claim_of(key)) for key in reversed(keys)),
        )


async def test_beats_show_who_lives(make_ledger: Make) -> None:
    ledger, other = make_ledger(), make_ledger()
    assert (await ledger.beat()).beats == {}
    assert (await other.beat()).beats == {ledger.holder: 1}
    assert (await other.beat()).beats == {ledger.holder: 1}
    pulse = await ledger.beat()
    assert pulse.beats == {other.holder: 2}
    assert abs(pulse.now - datetime.now(UTC)) < timedelta(seconds=5)
    await other.leave()
    assert (await ledger.beat()).beats == {}


async def test_old_rows_are_forgotten(make_ledger: Make) -> None:
    ledger, old, young = make_ledger(), new_key(), new_key()
    await ledger.settle(outcome_of(old))
    await asyncio.sleep(0.3)
    await ledger.settle(outcome_of(young))
    assert await ledger.forget(0.15) == 1
    found = await ledger.look([(old, 1), (young, 1)])
    assert [each.verdict for each in found] == ["vacant", "remembered"]


async def test_a_row_says_whose_it_is(ledger_database: str) -> None:
    acts_as = {"role": "mirsal_noop_worker", "search_path": "noop_worker"}
    claimed, settled = new_key(), new_key()
    async with asyncpg.create_pool(
        ledger_database, min_size=1, max_size=1, server_settings=acts_as
    ) as pool:
        ledger = PostgresLedger(pool, holder=uuid4(), instance="test-1")
        await ledger.claim(claim_of(claimed)._replace(workspace="ws_1"))
        await ledger.settle(outcome_of(claimed)._replace(workspace="ws_1"))
        await ledger.settle(outcome_of(settled)._replace(workspace="ws_2"))
        rows = await pool.fetch(
            "SELECT run_id, workspace FROM ledger WHERE run_id = ANY ($1)",
            [claimed.run_id, settled.run_id],
        )
    assert {row[0]: row[1] for row in rows} == {claimed.run_id: "ws_1", settled.run_id: "ws_2"}


async def test_database_that_does_not_answer_is_one_error(module_database: str) -> None:
    async with asyncpg.create_pool(module_database, min_size=1, max_size=1) as pool:
        await pool.execute("DROP TABLE IF EXISTS ledger")
        ledger = PostgresLedger(pool, holder=uuid4(), instance="test-1")
        with pytest.raises(LedgerUnavailable):
            await ledger.claim(claim_of(new_key()))
