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
TLS_SWITCHES = {"verify", "ssl", "check_hostname", "validate_certs", "verify_ssl"}
CLOCKS = {"now", "utcnow", "today", "monotonic", "perf_counter"}
TOPIC = re.compile(r"\b(executions|node|run|dead-letters)\.[a-z.-]+\.v\d+\b")
SQL = re.compile(
    r"""\s*(
        SELECT\s.+\sFROM\s | (INSERT|MERGE)\s+INTO\s | DELETE\s+FROM\s
      | UPDATE\s+[\w."{}%]+\s+(AS\s+)?(\w+\s+)?SET\s
      | WITH\s+(RECURSIVE\s+)?[\w"{}]+\s*(\([^)]*\)\s*)?AS\s+((NOT\s+)?MATERIALIZED\s*)?\(
      | (CREATE|ALTER|DROP)\s+(\w+\s+)*(TABLE|INDEX|SCHEMA|ROLE|USER|VIEW|TYPE|DATABASE|FUNCTION)\s
      | (GRANT|REVOKE)\s.+\s(TO|FROM|ON)\s | TRUNCATE\s | SET\s+(LOCAL\s+|SESSION\s+)?ROLE\s
      | (LOCK|COPY|EXPLAIN|ANALYZE|VACUUM|LISTEN|NOTIFY)\s
    )""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
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


def unsafe_in(tree: ast.Module) -> Iterator[str]:
    """What evaluates a text, makes objects of bytes, or does without TLS' checks."""
    yield from {"pickle", "marshal", "shelve"} & set(imports(tree))
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in {"eval", "exec", "__import__"}:
                yield name
            case ast.Call(func=ast.Attribute(value=ast.Name(id="yaml"), attr="load")):
                yield "yaml.load"
            case ast.keyword(arg=name, value=ast.Constant(value=False)) if name in TLS_SWITCHES:
                yield str(name)
            case ast.Assign(targets=[ast.Attribute(attr=name)], value=ast.Constant(value=False)):
                yield from {name} & TLS_SWITCHES
            case ast.Attribute(attr=name) if name in {"CERT_NONE", "_create_unverified_context"}:
                yield name


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


def texts_with_values(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Texts that are put together, with {} for each value: f"", "" + x, "" % x, "".format(x)."""
    for node in ast.walk(tree):
        match node:
            case ast.JoinedStr():
                yield node.lineno, text_of(node)
            case ast.BinOp(left=left, op=ast.Add() | ast.Mod()):
                yield node.lineno, text_of(left) + "{}"
            case ast.Call(func=ast.Attribute(value=text, attr="format" | "join" | "replace")):
                yield node.lineno, text_of(text)


def text_of(node: ast.expr) -> str:
    """The text as far as it is written down."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(map(text_of, parts))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return text_of(left) + text_of(right)
        case _:
            return "{}"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_sql_is_never_put_together_from_values(path: Path) -> None:
    if name_of(path).startswith("shared/testing/"):
        return
    built = [line for line, text in texts_with_values(parse(path)) if SQL.match(text)]
    assert not built, f"lines {built}: SQL belongs in a .sql file, values into parameters"


@pytest.mark.parametrize(
    "source",
    [
        'f"SELECT * FROM {table} WHERE true"',
        'f"""\n  SELECT a,\n b FROM x WHERE id = {value}"""',
        'f"with due as (select 1) update {x}"',
        'f"WITH RECURSIVE tree (id, up) AS (SELECT {x})"',
        'f"WITH a AS MATERIALIZED (SELECT {x})"',
        'f"WITH a AS NOT MATERIALIZED(SELECT {x})"',
        'f"WITH {name} AS (SELECT 1)"',
        "f'WITH \"a\"(b) AS (SELECT {x})'",
        '"DELETE FROM " + table',
        '"SELECT a FROM b " + "WHERE c = " + value',
        '"UPDATE %s SET a = 1" % table',
        '"INSERT INTO {} VALUES (1)".format(table)',
        'f"CREATE UNIQUE INDEX i ON {table}"',
        'f"SET LOCAL ROLE {role}"',
        'f"LOCK TABLE {table}"',
    ],
)
def test_sql_that_is_put_together_is_recognised(source: str) -> None:
    assert any(SQL.match(text) for _, text in texts_with_values(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        'f"with the answer as {it} is"',
        'f"With {count} as the limit, nothing goes"',
        'f"select one of {names}"',
        'f"update {name}: set it"',
        'f"create {name} first"',
        '"SELECT 1 FROM runs"',
        'f"{count} rows: DELETE FROM is not ours"',
    ],
)
def test_words_are_not_taken_for_sql(source: str) -> None:
    assert not any(SQL.match(text) for _, text in texts_with_values(ast.parse(source)))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_unsafe_is_called(path: Path) -> None:
    assert not list(unsafe_in(parse(path)))


@pytest.mark.parametrize(
    "source",
    [
        "eval(text)",
        "from pickle import loads",
        "connect(ssl=False)",
        "httpx.AsyncClient(verify=False)",
        "context.check_hostname = False",
        "context.verify_mode = ssl.CERT_NONE",
        "ssl._create_unverified_context()",
        "yaml.load(text)",
    ],
)
def test_what_is_unsafe_is_recognised(source: str) -> None:
    assert list(unsafe_in(ast.parse(source)))


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_tests_patch_nothing(path: Path) -> None:
    assert not [module for module in imports(parse(path)) if module.startswith("unittest.mock")]


def test_the_law_on_imports_sees_every_way_to_import() -> None:
    for code in (
        "import unittest.mock",
        "from unittest import mock",
        "from unittest.mock import x",
    ):
        assert any(name.startswith("unittest.mock") for name in imports(ast.parse(code)))
