"""The keys that open what is sealed are in the runner's process, and out of every box's reach."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from code_runner.process import BOX_ENVIRONMENT
from code_runner.rehearsal import Machine

KEY = "canary-key-7f3a91"
GUESTS = [
    ("python", "import os\ndef main(input): return str(dict(os.environ))"),
    ("python", "def main(input): return open(input).read()"),
    ("python", "def main(input): return open('/proc/self/environ').read()"),
    ("python", "import os\ndef main(input): return os.listdir(os.path.dirname(input))"),
    ("javascript", "function main(input) { return require('fs').readFileSync(input, 'utf8') }"),
    ("javascript", "function main(input) { return JSON.stringify(process.env) }"),
    (
        "javascript",
        "async function main(input) "
        "{ return (await import('node:fs')).readFileSync(input, 'utf8') }",
    ),
    (
        "javascript",
        "async function main(input) { return (await fetch('file://' + input)).text() }",
    ),
]
ESCAPED = """
import ctypes, json, os, sys
from code_runner.lockdown import lock_down
path, parent = sys.argv[1], os.getppid()
libc = ctypes.CDLL(None)
def read(name):
    with open(name, 'rb') as file:
        return file.read()
ways = {
    'its file': lambda: read(path),
    'its file by another root': lambda: read(f'/proc/self/root{path}'),
    'its file by the parent': lambda: read(f'/proc/{parent}/root{path}'),
    'the environment of the parent': lambda: read(f'/proc/{parent}/environ'),
    'its folder': lambda: os.listdir(os.path.dirname(path)),
    'its size': lambda: os.stat(path),
    'a call of the system': lambda: libc.open(path.encode(), 0) >= 0,
}
if sys.argv[2] == 'locked':
    lock_down(parent)
worked = []
for name, way in ways.items():
    try:
        if way():
            worked.append(name)
    except OSError:
        pass
os.write(1, json.dumps([worked, 'MIRSAL_VAULT_KEYS' in os.environ]).encode())
os._exit(0)
"""
"""What a guest could try that broke out of its sandbox: it is in a process that is locked down."""


@pytest.fixture
def keys_file(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The keys as the runner is given them, for once in a file that everybody may read."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "vault-keys")
        file.write_text(KEY)
        file.chmod(0o644)
        file.parent.chmod(0o755)
        monkeypatch.setenv("MIRSAL_VAULT_KEYS", KEY)
        monkeypatch.setenv("MIRSAL_VAULT_KEYS_FILE", str(file))
        yield file


async def test_code_does_not_find_the_keys(keys_file: Path, machine: Machine) -> None:
    ran = [await machine.run(language, code, str(keys_file)) for language, code in GUESTS]
    # The first one may look: there is nothing in its environment.
    assert [each.verdict.outcome for each in ran] == ["ok", *["user_error"] * (len(ran) - 1)]
    assert KEY not in repr(ran)


async def test_no_box_was_given_the_keys(keys_file: Path, machine: Machine) -> None:
    ran = await machine.run("python", "def main(input): return 1")
    assert ran.verdict.outcome == "ok"
    for pid in machine.crew.pids:
        process = Path("/proc", str(pid))
        assert process.joinpath("environ").read_bytes() == b""
        assert keys_file not in [each.readlink() for each in process.joinpath("fd").iterdir()]


def escape(keys_file: Path, state: str) -> tuple[list[str], bool]:
    """What gets at the keys in a process like a box's, and whether its environment has them."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", ESCAPED, str(keys_file), state],
        env=BOX_ENVIRONMENT,
        capture_output=True,
        timeout=30,
        check=True,
    )
    worked, has_them = json.loads(done.stdout)
    return list(worked), bool(has_them)


def test_who_breaks_out_of_the_sandbox_is_still_kept_from_the_keys(keys_file: Path) -> None:
    assert escape(keys_file, "locked") == ([], False)
    # Without the wall each of the ways leads there.
    assert len(escape(keys_file, "open")[0]) == 7
