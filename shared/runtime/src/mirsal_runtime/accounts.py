"""Which waiting command begins next: the pool is shared fairly between accounts. Pure.

While only one account is about, it may have the whole pool, or as much as `most` says. Of the
accounts that were about within the last minute each has a few slots that no other may take, so
that one whose provider hangs cannot hold up the others; beyond these the account that has the
least in flight is next.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import chain

from mirsal_runtime.watermarks import Watermark
from mirsal_runtime.work import Work

ABOUT_SECONDS = 60.0
RESERVED_SLOTS = 5
SHORTEST_RETURN = 1.0
LONGEST_RETURN = 60.0
_RATE_SECONDS = 10.0
_GUESS_SECONDS = 0.1
"""How long an attempt takes, while nothing is known of an account's."""


@dataclass(slots=True, eq=False)
class Account:
    """One workspace's commands in this process."""

    seen_at: float
    busy_since: float
    waiting: deque[Work] = field(default_factory=deque)
    running: int = 0
    ended: deque[float] = field(default_factory=lambda: deque(maxlen=1000))
    away: list[float] = field(default_factory=list)
    """A heap: when those that were sent back come again."""


class Pool:
    """The slots, and who waits for one. No account ever holds more than `most` of them.

    Nor do more than `backlog` of its commands wait, even while it is alone: whoever comes then
    would find the window of open records full. Accounts that are about together leave half of
    that `window` to who comes next. Times are monotonic seconds. A command is `put`, then taken
    by `take`, then `release`d.
    """

    def __init__(
        self,
        slots: int,
        *,
        most: int | None = None,
        backlog: int | None = None,
        window: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots = slots
        self._most = slots if most is None else most
        self._backlog = backlog
        self._window = window
        self._clock = clock
        self._accounts: dict[str, Account] = {}
        self._swept_at = clock()
        self.running = 0
        self.waiting = 0

    def put(self, work: Work, *, refusable: bool = True) -> float | None:
        """Have a command wait.

        Or, where its account has too many waiting, refuse it: the answer is then in how many
        seconds it should come back.
        """
        now = self._clock()
        account = self._accounts.get(work.account)
        if account is None:
            account = self._accounts[work.account] = Account(now, now)
        elif not account.running and not account.waiting:
            account.busy_since = now
        account.seen_at = now
        self._sweep(now)
        share = self._share()
        if refusable and share is not None and len(account.waiting) >= share:
            return self._return_of(account, now)
        account.waiting.append(work)
        self.waiting += 1
        return None

    def take(self) -> Work | None:
        """The next command to begin; None if none may."""
        while self.waiting and self.running < self._slots:
            account = self._next()
            if account is None:
                return None
            work = account.waiting.popleft()
            self.waiting -= 1
            if not work.dropped:
                account.running += 1
                self.running += 1
                return work
        return None

    def release(self, work: Work) -> None:
        """A command that was taken has its slot no more."""
        account = self._accounts[work.account]
        account.running -= 1
        self.running -= 1
        account.seen_at = now = self._clock()
        account.ended.append(now)

    def drop(self, watermarks: Collection[Watermark]) -> list[Work]:
        """Take out the waiting commands of these partitions; they are marked as dropped."""
        dropped = [work for work in self.all_waiting() if work.watermark in watermarks]
        for work in dropped:
            work.dropped = True
        for account in self._accounts.values():
            account.waiting = deque(work for work in account.waiting if not work.dropped)
        self.waiting -= len(dropped)
        return dropped

    def all_waiting(self) -> Iterator[Work]:
        """The commands that have no slot yet."""
        return chain.from_iterable(account.waiting for account in self._accounts.values())

    def _share(self) -> int | None:
        """How many commands of an account may wait."""
        about = len(self._accounts)
        return self._backlog if about == 1 else max(2 * self._slots, self._window // (2 * about))

    def _next(self) -> Account | None:
        """The account with the least in flight that may have another slot."""
        if len(self._accounts) == 1:
            only = next(iter(self._accounts.values()))
            return only if only.running < self._most else None
        own = self._reserved()
        free = self._slots - self.running
        lacking = sum(max(0, own - each.running) for each in self._accounts.values())
        best: Account | None = None
        for account in self._accounts.values():
            if not account.waiting or account.running >= self._most:
                continue
            if best is not None and account.running >= best.running:
                continue
            others_lack = lacking - max(0, own - account.running)
            if account.running < own or free > others_lack:
                best = account
        if best is not None:
            self._move_last(best)
        return best

    def _move_last(self, account: Account) -> None:
        """Among equals the one that waited longest for its turn is first."""
        name = account.waiting[0].account
        self._accounts[name] = self._accounts.pop(name)

    def _reserved(self) -> int:
        return min(RESERVED_SLOTS, self._slots // (2 * len(self._accounts)))

    def _sweep(self, now: float) -> None:
        """Forget accounts that are about no longer."""
        if now - self._swept_at < 1.0:
            return
        self._swept_at = now
        gone = [
            name
            for name, each in self._accounts.items()
            if not each.running and not each.waiting and now - each.seen_at > ABOUT_SECONDS
        ]
        for name in gone:
            del self._accounts[name]

    def _return_of(self, account: Account, now: float) -> float:
        """In how many seconds the account will have room, at the rate at which its commands end."""
        away = account.away
        while away and away[0] <= now:
            heappop(away)
        ahead = len(account.waiting) + len(away)
        pause = min(max(SHORTEST_RETURN, ahead / self._rate_of(account, now)), LONGEST_RETURN)
        heappush(away, now + pause)
        return pause

    def _rate_of(self, account: Account, now: float) -> float:
        """How many of the account's commands end in a second, since it has had any here.

        A guess weighs as much as one attempt in each slot: what has just begun to come must not
        be told to stay away for a minute, and an account whose provider hangs soon is.
        """
        ended = account.ended
        since = max(account.busy_since, now - _RATE_SECONDS)
        if len(ended) == ended.maxlen:
            since = max(since, ended[0])
        while ended and ended[0] < since:
            ended.popleft()
        return max(1.0, (len(ended) + self._slots) / (now - since + _GUESS_SECONDS))
