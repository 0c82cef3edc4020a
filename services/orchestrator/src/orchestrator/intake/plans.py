"""The plans of workflow versions, compiled once in this process."""

from collections.abc import Iterable

from mirsal_contracts.requests import RunRequested
from mirsal_contracts.workflows import Graph

from orchestrator.decide import Plan, compile_plan
from orchestrator.store.cache import WeightedCache
from orchestrator.store.runs import GraphKey

LIMIT_BYTES = 16 * 1024 * 1024


class PlanShelf:
    """Plans by version. It also knows which graphs the database has not got yet."""

    def __init__(self) -> None:
        self._plans: WeightedCache[GraphKey, Plan] = WeightedCache(LIMIT_BYTES)
        self._unwritten: dict[GraphKey, Graph] = {}

    def find(self, key: GraphKey) -> Plan | None:
        """The plan, if it is here."""
        return self._plans.get(key)

    def take(self, message: RunRequested) -> Plan:
        """The plan of the run that a message asks for. Raises `GraphRefused`."""
        if message.version == 0:
            return compile_plan(message.graph)
        key = GraphKey(message.workspace, message.workflow_id, message.version)
        plan = self._plans.get(key)
        if plan is None:
            plan = self.add(key, message.graph)
            self._unwritten[key] = message.graph
        return plan

    def add(self, key: GraphKey, graph: Graph) -> Plan:
        """Compile a graph and keep its plan. Raises `GraphRefused`."""
        plan = compile_plan(graph)
        self._plans.put(key, plan, len(graph.to_json()))
        return plan

    def unwritten(self, keys: Iterable[GraphKey]) -> list[tuple[GraphKey, Graph]]:
        """Those of the versions whose graph must go with the first run of theirs."""
        return [(key, self._unwritten[key]) for key in set(keys) if key in self._unwritten]

    def mark_written(self, keys: Iterable[GraphKey]) -> None:
        """The database has these."""
        for key in keys:
            self._unwritten.pop(key, None)
