"""Direct calls of a connector, and reading executions."""

import asyncio
from collections.abc import Awaitable

from mirsal_contracts.leads import Lead
from mirsal_contracts.workflows import Graph, Node

from gateway.auth.schemas import Principal
from gateway.bodies import Json, fit
from gateway.credentials.references import AccountRules
from gateway.executions.schemas import (
    RESTING_STATUSES,
    CheckCode,
    ExecutionStarted,
    ExecutionView,
    LogPage,
    SendOne,
)
from gateway.executions.store import ExecutionStore, LogFilter
from gateway.issued_ids import is_fresh
from gateway.paging import Asked, cut_page
from gateway.problems import Fault, Problem, access_denied, invalid, not_found
from gateway.runs.launch import Call, Deadlines, Launcher, Order
from gateway.runs.service import FactFinder
from gateway.runs.store import StartQuestion, StartStore
from gateway.store import DatabaseUnavailable
from gateway.watching.lookout import Lookout
from gateway.watching.store import Sight, Subject
from gateway.workflows.service import Workflows
from gateway.workflows.validation import check_config

EXECUTION_PATH = "/api/automation/execution/{}/status"
DIRECT_VERSION = 0
CHECK_NODE = "code-check"


class DirectCalls:
    """Starts runs of one node. Raises `Problem` and `DatabaseUnavailable`."""

    def __init__(self, finder: FactFinder, launcher: Launcher, accounts: AccountRules) -> None:
        self._finder = finder
        self._accounts = accounts
        self._launcher = launcher

    async def send(self, call: Call, connector: str, body: Json | Problem) -> ExecutionStarted:
        """Have `connector` do what the body's config says."""
        wanted = fit(SendOne, body)
        return await self.start(call, self._resolve(call, connector, wanted, body))

    async def check_code(self, call: Call, body: Json | Problem) -> ExecutionStarted:
        """Have the code runner read a code without running it: for no lead, of a workflow."""
        return await self.start(call, self._resolve_check(call, fit(CheckCode, body), body))

    async def start(self, call: Call, resolving: Awaitable[Order]) -> ExecutionStarted:
        """Start a run of one node, whose order comes without ids."""
        deadlines = Deadlines.from_now()
        try:
            async with asyncio.timeout_at(deadlines.read):
                order = await resolving
                stem = await self._launcher.stem_for(call)
        except TimeoutError as error:
            raise DatabaseUnavailable("PostgreSQL did not answer in time") from error
        workspace = call.caller.workspace
        run_id = self._launcher.issuer.name("run", workspace, stem)
        execution_id = self._launcher.issuer.name("execution", workspace, stem)
        order = order._replace(run_id=run_id, execution_id=execution_id)
        ids = {"executionId": execution_id, "runId": run_id}
        await self._launcher.launch(
            call, [order], [call.traceparent], until=deadlines.answer, ids={**ids}
        )
        return ExecutionStarted(
            execution_id=execution_id,
            run_id=run_id,
            status_url=EXECUTION_PATH.format(execution_id),
        )

    async def _resolve(
        self, call: Call, connector: str, wanted: SendOne | Problem, body: Json | Problem
    ) -> Order:
        """What the body names, checked in the order 403, 422, 404; without ids yet."""
        workspace = call.caller.workspace
        if isinstance(wanted, Problem):
            named = _workflow_named_in(body)
            if named is not None:
                await self._require(call.caller, StartQuestion(workspace, named, ()))
            raise wanted
        question = StartQuestion(workspace, wanted.workflow_id, (wanted.lead_id,))
        (lead,) = await self._require(call.caller, question)
        node = Node(id=wanted.node_id, type=connector, config=wanted.config)
        faults = list(check_config(node, at="/config", known=(), before=None))
        faults = faults or await self._accounts.find_faults(workspace, [("/config", node)])
        if faults:
            raise invalid(faults)
        if lead is None:
            raise not_found("There is no such lead.", [Fault("there is no such lead", "/leadId")])
        return Order("", wanted.workflow_id, DIRECT_VERSION, Graph(nodes=(node,)), lead, {})

    async def _resolve_check(
        self, call: Call, wanted: CheckCode | Problem, body: Json | Problem
    ) -> Order:
        named = _workflow_named_in(body) if isinstance(wanted, Problem) else wanted.workflow_id
        if named is not None:
            await self._require(call.caller, StartQuestion(call.caller.workspace, named, ()))
        if isinstance(wanted, Problem):
            raise wanted
        node = Node(
            id=CHECK_NODE,
            type="code",
            config={"language": wanted.language, "code": wanted.code, "check": True},
        )
        graph = Graph(nodes=(node,))
        return Order("", wanted.workflow_id, DIRECT_VERSION, graph, Lead(id=CHECK_NODE), {})

    async def _require(self, caller: Principal, question: StartQuestion) -> list[Lead | None]:
        if not caller.may_use(question.workflow_id):
            raise access_denied()
        facts = await self._finder.find(question)
        if facts.version is None:
            raise access_denied()
        return facts.leads


class Executions:
    """Reads executions. Raises `Problem` and `DatabaseUnavailable`."""

    def __init__(
        self,
        launcher: Launcher,
        store: ExecutionStore,
        starts: StartStore,
        workflows: Workflows,
        lookout: Lookout,
    ) -> None:
        self._issuer = launcher.issuer
        self._lookout = lookout
        self._store = store
        self._starts = starts
        self._workflows = workflows

    async def read(self, caller: Principal, execution_id: str) -> ExecutionView:
        """The execution; `queued` if it was issued so lately that its row is on its way."""
        view = await self._store.read(caller.workspace, execution_id)
        if view is not None:
            if not caller.may_use(view.workflow_id or ""):
                raise not_found("There is no such execution.")
            return view
        stem = self._issuer.stem_of("execution", caller.workspace, execution_id)
        if stem is not None and (
            is_fresh(stem) or await self._starts.was_handed_out(caller.workspace, stem)
        ):
            run_id = self._issuer.name("run", caller.workspace, stem)
            return ExecutionView(execution_id=execution_id, run_id=run_id)
        raise not_found("There is no such execution.")

    async def read_within(
        self, caller: Principal, execution_id: str, seconds: float
    ) -> ExecutionView:
        """The execution once nothing follows by itself, or as it is after so many seconds.

        Raises `NoPlace` when too many wait already.
        """
        view = await self.read(caller, execution_id)
        if view.status in RESTING_STATUSES:
            return view
        with self._lookout.take_place():
            await self._lookout.wait(Subject("execution", view.execution_id), _rests, seconds)
        return await self.read(caller, execution_id)

    async def list_log(
        self,
        caller: Principal,
        workflow_id: str,
        wanted: LogFilter,
        asked: Asked,
    ) -> LogPage:
        """A page of a workflow's executions."""
        await self._workflows.require(caller, workflow_id)
        found = await self._store.list_log(caller.workspace, workflow_id, wanted, asked)
        items, cursor = cut_page(found, asked.limit, lambda each: each.place)
        return LogPage(items=[each.view for each in items], next_cursor=cursor)


def _rests(sight: Sight) -> bool:
    return sight.status in RESTING_STATUSES


def _workflow_named_in(body: Json | Problem) -> str | None:
    """The workflow that a body names which is otherwise wrong."""
    if isinstance(body, Problem) or not isinstance(body.value, dict):
        return None
    named = body.value.get("workflowId")
    return named if isinstance(named, str) else None
