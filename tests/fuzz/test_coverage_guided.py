"""Inputs that coverage leads to break no promise of what reads customers' texts.

`make fuzz-expressions` is the long form: other inputs each time, ten minutes a target.
"""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.fuzz.seeds import DICTIONARY, ROOT, write_seeds

SECONDS: Final = int(os.environ.get("MIRSAL_FUZZ_SECONDS", "0"))
# No input takes a second: this is for one that would never end, on however busy a machine.
SECONDS_AN_INPUT: Final = 60
SHORT: Final = ["-seed=1"]
LONG: Final = [f"-max_total_time={SECONDS}", "-len_control=0", "-print_final_stats=1"]

pytestmark = [
    pytest.mark.timeout(SECONDS + 120),
    pytest.mark.skipif(
        sys.platform != "linux" or platform.machine() != "x86_64" or sys.version_info >= (3, 15),
        reason="atheris has no wheel for this machine",
    ),
]


@pytest.mark.parametrize(
    ("target", "runs", "least_covered"),
    [("templates", 5_000, 800), ("conditions", 4_000, 600), ("readers", 4_000, 450)],
)
def test_what_is_promised_holds_for_inputs_that_coverage_leads_to(
    target: str, runs: int, least_covered: int, tmp_path: Path
) -> None:
    seeds = write_seeds(target, tmp_path / "seeds")
    extent = LONG if SECONDS else [*SHORT, f"-runs={runs}"]
    done = run_fuzzer(target, tmp_path, *extent, str(tmp_path / "seeds"))
    report = done.stderr[-8_000:] + describe_found(tmp_path)
    if SECONDS:
        sys.stdout.write(report)
    assert done.returncode == 0, report
    tried = re.search(r"Done (\d+) runs", done.stderr)
    covered = re.findall(r" cov: (\d+) ", done.stderr)
    assert tried is not None, report
    assert int(tried[1]) >= runs > seeds, report
    assert int(covered[-1]) >= least_covered, report


def test_a_planted_fault_is_found(tmp_path: Path) -> None:
    done = run_fuzzer("planted", tmp_path, *SHORT, "-runs=1000000")
    assert done.returncode != 0, done.stderr
    assert "the planted fault was found" in done.stdout + done.stderr
    assert "b'{{!}}" in describe_found(tmp_path)


def run_fuzzer(target: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs a target from an empty corpus in `folder`, where inputs that broke it are put too."""
    corpus = folder / "corpus"
    corpus.mkdir()
    return subprocess.run(
        [
            sys.executable, "-m", "tests.fuzz.harness", target,
            f"-timeout={SECONDS_AN_INPUT}", f"-dict={DICTIONARY}", "-max_len=4096",
            f"-artifact_prefix={folder}/found-", *_order(options, corpus),
        ],
        cwd=ROOT,
        # The order of sets is the same each time.
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS + 110,
        check=False,
    )  # fmt: skip


def _order(options: tuple[str, ...], corpus: Path) -> list[str]:
    """Options first, then the folder that libFuzzer writes to, then those that it only reads."""
    named = [option for option in options if option.startswith("-")]
    return [*named, str(corpus), *(option for option in options if option not in named)]


def describe_found(folder: Path) -> str:
    """The inputs that broke something, as Python writes them."""
    return "".join(f"\n{path.name}: {path.read_bytes()!r}" for path in folder.glob("found-*"))
