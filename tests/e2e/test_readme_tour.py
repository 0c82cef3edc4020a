"""The README's tour works as printed: its `bash tour` blocks, one after the other, on a stack."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mirsal_testing.stack import Stack

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```bash tour\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 90


def tour() -> str:
    """All commands of the tour as one script."""
    return "\n".join(BLOCK.findall((ROOT / "README.md").read_text("utf-8")))


def make_checkout(folder: Path, state: Path) -> None:
    """The repository with another stack's state in place of its own.

    What it is set up with is what this test runs in, so its setup does nothing: from here it
    would point the real environment to this folder, which is gone afterwards.
    """
    for entry in ROOT.iterdir():
        if entry.name not in (".mirsal", ".git", "scripts"):
            (folder / entry.name).symlink_to(entry)
    (folder / ".mirsal").symlink_to(state)
    (folder / "scripts").mkdir()
    setup = folder / "scripts" / "bootstrap"
    setup.write_text("#!/bin/sh\n")
    setup.chmod(0o755)


async def test_the_tour_works_as_printed(stack: Stack, tmp_path: Path) -> None:
    script = tour()
    assert "curl" in script
    make_checkout(tmp_path, stack.folder.root)
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", script),
        cwd=tmp_path,
        env={**os.environ, "MIRSAL_STATE_DIR": str(stack.folder.root)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(SECONDS):
        output, _ = await process.communicate()
    shown = output.decode()
    assert process.returncode == 0, shown
    # The run, its three executions, what the lead received, and its row.
    assert shown.count('"status": "succeeded"') >= 4, shown
    assert "مرحباً أحمد محمد" in shown
    assert "أهلاً أحمد محمد من القاهرة" in shown
    assert '"+201001234567"' in shown.partition('"usedCells"')[2], shown
