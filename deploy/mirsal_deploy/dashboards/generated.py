"""The dashboards' JSON files: what they must hold, and the queries in them."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from mirsal_deploy.dashboards import connector, lead, overview, servers, workflow
from mirsal_deploy.places import OBSERVABILITY

FOLDER: Final = OBSERVABILITY / "dashboards"
MAKERS: Final[Mapping[str, Callable[[], Dashboard]]] = {
    "overview": overview.make,
    "workflow": workflow.make,
    "connector": connector.make,
    "servers": servers.make,
    "lead": lead.make,
}


def expected_files() -> Mapping[Path, str]:
    """Each file, by its path in the repository, and what it must hold."""
    return {FOLDER / f"{name}.json": _write(make()) for name, make in MAKERS.items()}


def find_stale(root: Path) -> list[Path]:
    """The files that are not as they must be, and those of no dashboard."""
    expected = expected_files()
    stale = [
        path
        for path, text in expected.items()
        if not (root / path).is_file() or (root / path).read_text("utf-8") != text
    ]
    there = {path.relative_to(root) for path in (root / FOLDER).glob("*.json")}
    return stale + sorted(there - expected.keys())


def read_queries(root: Path) -> Iterator[tuple[Path, str]]:
    """Each PromQL query of the files, as they lie there."""
    for path in sorted((root / FOLDER).glob("*.json")):
        yield from ((path.relative_to(root), query) for query in _queries(_read(path)))


def _queries(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("expr"), str):
            yield node["expr"]
        for each in node.values():
            yield from _queries(each)
    elif isinstance(node, list):
        for each in node:
            yield from _queries(each)


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _write(made: Dashboard) -> str:
    document = json.loads(json.dumps(made.build(), cls=JSONEncoder))
    for number, panel in enumerate(document["panels"], 1):
        panel["id"] = number
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
