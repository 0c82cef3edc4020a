"""Handing on what people want of runs, once what they see allows it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from mirsal_contracts.controls import CancelRun, ResolveExecution, RetryRun

from gateway.audit.entries import Action, Entry
from gateway.audit.origins import origin_of
from gateway.audit.trail import Trail
from gateway.controls.schemas import ControlAccepted, Decide
from gateway.controls.store import ControlStore, Resting
from gateway.controls.wishes import MakeWish, publish_wishes, write_wish
from gateway.problems import Problem, conflict, not_found
from gateway.publishing import Intake
from gateway.runs.launch import Call, Claimed, Deadlines, Launcher
from gateway.runs.schemas import FINAL_RUNS
from gateway.runs.service import RUN_PATH, Runs
from gateway.runs.store import RevisedRun
from gateway.store import DatabaseUnavailable

LONGEST_REST: Final = timedelta(days=7)
"""Later the connectors may have forgotten what they did for the run."""


class Controls:
    """Publishes controls. Raises `Problem` and `DatabaseUnavailable`.

    What does not fit what is seen is refused with 409; a repeated call with its Idempotency-Key
    is not, since the first one may have changed what is seen.
    """

    def __init__(
        self,
        runs: Runs,
        store: ControlStore,
        launcher: Launcher,
        intake: Intake,
        trail: Trail,
    ) -> None:
        self._runs = runs
        self._store = store
        self._launcher = launcher
        self._intake = intake
        self._trail = trail

    async def cancel(self, call: Call, run_id: str) -> ControlAccepted:
        """Have the run end."""

        async def refuse(found: RevisedRun) -> Problem | None:
            run = found.view
            return conflict(f"The run is {run.status}.") if run.status in FINAL_RUNS else None

        return await self._control_run(
            call, run_id, refuse, Action.RUN_CANCELLED, lambda ids: CancelRun(**ids)
        )

    async def retry(self, call: Call, run_id: str) -> ControlAccepted:
        """Have the run go on from what failed or was cancelled: it takes a place as a new one."""
        bound, workspace = self._launcher.bound, call.caller.workspace
        is_repeat = False

        async def refuse(found: RevisedRun) -> Problem | None:
            nonlocal is_repeat
            run = found.view
            if run.status not in {"failed", "cancelled"}:
                return conflict(f"The run is {run.status}: only a failed or cancelled one goes on.")
            if run.ended_at is not None and run.ended_at < datetime.now(UTC) - LONGEST_REST:
                return conflict(f"The run ended more than {LONGEST_REST.days} days ago.")
            if bound.covers(workspace):
                is_repeat = await self._launcher.find_claim(call) is not None
            return await bound.refuse(workspace, {run.run_id: found.revision})

        accepted = await self._control_run(
            call, run_id, refuse, Action.RUN_RETRIED, lambda ids: RetryRun(**ids)
        )
        if not is_repeat:
            # A wish counts once: after a repeat the run's row may never show anything new.
            bound.keep(workspace, [accepted.run_id])
        return accepted

    async def decide(self, call: Call, execution_id: str, wanted: Decide) -> ControlAccepted:
        """Say what became of an execution that rests."""
        deadlines = Deadlines.from_now()
        try:
            async with asyncio.timeout_at(deadlines.read):
                found = await self._store.find(call.caller.workspace, execution_id)
                if found is None or not call.caller.may_use(found.workflow_id):
                    raise not_found("There is no such execution.")
                claimed = await self._claim(call, _refuse_decision(found, wanted))
        except TimeoutError as error:
            raise DatabaseUnavailable("PostgreSQL did not answer in time") from error
        control_id = self._name(call, claimed)
        entry = Entry(
            origin_of(call.caller),
            Action.EXECUTION_DECIDED,
            execution_id,
            {"status": found.status},
            {"controlId": control_id, "verdict": wanted.verdict, "attempt": found.attempt},
        )
        await self._trail.record(entry, until=deadlines.answer)
        return await self._publish(
            call,
            found.run_id,
            control_id,
            deadlines,
            lambda ids: ResolveExecution(
                **ids,
                execution_id=found.execution_id,
                node_id=found.node_id,
                attempt=found.attempt,
                verdict=wanted.verdict,
            ),
        )

    async def _control_run(
        self,
        call: Call,
        run_id: str,
        refuse: Callable[[RevisedRun], Awaitable[Problem | None]],
        action: Action,
        make: MakeWish,
    ) -> ControlAccepted:
        deadlines = Deadlines.from_now()
        try:
            async with asyncio.timeout_at(deadlines.read):
                found = await self._runs.read_revised(call.caller, run_id)
                run = found.view
                if not call.caller.may_use(run.workflow_id or ""):
                    raise conflict("The run has no row yet that says of which workflow it is.")
                claimed = await self._claim(call, await refuse(found))
        except TimeoutError as error:
            raise DatabaseUnavailable("PostgreSQL did not answer in time") from error
        control_id = self._name(call, claimed)
        entry = Entry(origin_of(call.caller), action, run.run_id, {"status": run.status})
        asked = entry._replace(after={"controlId": control_id})
        await self._trail.record(asked, until=deadlines.answer)
        return await self._publish(call, run.run_id, control_id, deadlines, make)

    async def _claim(self, call: Call, refusal: Problem | None) -> Claimed:
        """The call's claim. One that is refused takes no key: said again it is refused again, and
        only what was accepted before is repeated."""
        if refusal is None:
            return await self._launcher.claim(call)
        earlier = await self._launcher.find_claim(call)
        if earlier is None:
            raise refusal
        return earlier

    def _name(self, call: Call, claimed: Claimed) -> str:
        return self._launcher.issuer.name("control", call.caller.workspace, claimed.stem)

    async def _publish(
        self, call: Call, run_id: str, control_id: str, deadlines: Deadlines, make: MakeWish
    ) -> ControlAccepted:
        await publish_wishes(
            self._intake,
            [write_wish(call, run_id, control_id, make)],
            until=deadlines.answer,
            ids={"controlId": control_id},
        )
        return ControlAccepted(control_id=control_id, run_id=run_id, status_url=RUN_PATH + run_id)


def _refuse_decision(found: Resting, wanted: Decide) -> Problem | None:
    if found.status not in {"unconfirmed", "waiting"}:
        return conflict(f"The execution is {found.status}: there is nothing to decide.")
    if wanted.verdict == "resend" and found.is_failing:
        return conflict("The run has failed elsewhere: nothing of it is sent any more.")
    return None
