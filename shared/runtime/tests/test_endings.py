"""What a program says that ends before its logs are set up."""

import json
import os
import subprocess
import sys

import pytest

CANARY = "s3cr3t-p4ssw0rd"
FAULT = "int(os.environ['DATABASE_URL'])"
TOLD = f"""
import os
from mirsal_runtime.endings import told_faults
with told_faults():
    {FAULT}
"""
RUN = f"""
import os
from mirsal_runtime.process import run_process
async def main(stop):
    found = dict(os.environ)
    {FAULT}
run_process(main)
"""


@pytest.mark.parametrize("program", [TOLD, RUN])
def test_neither_words_nor_variables_are_shown(program: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "DATABASE_URL": f"postgresql://u:{CANARY}@127.0.0.1/m"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert CANARY not in ended.stdout + ended.stderr
    (line,) = ended.stderr.splitlines()
    said = json.loads(line)
    assert (said["event"], said["error"]) == ("process_failed", "ValueError")
    assert said["at"]
