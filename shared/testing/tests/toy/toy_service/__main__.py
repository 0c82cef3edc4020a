"""Writes down which environment it was given, and serves; or ends, if told to fail."""

import json
import os
import signal
import sys
from pathlib import Path

from toy_http import serve

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
instance = os.environ["MIRSAL_INSTANCE"]
if os.environ.get("TOY_FAILS") == instance:
    sys.exit("this toy is broken")
Path(os.environ["MIRSAL_STATE_DIR"], f"{instance}.json").write_text(json.dumps(dict(os.environ)))
ports = [int(os.environ["MIRSAL_HEALTH_PORT"])]
if instance.startswith("gateway"):
    ports.append(int(os.environ["MIRSAL_PORT"]))
serve(*ports)
