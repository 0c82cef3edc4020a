"""Calls that the document suggests, single and in sequences, get answers that it describes.

`make fuzz` is the long form: every check, thousands of cases, an orchestrator beside the gateway.
"""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from gateway.auth.access import Role

from services.gateway.tests.conftest import Gateway
from services.gateway.tests.issuers import AUDIENCE, FIRST, ISSUER, issue, key_set
from services.gateway.tests.one_of_each import make_one_of_each
from services.gateway.tests.processes import environment_of, free_port, run_gateway

ROOT = Path(__file__).parents[3]
SNAPSHOT = ROOT / "docs" / "openapi.json"
HOOKS = "services.gateway.tests.schemathesis_hooks"
CONFIG = """
[checks.positive_data_acceptance]
# What is refused is more than a schema can say: a cursor of another list, a time zone that is none,
# a template that does not parse, a version that is not the newest (412), a key that names another
# call, 3.0 for 3.
expected-statuses = ["2xx", "401", "403", "404", "409", "412", "422", "429", "503"]

[[operations]]
# Each line of an import stands for itself: any text is taken, and reported line by line.
include-operation-id = ["importLeads", "importLeadsAsJob"]
checks.negative_data_rejection.enabled = false

[phases.fuzzing.generation]
max-examples = {examples}

[phases.stateful]
max-steps = {steps}
# The document's own links, and calls that come to something: the other phases try the rest.
inference.algorithms = []
generation.mode = "positive"
generation.with-security-parameters = false
generation.max-examples = {scenarios}
"""
_KNOWN = """
[dictionaries.{name}]
values = ["{known}"]

[parameters."path.{name}"]
dictionary = "{name}"
probability = 0.7
"""


class Extent(NamedTuple):
    """How much is tried: fixed numbers of cases, which no busy machine can make fewer.

    `examples` are those of each call, `scenarios` are sequences of up to `steps` calls; so many
    cases and kinds of links at least must come of it. Rounds after the first are sequences alone:
    one ends early where the same calls had another end. Without a `seed` each tries others.
    """

    examples: int
    scenarios: int
    steps: int
    least_cases: int
    least_links: int
    rounds: int = 1
    seed: int | None = None


ALL_PHASES = "examples,coverage,fuzzing,stateful"
EXAMPLES = int(os.environ.get("MIRSAL_FUZZ_EXAMPLES", "0"))
SECONDS = 3_600 if EXAMPLES else 480
SHORT = Extent(3, 80, 8, least_cases=3_000, least_links=5, seed=7)
LONG = Extent(EXAMPLES, 20 * EXAMPLES, 12, least_cases=5_000, least_links=5, rounds=10)


@pytest.mark.timeout(SECONDS)
async def test_every_call_and_every_way_from_one_to_the_next(
    gateway: Gateway, tmp_path: Path
) -> None:
    extent = LONG if EXAMPLES else SHORT
    owner = await gateway.add_key(gateway.workspace, role=Role.OWNER)
    gateway.client.headers["x-api-key"] = owner
    known = await make_one_of_each(gateway, is_served=extent is LONG)
    # It calls as an owner without a key: those that there are it finds and revokes.
    (tmp_path / "jwks.json").write_bytes(key_set(FIRST))
    token = issue(workspace=gateway.workspace, role="owner", exp=4_000_000_000)
    tokens = {
        "MIRSAL_JWT_JWKS": str(tmp_path / "jwks.json"),
        "MIRSAL_JWT_ISSUER": ISSUER,
        "MIRSAL_JWT_AUDIENCE": AUDIENCE,
    }
    _write_config(tmp_path, extent, known)
    async with AsyncExitStack() as stack:
        if EXAMPLES:
            await stack.enter_async_context(_run_orchestrator(gateway))
        process = await stack.enter_async_context(
            run_gateway(gateway.settings, free_port(), **tokens)
        )
        for number in range(extent.rounds):
            phases = ALL_PHASES if number == 0 else "stateful"
            done = await asyncio.to_thread(_run, extent, phases, process.url, token, tmp_path)
            _check(extent, done, least_cases=0 if number else extent.least_cases)


def _check(extent: Extent, done: subprocess.CompletedProcess[str], *, least_cases: int) -> None:
    report = done.stdout[-30_000:] + done.stderr[-2_000:]
    sys.stdout.write(report)
    assert done.returncode == 0, report
    cases = re.search(r"(\d+) generated, (\d+) passed", report)
    links = re.search(r"API Links: +(\d+) covered", report)
    assert cases is not None, report
    assert links is not None, report
    assert int(cases[1]) == int(cases[2]) > least_cases, report
    assert int(links[1]) > extent.least_links, report


def _write_config(folder: Path, extent: Extent, known: dict[str, str]) -> None:
    ids = [_KNOWN.format(name=name, known=each) for name, each in known.items()]
    text = CONFIG.format(**extent._asdict()) + "".join(ids)
    (folder / "schemathesis.toml").write_text(text)


def _run(
    extent: Extent, phases: str, url: str, token: str, folder: Path
) -> subprocess.CompletedProcess[str]:
    seed = [] if extent.seed is None else ["--seed", str(extent.seed)]
    return subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"),
            "--config-file", str(folder / "schemathesis.toml"),
            "run", str(SNAPSHOT), "--url", url,
            "--header", f"Authorization: Bearer {token}", *seed,
            "--phases", phases, "--continue-on-failure",
            "--workers", "1", "--no-color", "--request-timeout", "35",
            # Streams do not end, and these wait for a code runner's answer: tests/e2e/test_code.py
            # has one.
            "--exclude-path-regex", "/code/|/events$",
            # How long it takes to think of a case says something of this machine alone.
            "--suppress-health-check", "all",
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": HOOKS},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )  # fmt: skip


@asynccontextmanager
async def _run_orchestrator(gateway: Gateway) -> AsyncIterator[None]:
    """An orchestrator, so that runs have rows and end."""
    environment = {**os.environ, **environment_of(gateway.settings)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "orchestrator", env=environment
    )
    try:
        yield
        assert process.returncode is None, "the orchestrator has ended"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
