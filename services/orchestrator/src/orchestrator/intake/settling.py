"""A batch of records, from reading them to Kafka's acknowledgement of what they caused."""

import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from time import perf_counter
from typing import Protocol

import structlog
from mirsal_contracts.controls import ReplayLetter
from mirsal_runtime import metrics
from mirsal_runtime.broker import Outgoing
from mirsal_runtime.failpoints import pass_by

from orchestrator.decide import Rules
from orchestrator.intake.accounts import account_for
from orchestrator.intake.ages import was_made_before
from orchestrator.intake.batch_spans import tell_receiving
from orchestrator.intake.cases import Case, case_of_unreadable, sort_by_run
from orchestrator.intake.folding import Fold, Folding, KnownRun
from orchestrator.intake.letters import to_dead_letter
from orchestrator.intake.memory import Memory, key_of
from orchestrator.intake.patience import Wait, insist
from orchestrator.intake.privacy import Privacy
from orchestrator.intake.records import UUID, Arrival, Record, Unreadable, read_record
from orchestrator.intake.replays import mark_of, open_letters
from orchestrator.store.faults import DataRefused
from orchestrator.store.letters import Mark, Outcome
from orchestrator.store.runs import RunStore

# What one statement and one call of the sender take at most: each has a deadline of seconds.
WRITE_BYTES = 16 * 1024 * 1024
SEND_BYTES = 8 * 1024 * 1024

log = structlog.get_logger(__name__)


class Sender(Protocol):
    """Sends messages; raises `BrokerUnavailable` where they were not acknowledged."""

    async def send(self, messages: Sequence[Outgoing]) -> None: ...


class Settler:
    """Settles one batch after the other. `kept` is how long runs are kept once they have ended."""

    def __init__(
        self,
        store: RunStore,
        sender: Sender,
        privacy: Privacy,
        *,
        prefix: str = "",
        rules: Rules | None = None,
        kept: timedelta | None = None,
    ) -> None:
        self.store = store
        self.privacy = privacy
        self.sender = sender
        self.prefix = prefix
        self.rules = rules or Rules()
        self.kept = kept
        self.memory = Memory(store)

    async def settle(self, records: Iterable[Record], wait: Wait) -> datetime | None:
        """Do all that follows from these records; the earliest time that a run now waits for.

        While PostgreSQL or Kafka is away it is tried again, with `wait` in between. What `wait`
        raises ends it: what was not done by then follows from the same records again.
        """
        batch = _Batch(self, wait)
        read = [read_record(record, self.prefix) for record in records]
        with tell_receiving(read) as batch.context:
            cases = await batch.open_cases(read)
            while cases:
                await batch.settle(cases)
            await batch.send()
        return batch.wake_at


class _Batch:
    """One batch under way: what is to be sent, and whom it must wake."""

    def __init__(self, settler: Settler, wait: Wait) -> None:
        self._settler = settler
        self._store = settler.store
        self._memory = settler.memory
        self._wait = wait
        self._sends: list[Outgoing] = []
        self._begun: list[datetime] = []
        self._marks: list[Mark] = []
        self.wake_at: datetime | None = None
        self.context = ""

    async def open_cases(self, read: Iterable[Arrival | Unreadable]) -> dict[str, Case]:
        """The runs that the records are about; what cannot be read goes to the dead letters."""
        arrivals: list[Arrival] = []
        unreadable: list[Unreadable] = []
        for each in read:
            if isinstance(each, Arrival):
                arrivals.append(each)
            else:
                unreadable.append(each)
                self._bury(each.record, each.reason)
        wishes = [each.message for each in arrivals if isinstance(each.message, ReplayLetter)]
        if wishes:
            arrivals = await self._open_letters(arrivals, wishes)
        cases = sort_by_run(arrivals)
        if unreadable:
            at = await insist(self._store.read_clock, self._wait)
            for each in unreadable:
                case = case_of_unreadable(each, at)
                if case is not None:
                    cases.setdefault(case.run_id, case)
        return cases

    async def _open_letters(
        self, arrivals: list[Arrival], wishes: list[ReplayLetter]
    ) -> list[Arrival]:
        """Put what the letters say in place of the wishes to have them replayed."""
        letters = self._store.letters
        wanted = {each.letter_id for each in wishes if UUID.fullmatch(each.letter_id)}
        kept = await insist(lambda: letters.load(wanted), self._wait)
        opened = open_letters(arrivals, kept, self._settler.prefix)
        self._marks += opened.marks
        if opened.unborn:
            await insist(lambda: letters.forget_stillborn(opened.unborn), self._wait)
            for run_id in opened.unborn:
                self._memory.forget(run_id)
        return opened.arrivals

    async def settle(self, cases: dict[str, Case]) -> None:
        """Decide and write once; the cases that are done with leave `cases`."""
        at = await insist(self._store.read_clock, self._wait)
        known = await self._memory.know(cases.values(), self._wait)
        for case, reason in await self._settler.privacy.open(cases.values(), known, self._wait):
            if case.doom is None:
                self._condemn(case, "lead_unreadable", reason, known.get(case.run_id), at)
        start = perf_counter()
        foldings = self._fold(cases, known, at)
        metrics.DECISION_SECONDS.observe(perf_counter() - start)
        changes = [folding for folding in foldings.values() if folding.write is not None]
        pass_by("before_write")
        written = await self._write(changes, cases, known, at) if changes else set()
        pass_by("after_write")
        for run_id, folding in foldings.items():
            if folding.write is None or run_id in written:
                self._accept(cases.pop(run_id), folding)
            else:
                cases[run_id].must_load = True
        for case in [case for case in cases.values() if case.is_hopeless]:
            self._bury_all(cases.pop(case.run_id), "hopeless", "failed")

    async def send(self) -> None:
        """Send the commands and dead letters; returns once Kafka has acknowledged them."""
        if self._marks:
            await insist(lambda: self._store.letters.mark(self._marks), self._wait)
        for messages in split_by_size(self._sends, SEND_BYTES):
            await insist(partial(self._settler.sender.send, messages), self._wait)
        pass_by("after_send")
        now = datetime.now(UTC)
        for asked_at in self._begun:
            metrics.FIRST_COMMAND_SECONDS.observe(max(0.0, (now - asked_at).total_seconds()))

    def _fold(
        self, cases: dict[str, Case], known: Mapping[str, KnownRun], at: datetime
    ) -> dict[str, Folding]:
        """What the runs' events come to, where it can be said already."""
        foldings = {}
        for run_id, case in tuple(cases.items()):
            run = known.get(run_id)
            if run is None and not (case.may_be_new and self._may_begin(run_id, at)):
                self._bury_all(cases.pop(run_id), "unknown_run", "unknown_run")
            elif run is not None and case.is_unreadable and not run.stored.state.is_final:
                # A request that nobody can read says nothing against a run that goes on.
                del cases[run_id]
            else:
                folding = self._fold_case(case, run, at)
                if folding is None:
                    continue
                if folding.has_ignored and run is not None and run.is_cached:
                    case.must_load = True
                else:
                    foldings[run_id] = folding
        return foldings

    def _may_begin(self, run_id: str, at: datetime) -> bool:
        """Not if its id is as old as what was removed: it would do everything a second time."""
        kept = self._settler.kept
        return kept is None or not was_made_before(run_id, at - kept)

    def _fold_case(self, case: Case, run: KnownRun | None, at: datetime) -> Folding | None:
        fold = Fold(run, at, self._settler.rules, case.seal)
        try:
            if case.doom is not None:
                fold.abandon(case.doom)
            elif case.is_erased:
                fold.forget(case.arrivals)
            else:
                for arrival in case.arrivals:
                    fold.add(arrival, self._memory.plans)
            return fold.conclude()
        except Exception as error:
            log.error("run_condemned", run_id=case.run_id, exc_info=error)
            frame = traceback.extract_tb(error.__traceback__)[-1]
            self._condemn(
                case, "internal_error", f"{type(error).__name__} in {frame.name}", run, at
            )
            return None

    async def _write(
        self,
        foldings: Sequence[Folding],
        cases: dict[str, Case],
        known: Mapping[str, KnownRun],
        at: datetime,
    ) -> set[str]:
        """Write what can be written; the runs of which that is true.

        A statement that fails on its data is halved until the culprit stands alone.
        """
        if len(foldings) > 1 and sum(folding.weight for folding in foldings) > WRITE_BYTES:
            return await self._write_halves(foldings, cases, known, at)
        metrics.BATCH_SIZE.labels("write").observe(len(foldings))
        writes = [folding.write for folding in foldings if folding.write is not None]
        marks = [mark for folding in foldings for mark in folding.marks]
        graphs = self._memory.plans.unwritten(key_of(write.run.request) for write in writes)
        try:
            written = await insist(lambda: self._store.write(writes, graphs, at, marks), self._wait)
        except DataRefused as error:
            if len(foldings) == 1:
                run_id = writes[0].run.request.run_id
                log.error("run_condemned", run_id=run_id, error=error)
                self._condemn(cases[run_id], "unstorable", str(error), known.get(run_id), at)
                return set()
            return await self._write_halves(foldings, cases, known, at)
        self._memory.plans.mark_written(key for key, _ in graphs)
        return written

    async def _write_halves(
        self,
        foldings: Sequence[Folding],
        cases: dict[str, Case],
        known: Mapping[str, KnownRun],
        at: datetime,
    ) -> set[str]:
        middle = len(foldings) // 2
        first = await self._write(foldings[:middle], cases, known, at)
        return first | await self._write(foldings[middle:], cases, known, at)

    def _accept(self, case: Case, folding: Folding) -> None:
        """The run is as decided: count it, and send what it asks for."""
        self._memory.keep(folding)
        for number, step in enumerate(folding.steps):
            begins = not number and case.begins_run
            step.record(folding.run.request, self.context, begins=begins)
        self._sends.extend(folding.sends)
        if folding.write is None:
            self._marks += folding.marks
        for arrival in folding.foreign:
            self._bury(arrival.record, "foreign_status")
        if case.doom is not None:
            self._bury_all(case, str(case.doom.fault["code"]), "failed")
        if folding.write is not None:
            account_for(folding.write)
            if folding.write.is_new and folding.sends:
                self._begun.append(folding.run.request.requested_at)
            wake_at = folding.run.state.wake_at
            if wake_at is not None and (self.wake_at is None or wake_at < self.wake_at):
                self.wake_at = wake_at

    def _condemn(
        self, case: Case, code: str, detail: str, run: KnownRun | None, at: datetime
    ) -> None:
        """The run cannot go on; if not even its end can be written, its events are put aside."""
        if case.doom is None:
            case.condemn(code, detail, None if run is None else run.stored, at)
            case.must_load = True
        else:
            case.is_hopeless = True

    def _bury_all(self, case: Case, reason: str, outcome: Outcome) -> None:
        """What comes from the dead letters lies there already: it is only marked."""
        for arrival in case.arrivals:
            if arrival.replay is None:
                self._bury(arrival.record, reason)
            else:
                self._marks.append(mark_of(arrival.replay, outcome))

    def _bury(self, record: Record, reason: str) -> None:
        log.warning(
            "dead_letter",
            reason=reason,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )
        self._sends.append(to_dead_letter(record, reason, self._settler.prefix))


def split_by_size(messages: Sequence[Outgoing], limit: int) -> Iterator[Sequence[Outgoing]]:
    """The messages in order, in parts whose values are `limit` bytes, or one message, at most."""
    part: list[Outgoing] = []
    size = 0
    for message in messages:
        added = len(message.value or b"")
        if part and size + added > limit:
            yield part
            part, size = [], 0
        part.append(message)
        size += added
    if part:
        yield part
