"""What a program that ends by an error says, also before its logs are set up.

A traceback has the error's words, which may hold a part of a URL with its password, and where rich
is installed structlog prints all local variables with it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from mirsal_runtime.log_faults import replace_exc_info
from mirsal_runtime.log_fields import hide_personal_data
from mirsal_runtime.log_lines import to_json_bytes
from mirsal_runtime.setting_faults import told_of

log = structlog.get_logger(__name__)


@contextmanager
def told_faults() -> Iterator[None]:
    """Around all that a program does: what is raised within ends it with 1 and one line."""
    hide_words()
    try:
        yield
    except Exception as error:
        log.exception("process_failed", exc_info=told_of(error))
        sys.exit(1)


def hide_words() -> None:
    """Until logs are set up: one line for an exception, with nothing of its words or variables."""
    if not structlog.is_configured():
        structlog.configure(
            processors=[
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                replace_exc_info,
                hide_personal_data,
                structlog.processors.JSONRenderer(serializer=to_json_bytes),
            ],
            logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        )
