"""What the toy needs built before it starts: a file that says how often it was."""

import os
from pathlib import Path

with Path(os.environ["MIRSAL_STATE_DIR"], "built").open("a") as builds:
    builds.write("run\n")
