"""docs/SECURITY.md: every criterion is in its table, and each test that it names is there."""

import ast
import re
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
STATES: Final = {"holds", "partly", "open", "outside"}
LAST: Final = 36


class Row(NamedTuple):
    """One criterion. `tests` are modules, or modules with the name of one test."""

    name: str
    state: str
    where: str
    tests: list[str]


def _read_rows() -> list[Row]:
    rows = []
    for line in (ROOT / "docs/SECURITY.md").read_text("utf-8").splitlines():
        if re.match(r"\| S\d+ \|", line):
            name, _, state, where, tests = (each.strip() for each in line.strip("|").split("|"))
            rows.append(Row(name, state, where, re.findall(r"`([^`]+)`", tests)))
    return rows


ROWS: Final = _read_rows()
NAMED: Final = sorted({name for row in ROWS for name in row.tests})


def is_there(name: str) -> bool:
    """Whether the module exists and has tests, and the one that is named among them."""
    path, _, wanted = name.partition("::")
    if not (ROOT / path).is_file():
        return False
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    defined = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return wanted in defined if wanted else any(each.startswith("test_") for each in defined)


def test_every_criterion_has_its_row() -> None:
    assert [row.name for row in ROWS] == [f"S{number}" for number in range(1, LAST + 1)]
    assert {row.state for row in ROWS} <= STATES


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_is_said_to_hold_has_a_place_and_a_test(row: Row) -> None:
    built = row.state in {"holds", "partly"}
    assert bool(row.where) is built
    assert bool(row.tests) is built


@pytest.mark.parametrize("name", NAMED)
def test_each_test_that_is_named_is_there(name: str) -> None:
    assert is_there(name), "docs/SECURITY.md names a test that nobody can run"


def test_a_test_that_is_gone_is_noticed() -> None:
    here = "tests/contract/test_security.py"
    assert is_there(here)
    assert is_there(f"{here}::test_a_test_that_is_gone_is_noticed")
    assert not is_there(f"{here}::test_nothing")
    assert not is_there("tests/contract/test_nothing.py")
