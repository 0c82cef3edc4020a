"""Which nodes an expression reads, and that the package is as pure as it says."""

import ast
from pathlib import Path

import mirsal_expressions
import pytest
from mirsal_expressions import referenced_nodes

IMPURE = {"asyncio", "io", "logging", "os", "pathlib", "random", "secrets", "socket", "time"}


@pytest.mark.parametrize(
    ("source", "nodes"),
    [
        ("{{ nodes.a.output.x }}{{ nodes['b-c'].output }}", {"a", "b-c"}),
        ("{% if nodes.a.output.x == nodes.b.output.y %}{{ lead.name }}{% endif %}", {"a", "b"}),
        ("{{ lead.name | default(nodes.a.output.x) }}", {"a"}),
        ("{# {{ nodes.a.output }} #}", set()),
        ("{{ 'nodes.a.output' }} nodes.b.output", set()),
        ("{{ nodes.a.output }}{{ nodes.send-mail.output }}", {"a"}),
        ("plain text, nodes and all", set()),
        ('nodes["a-b"].output.x > 1 && has(nodes.c.output.y)', {"a-b", "c"}),
        ("lead.tags.exists(t, t == nodes.a.output.x)", {"a"}),
        ('"nodes.a.output" == lead.name', set()),
        ("nodes.a.output ==", set()),
        ("nodes", set()),
        ("", set()),
    ],
)
def test_referenced_nodes(source: str, nodes: set[str]) -> None:
    assert referenced_nodes(source) == nodes


def test_a_plain_text_may_look_like_a_condition() -> None:
    assert referenced_nodes("nodes.a.output") == {"a"}
    assert referenced_nodes("nodes.a.output", condition=False) == set()
    assert referenced_nodes("nodes.a.output", condition=True) == {"a"}


def test_no_module_does_input_or_output_or_evaluates_code() -> None:
    package = Path(mirsal_expressions.__file__).parent
    for module in package.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not {name.name.split(".")[0] for name in node.names} & IMPURE
            if isinstance(node, ast.ImportFrom):
                assert str(node.module).split(".")[0] not in IMPURE
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec", "compile", "open", "__import__"}
