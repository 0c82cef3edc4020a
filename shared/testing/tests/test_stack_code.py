"""Which code a stack's process runs: its own file's, the stack's first, or this version's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mirsal_testing.releases.source import is_kept
from mirsal_testing.servers.processes import Program
from mirsal_testing.stack.code import THIS_VERSION, Code, code_of, first_code_of
from mirsal_testing.stack.folder import StateFolder

if TYPE_CHECKING:
    from pathlib import Path

OLD = Code("/releases/0.1.0/python", {"PYTHONPATH": "/releases/0.1.0/src"})


def test_a_process_has_its_own_code_before_the_stacks(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.make()
    assert code_of(folder, "gateway-1") == first_code_of(folder) == THIS_VERSION
    OLD.write(folder.first_code)
    THIS_VERSION.write(folder.code_file_of("gateway-1"))
    assert code_of(folder, "gateway-1") == THIS_VERSION
    assert code_of(folder, "gateway-2") == first_code_of(folder) == OLD


def test_a_program_is_run_by_the_codes_interpreter_and_environment() -> None:
    program = Program([sys.executable, "-m", "gateway"], {"A": "1", "PYTHONPATH": "x"})
    changed = OLD.run(program)
    assert list(changed.arguments) == ["/releases/0.1.0/python", "-m", "gateway"]
    assert changed.environment == {"A": "1", "PYTHONPATH": "/releases/0.1.0/src"}
    assert list(THIS_VERSION.run(program).arguments) == list(program.arguments)


def test_what_runs_is_in_the_archive_and_what_judges_is_not() -> None:
    kept = {
        "uv.lock",
        "services/gateway/src/gateway/main.py",
        "services/code-runner/guests/guest.wit",
        "shared/testing/pyproject.toml",
    }
    left = {
        "README.md",
        "services/gateway/tests/test_main.py",
        "shared/testing/src/mirsal_testing/__init__.py",
        "tests/e2e/test_src/x.py",
    }
    assert {path for path in kept | left if is_kept(path)} == kept
