"""The REST API of every release: whoever was written against it works with this version."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mirsal_testing.releases.kept import Release, all_releases, last_release
from mirsal_testing.releases.rest import missing_for_clients

if TYPE_CHECKING:
    from collections.abc import Callable

NOW: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "docs/openapi.json").read_text("utf-8")
)
API = "/api/automation"
RUN = f"{API}/run/{{runId}}"
START = f"{API}/workflow/{{workflowId}}/run"
Change = dict[str, Any]


@pytest.mark.parametrize("release", all_releases(), ids=lambda each: each.version)
def test_clients_of_a_release_miss_nothing(release: Release) -> None:
    assert missing_for_clients(release.rest(), NOW) == []


def need_a_parameter(document: Change) -> None:
    needed = {"name": "zone", "in": "query", "required": True, "schema": {"type": "string"}}
    document["paths"][f"{API}/jobs"]["get"]["parameters"].append(needed)


def lose_a_parameter(document: Change) -> None:
    operation = document["paths"][f"{API}/jobs"]["get"]
    operation["parameters"] = [each for each in operation["parameters"] if each["name"] != "status"]


def lose_a_kind_of_body(document: Change) -> None:
    del document["paths"][f"{API}/leads"]["post"]["requestBody"]["content"]["text/csv"]


def need_a_member(document: Change) -> None:
    document["components"]["schemas"]["SendEmail"].setdefault("required", []).append("nodeName")
    members = document["components"]["schemas"]["SendEmail"]["properties"]
    members["nodeName"] = {"type": "string"}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda each: each["paths"].pop(RUN), f"GET {RUN} is gone"),
        (lambda each: each["paths"][RUN]["get"]["responses"].pop("200"), "never answers 200"),
        (
            lambda each: each["components"]["schemas"]["RunView"]["properties"].pop("leadId"),
            f"GET {RUN}: 200.leadId is gone",
        ),
        (
            lambda each: each["components"]["schemas"]["StartRun"]["properties"].pop("input"),
            f"POST {START}: body.input is gone",
        ),
        (need_a_member, f"POST {API}/email/send: body.nodeName is needed"),
        (need_a_parameter, f"GET {API}/jobs: the query parameter zone is needed"),
        (lose_a_parameter, f"GET {API}/jobs: the query parameter status is gone"),
        (lose_a_kind_of_body, f"POST {API}/leads: body may not be text/csv"),
    ],
)
def test_what_clients_would_miss_is_found(change: Callable[[Change], Any], fault: str) -> None:
    document = copy.deepcopy(NOW)
    change(document)
    found = missing_for_clients(last_release().rest(), document)
    assert any(fault in each for each in found), found
