"""Names and columns in BigQuery's alphabet, and the table of what its answers mean."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests
from google.api_core.exceptions import from_http_status
from hypothesis import given
from hypothesis import strategies as st
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    OutcomeUnknown,
    PermanentError,
    ThrottledError,
)
from sheets_worker.bigquery.client import RowProblem
from sheets_worker.bigquery.errors import failure_in, failure_of
from sheets_worker.bigquery.names import (
    MOST_COLUMNS,
    Need,
    TableColumn,
    name_table,
    plan_columns,
    type_of,
)
from sheets_worker.bigquery.rows import is_passing
from sheets_worker.rows import TabName

if TYPE_CHECKING:
    from mirsal_contracts.nodes.google_sheets import CellType
    from sheets_worker.rows import Value

COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}", re.ASCII)
TABLE = re.compile(r"[A-Za-z0-9_]{1,1024}", re.ASCII)
NEEDS = st.lists(
    st.builds(Need, st.text(min_size=1, max_size=300), st.sampled_from(["STRING", "FLOAT", "DATE"]))
)


@given(st.text(min_size=1, max_size=500), st.text(min_size=1, max_size=500))
def test_any_tab_has_a_table(spreadsheet_id: str, sheet: str) -> None:
    name = name_table(TabName(spreadsheet_id, sheet))
    assert TABLE.fullmatch(name)
    assert name == name_table(TabName(spreadsheet_id, sheet))
    assert name.lower() != name_table(TabName(spreadsheet_id, sheet + "2")).lower()


def test_a_tabs_table_can_be_recognised() -> None:
    assert name_table(TabName("1Ab-C", "My leads")).startswith("1Ab_C__My_leads__")


@given(NEEDS, NEEDS)
def test_any_header_has_a_column_of_its_own_for_ever(first: list[Need], later: list[Need]) -> None:
    made = plan_columns([], first)
    widened = plan_columns(made.added, [*later, *first])
    for need in first:
        assert widened.names[need] == made.names[need]
    names = [column.name.lower() for column in (*made.added, *widened.added)]
    assert len(names) == len(set(names))
    assert all(COLUMN.fullmatch(name) for name in names)
    assert set(widened.names) == {*first, *later}


def test_a_column_that_somebody_else_made_is_left_alone() -> None:
    plan = plan_columns([TableColumn("Age", "INTEGER", "")], [Need("Age", "FLOAT")])
    assert plan.names == {Need("Age", "FLOAT"): "Age_number"}


def test_what_finds_no_column_any_more_is_left_to_the_row_as_it_came() -> None:
    full = [TableColumn(f"c{number}", "STRING", "") for number in range(MOST_COLUMNS)]
    plan = plan_columns(full, [Need("Age", "FLOAT")])
    assert (plan.names, plan.added) == ({}, [])


@pytest.mark.parametrize(
    ("value", "declared", "kind"),
    [
        ("a", None, "STRING"),
        (1, None, "STRING"),
        (1, "text", "STRING"),
        (1, "number", "FLOAT"),
        (True, "number", "BOOLEAN"),
        ("many", "number", "STRING"),
        (None, "number", "FLOAT"),
        (date(2026, 1, 2), "date", "DATE"),
        (datetime(2026, 1, 2), "date", "TIMESTAMP"),  # noqa: DTZ001 - only its class counts
        (date(2026, 1, 2), "datetime", "DATE"),
        (False, "boolean", "BOOLEAN"),
    ],
)
def test_the_type_of_a_values_column(value: Value, declared: CellType | None, kind: str) -> None:
    assert type_of(value, declared) == kind


def answer(status: int, reason: str | None, message: str = "so it is") -> Any:
    errors = [] if reason is None else [{"reason": reason, "message": message}]
    return from_http_status(status, message, errors=errors)


@pytest.mark.parametrize(
    ("status", "reason", "kind", "code"),
    [
        (403, "rateLimitExceeded", ThrottledError, "bigquery_rate"),
        (403, "quotaExceeded", ThrottledError, "bigquery_quota"),
        (403, "accessDenied", ActionRequired, "bigquery_no_permission"),
        (403, "billingNotEnabled", ActionRequired, "bigquery_billing"),
        (403, "a new reason", ActionRequired, "bigquery_no_permission"),
        (403, None, ActionRequired, "bigquery_no_permission"),
        (429, None, ThrottledError, "bigquery_rate"),
        (401, "authError", ActionRequired, "google_credentials"),
        (404, "notFound", ActionRequired, "bigquery_not_found"),
        (409, "duplicate", ThrottledError, "bigquery_changed"),
        (412, "conditionNotMet", ThrottledError, "bigquery_changed"),
        (413, "requestTooLarge", PermanentError, "bigquery_too_large"),
        (400, "invalid", PermanentError, "bigquery_refused"),
        (302, None, ActionRequired, "bigquery_refused"),
    ],
)
def test_answers(status: int, reason: str | None, kind: type[AttemptFailure], code: str) -> None:
    for stores in (True, False):
        failure = failure_of(answer(status, reason), stores=stores)
        assert isinstance(failure, kind)
        assert failure.code == code


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_trouble_while_storing_leaves_open_whether_it_was(status: int) -> None:
    assert isinstance(failure_of(answer(status, "backendError"), stores=True), OutcomeUnknown)
    assert isinstance(failure_of(answer(status, None), stores=False), ThrottledError)


def test_the_free_tier_is_no_matter_of_permissions() -> None:
    said = "Access Denied: BigQuery: Streaming insert is not allowed in the free tier"
    assert failure_of(answer(403, "accessDenied", said), stores=True).code == "bigquery_billing"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (requests.ConnectTimeout(), ThrottledError),
        (requests.ReadTimeout(), OutcomeUnknown),
        (requests.ConnectionError("reset"), OutcomeUnknown),
    ],
)
def test_only_what_was_surely_not_sent_is_surely_not_stored(
    error: Exception, kind: type[AttemptFailure]
) -> None:
    assert type(failure_in(error, stores=True)) is kind
    assert type(failure_in(error, stores=False)) is ThrottledError


@pytest.mark.parametrize(
    ("problem", "passes"),
    [
        (RowProblem(0, "stopped", "", ""), True),
        (RowProblem(0, "timeout", "", ""), True),
        (RowProblem(0, "quotaExceeded", "", ""), True),
        (RowProblem(0, "invalid", "town", "no such field: town."), True),
        (RowProblem(0, "invalid", "_mirsal_values", "no such field: _mirsal_values."), True),
        (RowProblem(0, "invalid", "street", "no such field: street."), False),
        (RowProblem(0, "invalid", "town", "Cannot convert value to integer"), False),
        (RowProblem(0, "something new", "", ""), False),
    ],
)
def test_which_rows_are_sent_again(problem: RowProblem, *, passes: bool) -> None:
    assert is_passing(problem, ["Town"]) is passes
