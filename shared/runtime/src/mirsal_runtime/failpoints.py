"""Places where a test may have the process die as if by `kill -9`; off unless a test says so.

`MIRSAL_FAILPOINT=<name>` dies there each time, `MIRSAL_FAILPOINT=<name>@<file>` once: only if
the file exists, which it removes first.
"""

import os
import signal
from pathlib import Path
from typing import Literal, TypeAlias

Failpoint: TypeAlias = Literal[
    "before_write",
    "after_write",
    "after_send",
    "before_claim",
    "after_claim",
    "before_call",
    "after_call",
    "after_answer",
    "after_outcome",
    "after_status",
    "before_commit",
    "after_commit",
]

_NAME, _, _FILE = os.environ.get("MIRSAL_FAILPOINT", "").partition("@")


def pass_by(name: Failpoint) -> None:
    """Die here if this is the failpoint that was asked for."""
    if name != _NAME:
        return
    if _FILE:
        try:
            Path(_FILE).unlink()
        except FileNotFoundError:
            return
    os.kill(os.getpid(), signal.SIGKILL)
