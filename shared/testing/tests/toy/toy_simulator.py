"""A simulator that answers GET /health."""

import os
import signal

from toy_http import serve

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
serve(int(os.environ["TOY_INBOX_PORT"]))
