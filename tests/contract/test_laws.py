"""The laws of the house that import-linter and ruff cannot check; docs/ARCHITECTURE.md has them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for pattern in ("shared/*/src/**/*.py", "services/*/src/**/*.py", "shared/*/*.py")
    for path in ROOT.glob(pattern)
)
TESTS = sorted(
    path
    for pattern in ("shared/*/tests/**/*.py", "services/*/tests/**/*.py", "tests/**/*.py")
    for path in ROOT.glob(pattern)
)
MODULE_LINES = 400
FUNCTION_LINES = 50
WORN_OUT_NAMES = {"utils", "util", "helpers", "common", "base", "manager", "misc"}
WORN_OUT_ENDINGS = ("Manager", "Handler", "Impl")
PURE = (
    "services/orchestrator/src/orchestrator/decide/",
    "shared/expressions/",
    "shared/contracts/src/",
)
CLOCKS = {"now", "utcnow", "today", "monotonic", "perf_counter"}
TOPIC = re.compile(r"\b(executions|node|run|dead-letters)\.[a-z.-]+\.v\d+\b")
SQL_VERB = re.compile(
    r"\s*(SELECT\s.+\sFROM|INSERT INTO|UPDATE\s.+\sSET|DELETE FROM|WITH\s\w+\sAS|MERGE INTO"
    r"|(CREATE|ALTER|DROP|GRANT)\s\w+)\s",
    re.IGNORECASE,
)


def name_of(path: Path) -> str:
    """The path as a person would say it."""
    return path.relative_to(ROOT).as_posix()


def parse(path: Path) -> ast.Module:
    """The module's syntax tree."""
    return ast.parse(path.read_text("utf-8"), filename=str(path))


def imports(tree: ast.Module) -> Iterator[str]:
    """The names of the modules that a module imports, and of what it takes from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def built_texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and beginning of each text that is put together: f-string, +, % and `.format`."""
    for node in ast.walk(tree):
        first: ast.expr | None = None
        if isinstance(node, ast.JoinedStr) and len(node.values) > 1:
            first = node.values[0]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
            first = node.left
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            first = node.func.value if node.func.attr == "format" else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.lineno, first.value


def test_there_is_something_to_check() -> None:
    assert len(SOURCES) > 30
    assert len(TESTS) > 10


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=name_of)
def test_modules_and_functions_are_short(path: Path) -> None:
    lines = path.read_text("utf-8").count("\n")
    assert lines <= MODULE_LINES, f"{lines} lines: split the module"
    long = [
        f"{node.name} has {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES
    ]
    assert not long


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_names_say_what_a_module_holds(path: Path) -> None:
    assert path.stem not in WORN_OUT_NAMES
    assert ast.get_docstring(parse(path)), "say in one to three lines what lives here"
    classes = [node.name for node in ast.walk(parse(path)) if isinstance(node, ast.ClassDef)]
    assert not [name for name in classes if name.endswith(WORN_OUT_ENDINGS)]


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if name_of(path).startswith(PURE)], ids=name_of
)
def test_pure_parts_read_no_clock(path: Path) -> None:
    calls = [
        node.func.attr
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    assert not CLOCKS.intersection(calls)
    assert not [node for node in ast.walk(parse(path)) if isinstance(node, ast.Await)]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_clients_of_servers_stay_in_their_place(path: Path) -> None:
    name = name_of(path)
    roots = {module.split(".")[0] for module in imports(parse(path))}
    if not name.startswith(("shared/runtime/", "shared/testing/")):
        kafka_here = name.endswith("/main.py") or "/orchestrator/intake" in name
        assert kafka_here or not roots & {"aiokafka", "faststream"}
        postgres_here = "store" in name or name.endswith(("ledger.py", "/main.py"))
        assert postgres_here or "asyncpg" not in roots


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_topics_are_named_in_the_contracts_only(path: Path) -> None:
    if name_of(path).startswith("shared/contracts/"):
        return
    named = [
        node.value
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and TOPIC.fullmatch(node.value)
    ]
    assert not named


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_sql_is_never_put_together_from_values(path: Path) -> None:
    if name_of(path).startswith("shared/testing/"):
        return
    built = [line for line, text in built_texts(parse(path)) if SQL_VERB.match(text + " ")]
    assert not built, f"lines {built}: SQL belongs in a .sql file, values into parameters"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_unsafe_is_called(path: Path) -> None:
    calls = {
        node.func.id
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"eval", "exec", "__import__"}
    assert not {"pickle", "marshal", "shelve"} & set(imports(parse(path)))


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_tests_patch_nothing(path: Path) -> None:
    assert not [module for module in imports(parse(path)) if module.startswith("unittest.mock")]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('f"SELECT * FROM {table}"', True),
        ('f"DELETE FROM leads WHERE id = {lead}"', True),
        ('"SELECT * FROM leads WHERE id = " + lead', True),
        ('"SELECT * FROM leads WHERE id = %s" % lead', True),
        ('"SELECT * FROM leads WHERE id = {}".format(lead)', True),
        ('"SELECT * FROM leads WHERE id = $1"', False),
        ('f"select one of {names}"', False),
    ],
)
def test_the_law_on_sql_finds_what_it_forbids(code: str, found: bool) -> None:
    texts = [text for _, text in built_texts(ast.parse(code))]
    assert any(SQL_VERB.match(text + " ") for text in texts) == found


def test_the_law_on_imports_sees_every_way_to_import() -> None:
    for code in (
        "import unittest.mock",
        "from unittest import mock",
        "from unittest.mock import x",
    ):
        assert any(name.startswith("unittest.mock") for name in imports(ast.parse(code)))
