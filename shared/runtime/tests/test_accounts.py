"""The pool: fair between accounts, and all of it for one that is alone."""

from collections import Counter
from uuid import uuid4

from mirsal_runtime.accounts import ABOUT_SECONDS, Pool
from mirsal_runtime.ledger import LedgerKey
from mirsal_runtime.watermarks import Watermark
from mirsal_runtime.work import Work
from mirsal_testing.commands import make_command

ANY = Watermark()


class Clock:
    """Stands still unless moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def work_of(account: str, watermark: Watermark = ANY) -> Work:
    command = make_command(workspace=account)
    return Work(command, LedgerKey(uuid4(), "send", 0), "", 0, watermark)


def take_all(pool: Pool) -> list[Work]:
    taken = []
    while (work := pool.take()) is not None:
        taken.append(work)
    return taken


def accounts_of(works: list[Work]) -> Counter[str]:
    return Counter(work.account for work in works)


def test_lone_account_has_the_whole_pool_in_order() -> None:
    pool = Pool(10)
    works = [work_of("a") for _ in range(15)]
    for work in works:
        pool.put(work)
    assert take_all(pool) == works[:10]
    pool.release(works[3])
    assert take_all(pool) == [works[10]]
    assert (pool.running, pool.waiting) == (10, 4)


def test_no_account_holds_more_than_the_most_that_one_may() -> None:
    pool = Pool(10, most=8)
    greedy = [work_of("a") for _ in range(20)]
    for work in greedy:
        pool.put(work)
    assert take_all(pool) == greedy[:8]
    other = work_of("b")
    pool.put(other)
    assert take_all(pool) == [other]
    pool.release(other)
    assert take_all(pool) == []
    pool.release(greedy[0])
    assert take_all(pool) == [greedy[8]]


def test_a_lone_account_has_no_more_waiting_than_its_backlog() -> None:
    pool = Pool(2, backlog=5)
    assert [pool.put(work_of("a")) for _ in range(5)] == [None] * 5
    pauses = [pool.put(work_of("a")) for _ in range(3)]
    assert all(pause is not None and pause >= 1 for pause in pauses)
    assert pool.put(work_of("a"), refusable=False) is None
    assert pool.put(work_of("b")) is None


def test_accounts_that_wait_together_share_equally() -> None:
    pool = Pool(30)
    for account in ("a", "b", "c"):
        for _ in range(30):
            pool.put(work_of(account))
    assert accounts_of(take_all(pool)) == {"a": 10, "b": 10, "c": 10}


def test_account_with_few_commands_leaves_the_rest_to_others_but_for_its_reserve() -> None:
    pool = Pool(50)
    for _ in range(60):
        pool.put(work_of("busy"))
    pool.put(work_of("quiet"))
    assert accounts_of(take_all(pool)) == {"busy": 45, "quiet": 1}


def test_account_whose_provider_hangs_does_not_hold_up_one_that_was_about() -> None:
    clock = Clock()
    pool = Pool(50, clock=clock)
    first = work_of("quiet")
    pool.put(first)
    pool.take()
    pool.release(first)
    for _ in range(60):
        pool.put(work_of("hangs"))
    take_all(pool)
    clock.now += ABOUT_SECONDS / 2
    for _ in range(3):
        pool.put(work_of("quiet"))
    assert accounts_of(take_all(pool)) == {"quiet": 3}


def test_reserve_of_an_account_that_left_is_given_up() -> None:
    clock = Clock()
    pool = Pool(50, clock=clock)
    gone = work_of("gone")
    pool.put(gone)
    pool.take()
    pool.release(gone)
    clock.now += ABOUT_SECONDS + 2
    for _ in range(60):
        pool.put(work_of("busy"))
    assert len(take_all(pool)) == 50


def test_too_many_waiting_go_back_only_while_others_are_about() -> None:
    pool = Pool(10)
    assert [pool.put(work_of("a")) for _ in range(200)] == [None] * 200
    pool.put(work_of("b"))
    assert pool.put(work_of("a")) is not None
    assert pool.put(work_of("b")) is None


def test_accounts_that_are_about_together_leave_half_of_the_window_to_who_comes() -> None:
    pool = Pool(10, window=200)
    for account in ("a", "b"):
        pool.put(work_of(account))
    for account in ("a", "b"):
        put = [pool.put(work_of(account)) for _ in range(100)]
        assert put.count(None) == 200 // 4 - 1
    assert pool.put(work_of("c")) is None


def test_what_goes_back_from_a_sudden_burst_is_soon_here_again() -> None:
    pool = Pool(50, clock=Clock())
    pool.put(work_of("b"))
    returns = [seconds for _ in range(300) if (seconds := pool.put(work_of("a"))) is not None]
    assert len(returns) == 200
    assert returns[0] < 2
    assert returns[-1] < 3


def test_what_goes_back_from_an_account_that_hangs_stays_away_for_long() -> None:
    clock = Clock()
    pool = Pool(50, clock=clock)
    pool.put(work_of("b"))
    for _ in range(150):
        pool.put(work_of("a"))
    take_all(pool)
    clock.now += 30
    for _ in range(60):
        pool.put(work_of("a"))
    returns = [seconds for _ in range(200) if (seconds := pool.put(work_of("a"))) is not None]
    assert returns[0] > 15
    assert returns[-1] > 50


def test_who_hung_for_a_while_is_not_sent_away_for_long_once_it_is_served() -> None:
    clock = Clock()
    pool = Pool(50, clock=clock)
    pool.put(work_of("b"))
    for _ in range(150):
        pool.put(work_of("a"))
    hung = take_all(pool)
    clock.now += 30
    for _ in range(300):
        pool.put(work_of("a"))
    for work in hung:
        pool.release(work)
    for _ in range(40):
        clock.now += 0.1
        for work in take_all(pool):
            pool.release(work)
        for _ in range(50):
            pool.put(work_of("a"))
    pauses = [seconds for _ in range(100) if (seconds := pool.put(work_of("a"))) is not None]
    assert pauses
    assert max(pauses) < 10


def test_an_account_that_was_idle_is_judged_by_what_it_does_now() -> None:
    clock = Clock()
    pool = Pool(50, clock=clock)
    for account in ("a", "b"):
        pool.put(work_of(account))
    for work in take_all(pool):
        pool.release(work)
    clock.now += ABOUT_SECONDS / 2
    for _ in range(100):
        pool.put(work_of("a"))
    pause = pool.put(work_of("a"))
    assert pause is not None
    assert pause < 2


def test_what_goes_back_returns_at_the_rate_at_which_its_account_is_served() -> None:
    clock = Clock()
    pool = Pool(10, clock=clock)
    pool.put(work_of("b"))
    for _ in range(20):
        pool.put(work_of("a"))
    served = take_all(pool)
    clock.now += 5
    for work in served:
        pool.release(work)
    for _ in range(20):
        pool.put(work_of("a"))
    returns = [seconds for _ in range(100) if (seconds := pool.put(work_of("a"))) is not None]
    assert returns == sorted(returns)
    assert returns[0] >= 1.0
    assert returns[-1] <= 60.0
    assert returns[-1] - returns[0] > 20


def test_dropped_partitions_leave_the_others_waiting() -> None:
    pool, lost, kept = Pool(10), Watermark(), Watermark()
    for watermark in (lost, kept, lost):
        pool.put(work_of("a", watermark))
    dropped = pool.drop([lost])
    assert [work.dropped for work in dropped] == [True, True]
    assert [work.watermark for work in take_all(pool)] == [kept]
    assert pool.waiting == 0


def test_many_accounts_still_share_a_small_pool() -> None:
    pool = Pool(4)
    for number in range(20):
        pool.put(work_of(f"account-{number}"))
    ended: list[Work] = []
    while pool.waiting or pool.running:
        taken = take_all(pool)
        assert taken
        ended += taken
        for work in taken:
            pool.release(work)
    assert len(ended) == 20
