"""Writes a new connector: files of the template, and a line in each table that names connectors."""

import subprocess
import sys
from pathlib import Path
from string import Template

from mirsal_testing.new_connector.names import Names

TEMPLATE = Path(__file__).parent / "template"
_SUFFIX = ".tmpl"
_GENERATORS = ("shared/contracts/generate.py", "shared/runtime/asyncapi.py")
_GENERATE_SECONDS = 120.0
# File, a text in it, and what goes before that text. The first place counts.
_LINES = (
    ("pyproject.toml", '    "mirsal-code-runner[build]",', '    "mirsal-$service",\n'),
    ("pyproject.toml", "\n[tool.ruff]", "mirsal-$service = { workspace = true }\n"),
    (
        "pyproject.toml",
        '\n"""\nwarn_unreachable',
        ":\n$$MYPY_CONFIG_FILE_DIR/services/$service/src",
    ),
    ("pyproject.toml", "]\ninclude_external_packages", '    "$package",\n'),
    ("pyproject.toml", '",\n    "mirsal_runtime",\n    "mirsal_expressions",', " | $package"),
    (
        "shared/contracts/src/mirsal_contracts/nodes/registry.py",
        "from mirsal_contracts.nodes.whatsapp import",
        "from mirsal_contracts.nodes.$name import ${title}Config\n",
    ),
    (
        "shared/contracts/src/mirsal_contracts/nodes/registry.py",
        '    "noop": NodeType(',
        '    "$name": NodeType(${title}Config),\n',
    ),
    ("shared/contracts/topics/node.statuses.v1.yaml", ", noop-worker]", ", $service"),
    (
        "shared/testing/src/mirsal_testing/stack/table.py",
        "        # A connector that does nothing",
        '        Service("$service", "$package", "${setting}WORKERS", processes=0),\n',
    ),
)


class ScaffoldRefused(Exception):
    """Nothing was written; the text says why."""


def scaffold(root: Path, names: Names) -> list[Path]:
    """The files written or changed in the checkout at `root`. Raises `ScaffoldRefused`."""
    fields = names.fields()
    new = {
        root / _fill(path, fields): _fill(text, fields) for path, text in _read_template().items()
    }
    taken = [path for path in new if path.exists()]
    if taken:
        raise ScaffoldRefused(f"there is a {taken[0].relative_to(root)} already")
    changed = _add_lines(root, fields)
    for path, text in (new | changed).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    _put_in_order(root, [*new, *changed])
    for script in _GENERATORS:
        _run(root, [sys.executable, str(root / script)])
    return [*new, *changed]


def _read_template() -> dict[str, str]:
    """The template's texts by their paths, in which `$` fields are still open."""
    return {
        path.relative_to(TEMPLATE).as_posix().removesuffix(_SUFFIX): path.read_text("utf-8")
        for path in sorted(TEMPLATE.rglob(f"*{_SUFFIX}"))
    }


def _fill(text: str, fields: dict[str, str]) -> str:
    return Template(text).substitute(fields)


def _add_lines(root: Path, fields: dict[str, str]) -> dict[Path, str]:
    texts: dict[Path, str] = {}
    for file, anchor, line in _LINES:
        path = root / file
        text = texts.get(path) or path.read_text("utf-8")
        if anchor not in text:
            raise ScaffoldRefused(f"{file} has no {anchor.strip()!r} to put a line before")
        texts[path] = text.replace(anchor, _fill(line, fields) + anchor, 1)
    return texts


def _put_in_order(root: Path, paths: list[Path]) -> None:
    """Imports sorted and lines broken as the house does: a long name changes both."""
    ruff = str(Path(sys.executable).parent / "ruff")
    sources = [str(path) for path in paths if path.suffix == ".py"]
    _run(root, [ruff, "check", "--quiet", "--fix", "--select", "I", *sources])
    _run(root, [ruff, "format", "--quiet", *sources])


def _run(root: Path, command: list[str]) -> None:
    done = subprocess.run(  # noqa: S603 - our own programs, no shell
        command, cwd=root, capture_output=True, text=True, timeout=_GENERATE_SECONDS, check=False
    )
    if done.returncode != 0:
        raise ScaffoldRefused(f"{' '.join(command)} failed: {done.stdout}{done.stderr}")
