"""What programs say that end as soon as they begin: which setting to mend, and no secret."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

CANARY: Final = "c4n4ry"
SERVICES: Final = [
    file.parent.name
    for file in sorted((Path(__file__).parents[2] / "services").glob("*/src/*/__main__.py"))
]
PROGRAMS: Final = [
    *([name] for name in SERVICES),
    *([f"{name}.migrate"] for name in SERVICES),
    ["gateway.cli", "keys", "list"],
    ["mirsal_runtime.topics", "check"],
]
SECRETS: Final = {
    "DATABASE_URL": f"postgresql://mirsal:{CANARY}@127.0.0.1:1/mirsal",
    "REDIS_URL": f"redis://:{CANARY}@127.0.0.1:1/0",
    "MIRSAL_API_KEY_PEPPER": CANARY * 8,
    "MIRSAL_ID_SECRET": CANARY * 8,
    "MIRSAL_VAULT_KEYS": CANARY,
    "MIRSAL_SMTP_PASSWORD": CANARY,
}


def begin(program: list[str], **environment: str) -> tuple[int, str]:
    """The exit code, and all that it said."""
    ended = subprocess.run(
        [sys.executable, "-m", *program],
        env={**os.environ, **SECRETS, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_a_database_url_that_cannot_be_read_is_named_and_not_shown() -> None:
    """A password's slash ends the host, and drivers call what is before it a port."""
    url = f"postgresql://mirsal:{CANARY}/x@127.0.0.1:5432/mirsal"
    with ThreadPoolExecutor(2) as threads:
        ends = [*threads.map(lambda program: begin(program, DATABASE_URL=url), PROGRAMS)]
    said = {program[0]: text for program, (_, text) in zip(PROGRAMS, ends, strict=True)}
    assert [code for code, _ in ends] == [1] * len(PROGRAMS)
    assert [name for name, text in said.items() if CANARY in text] == []
    assert [name for name, text in said.items() if "DATABASE_URL has a port" not in text] == []
    assert [name for name, text in said.items() if "Traceback" in text] == []


def test_an_error_of_a_library_shows_no_variables() -> None:
    """The environment is among those of its frames."""
    code, said = begin(["gateway"], MIRSAL_JWT_ROLES=f"{{{CANARY}")
    assert (code, "JWT_ROLES" in said, CANARY in said) == (1, True, False)
    code, said = begin(["gateway"], MIRSAL_TELEMETRY_KEY_FILE="/none/there")
    assert (code, "MIRSAL_TELEMETRY_KEY_FILE" in said, CANARY in said) == (1, True, False)


def test_a_database_that_is_away_is_not_shown_with_its_password() -> None:
    code, said = begin(["gateway.cli", "keys", "list"])
    assert (code, CANARY in said, "Traceback" in said) == (1, False, False)
    assert "PostgreSQL" in said
