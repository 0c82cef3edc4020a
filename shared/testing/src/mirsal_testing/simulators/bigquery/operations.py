"""Which operation of the BigQuery API a request is: from its method and path, pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

PATH = re.compile(
    r"/bigquery/v2/projects/(?P<project>[^/]+)"
    r"(?:/datasets(?:/(?P<dataset>[^/]+)"
    r"(?P<tables>/tables(?:/(?P<table>[^/]+)(?P<rest>/insertAll|/data)?)?)?)?)?"
)
KINDS = {"POST": "insert", "GET": "get", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Operation:
    """`name` as in Google's reference, such as `tables.patch`; `table` is `project:dataset.table`.

    What is neither of datasets, tables nor tabledata is `other`, with the parts that its path has.
    """

    name: str
    project: str = ""
    dataset: str = ""
    table_id: str = ""

    @property
    def table(self) -> str:
        return f"{self.project}:{self.dataset}.{self.table_id}" if self.table_id else ""


def find_operation(method: str, path: str) -> Operation:
    match = PATH.fullmatch(path)
    if match is None:
        return _other(path)
    parts = {name: unquote(value or "") for name, value in match.groupdict().items()}
    ids = (parts["project"], parts["dataset"], parts["table"])
    if parts["rest"]:
        return Operation(f"tabledata.{'list' if method == 'GET' else 'insertAll'}", *ids)
    noun = "tables" if parts["tables"] else "datasets"
    of_all = not (parts["table"] if parts["tables"] else parts["dataset"])
    kind = "list" if of_all and method == "GET" else KINDS.get(method, method.lower())
    return Operation(f"{noun}.{kind}", *ids)


def _other(path: str) -> Operation:
    parts = path.split("/")
    if len(parts) > 5 and parts[5] in ("queries", "jobs"):
        return Operation("jobs", unquote(parts[4]))
    return Operation("other")
