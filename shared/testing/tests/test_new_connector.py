"""A scaffolded connector passes the suite of all connectors, and the house's own checks."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from mirsal_testing.new_connector.names import Names
from mirsal_testing.new_connector.scaffold import ScaffoldRefused, scaffold

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
NEEDED = (
    "pyproject.toml",
    "uv.lock",
    "shared",
    "tests/contract",
    "docs/asyncapi.json",
    "docs/SECURITY.md",
)
SECONDS = 110


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A copy of what a scaffold changes and reads; this checkout stays as it is."""
    skipped = shutil.ignore_patterns("__pycache__", "*.pyc", ".*_cache", ".hypothesis")
    for name in NEEDED:
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=skipped)
        else:
            shutil.copy(source, target)
    return tmp_path


def run(workspace: Path, *command: str) -> None:
    """A program of the copy's; its sources come before the installed ones."""
    sources = [str(path) for path in workspace.glob("*/*/src")]
    done = subprocess.run(
        [str(each) for each in command],
        cwd=workspace,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sources)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["sms", "push_notice"])
def test_a_new_connector_passes_what_all_connectors_pass(workspace: Path, name: str) -> None:
    names = Names(name)
    run(workspace, sys.executable, "-m", "mirsal_testing.new_connector", name)
    service = f"services/{names.service}"
    run(workspace, f"{BIN}/ruff", "check", "services", "shared")
    run(workspace, f"{BIN}/ruff", "format", "--check", "services", "shared")
    run(workspace, sys.executable, "shared/contracts/generate.py", "--check")
    run(workspace, sys.executable, "shared/runtime/asyncapi.py", "--check")
    tests = (f"{service}/tests/test_connector.py", "shared/contracts/tests/test_examples.py")
    pytest_command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    run(workspace, *pytest_command, *tests)
    run(workspace, *pytest_command, "tests/contract", "-k", service)
    settings = tomllib.loads((workspace / "pyproject.toml").read_text("utf-8"))["tool"]
    sources = "".join(settings["mypy"]["mypy_path"].split()).split(":")
    assert f"$MYPY_CONFIG_FILE_DIR/{service}/src" in sources
    assert names.package in settings["importlinter"]["root_packages"]
    assert names.package in settings["importlinter"]["contracts"][0]["layers"][1].split(" | ")
    assert f"mirsal-{names.service}" in settings["uv"]["sources"]
    table = (workspace / "shared/testing/src/mirsal_testing/stack/table.py").read_text("utf-8")
    assert f'Service("{names.service}","{names.package}"' in "".join(table.split())


def test_a_name_that_is_taken_or_none_changes_nothing(workspace: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in workspace.rglob("*")}
    for name in ("Sms", "sms-out", "1a", "a__b", "", "a" * 31, "../x"):
        with pytest.raises(ValueError, match="cannot name a connector"):
            Names(name)
    with pytest.raises(ScaffoldRefused, match="already"):
        scaffold(workspace, Names("whatsapp"))
    assert {path: path.stat().st_mtime_ns for path in workspace.rglob("*")} == before
