"""What is known of a batch's runs: remembered by this process, or read from the tables."""

from collections.abc import Iterable

from orchestrator.decide import EMPTY_PLAN, GraphRefused, Plan, RunRequest, compile_plan
from orchestrator.intake.cases import Case
from orchestrator.intake.folding import Folding, KnownRun
from orchestrator.intake.patience import Wait, insist
from orchestrator.intake.plans import PlanShelf
from orchestrator.store.cache import WeightedCache
from orchestrator.store.runs import GraphKey, RunStore, StoredRun

RUN_BYTES = 16 * 1024 * 1024


class Memory:
    """Runs as this process last wrote them, and the plans that they follow.

    A remembered run saves a query. It is believed only where its revision proves it right: the
    write that it leads to is guarded, and an event that it would ignore is looked at again with
    the run as the table has it.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self.plans = PlanShelf()
        self._runs: WeightedCache[str, KnownRun] = WeightedCache(RUN_BYTES)

    def __len__(self) -> int:
        """How many runs are remembered."""
        return len(self._runs)

    async def know(self, cases: Iterable[Case], wait: Wait) -> dict[str, KnownRun]:
        """Those of the runs that exist; a run whose request is at hand is taken for a new one."""
        known: dict[str, KnownRun] = {}
        missing: list[str] = []
        for case in cases:
            run = None if case.must_load else self._runs.get(case.run_id)
            if run is not None:
                known[case.run_id] = run
            elif case.must_load or not case.may_be_new:
                missing.append(case.run_id)
        if missing:
            loaded = await insist(lambda: self._store.load(missing), wait)
            for run_id, stored in loaded.items():
                plan = await self._plan_of(stored, wait)
                known[run_id] = KnownRun(stored, plan, is_cached=False)
        return known

    def keep(self, folding: Folding) -> None:
        """Remember what was written; a run that is over asks for nothing more."""
        run = folding.run
        if run.state.is_final or folding.write is None:
            self._runs.drop(run.request.run_id)
        else:
            known = KnownRun(run, folding.plan, is_cached=True)
            self._runs.put(run.request.run_id, known, folding.weight)

    def forget(self, run_id: str) -> None:
        """What is remembered of this run is not so."""
        self._runs.drop(run_id)

    def forget_all(self) -> None:
        """Others may have moved any run."""
        self._runs.clear()

    async def _plan_of(self, stored: StoredRun, wait: Wait) -> Plan:
        """The plan of a run that exists; an empty one if this release cannot follow its graph."""
        request, key = stored.request, key_of(stored.request)
        plan = self.plans.find(key)
        if plan is not None:
            return plan
        graph = request.graph or await insist(lambda: self._store.load_graph(key), wait)
        try:
            if graph is None:
                return EMPTY_PLAN
            return self.plans.add(key, graph) if request.version else compile_plan(graph)
        except GraphRefused:
            return EMPTY_PLAN


def key_of(request: RunRequest) -> GraphKey:
    """The version that a run follows."""
    return GraphKey(request.workspace, request.workflow_id, request.version)
