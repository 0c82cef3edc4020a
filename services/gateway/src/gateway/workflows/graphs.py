"""The graphs of versions, kept in memory: a version never changes, so it is read once."""

from collections import OrderedDict

from mirsal_contracts.workflows import Graph
from mirsal_runtime.batching import Batcher

from gateway.workflows.store import VersionKey, WorkflowStore

KEPT_BYTES = 32 * 1024 * 1024
"""Graphs are kept up to this much JSON in all, the latest used ones."""


class KnownGraph:
    """A graph and the length of its JSON in bytes."""

    __slots__ = ("graph", "size")

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.size = len(graph.to_json())


class GraphShelf:
    """Graphs by workspace, workflow and version."""

    def __init__(self, store: WorkflowStore) -> None:
        self._store = store
        self._kept: OrderedDict[VersionKey, KnownGraph] = OrderedDict()
        self._size = 0
        self._reads: Batcher[VersionKey, Graph] = Batcher(store.read_graphs, limit=50)

    async def find(self, key: VersionKey) -> KnownGraph:
        """The graph of a version that exists. Raises `DatabaseUnavailable`."""
        known = self._kept.get(key)
        if known is not None:
            self._kept.move_to_end(key)
            return known
        known = KnownGraph(await self._reads.submit(key))
        if key not in self._kept:
            self._kept[key] = known
            self._size += known.size
        while self._size > KEPT_BYTES:
            self._size -= self._kept.popitem(last=False)[1].size
        return known
