"""Who counts as gone: only whom this process itself missed for four seconds."""

from uuid import uuid4

from mirsal_runtime.ledger import LedgerUnavailable
from mirsal_runtime.presence import Observer, Presence
from mirsal_testing.memory_ledger import LedgerStore, MemoryLedger

A, B = uuid4(), uuid4()


def test_holder_is_gone_after_four_seconds_without_a_beat() -> None:
    observer = Observer()
    for second in range(4):
        observer.saw({A: 7, B: second}, float(second))
    assert not observer.is_gone(A)
    observer.saw({A: 7, B: 9}, 4.0)
    assert observer.is_gone(A)
    assert not observer.is_gone(B)


def test_one_beat_brings_a_holder_back() -> None:
    observer = Observer()
    for second in range(6):
        observer.saw({A: 7}, float(second))
    observer.saw({A: 8}, 6.0)
    assert not observer.is_gone(A)


def test_failed_looks_make_nobody_gone() -> None:
    """As while PostgreSQL restarts: neither can the holder beat, nor this process look."""
    observer = Observer()
    for second in range(3):
        observer.saw({A: 7}, float(second))
    observer.missed()
    for second in (30, 31, 32, 33):
        observer.saw({A: 7}, float(second))
    assert not observer.is_gone(A)
    observer.saw({A: 7}, 34.0)
    assert observer.is_gone(A)


def test_observer_that_slept_itself_proves_nothing_by_one_look() -> None:
    observer = Observer()
    observer.saw({A: 7}, 0.0)
    observer.saw({A: 7}, 60.0)
    assert not observer.is_gone(A)


def test_holder_without_a_row_is_watched_first() -> None:
    observer = Observer()
    observer.saw({}, 0.0)
    assert not observer.is_gone(A)
    for second in range(1, 5):
        observer.saw({}, float(second))
    assert observer.is_gone(A)


async def test_presence_follows_the_ledger() -> None:
    store = LedgerStore()
    presence = Presence(MemoryLedger(store))
    assert (presence.answers, presence.now()) == (False, None)
    await presence.enter()
    assert presence.answers
    assert presence.now() is not None
    assert list(store.beats.values()) == [1]


async def test_presence_enters_once_the_ledger_is_back() -> None:
    class Away(MemoryLedger):
        tries = 0

        async def beat(self):  # type: ignore[no-untyped-def] # raises or passes on
            self.tries += 1
            if self.tries < 3:
                raise LedgerUnavailable("away")
            return await super().beat()

    ledger = Away(LedgerStore())
    await Presence(ledger).enter()
    assert ledger.tries == 3
