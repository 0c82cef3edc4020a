"""A migration that counts how often it was run."""

import os
from pathlib import Path

with Path(os.environ["MIRSAL_STATE_DIR"], "migrations").open("a") as runs:
    runs.write("run\n")
