"""How much is logged: a setting at the start, and a file's word while the process runs.

The file (`MIRSAL_LOG_LEVEL_FILE`: one word, `DEBUG` say) is read at SIGHUP, and every few seconds,
since a mounted file changes without anybody to send a signal. Empty, gone or no level: the
setting's again.
"""

import asyncio
import contextlib
import logging
import signal
from typing import TYPE_CHECKING, Final

import structlog

from mirsal_runtime.settings import RuntimeSettings

if TYPE_CHECKING:
    from pathlib import Path

LOOK_SECONDS: Final = 5.0
WRAPPER: Final = type("Leveled", (structlog.make_filtering_bound_logger(logging.NOTSET),), {})
"""The class of all loggers; its methods are those of the level."""

log = structlog.get_logger(__name__)


class Level:
    """The level of this process's logs."""

    def __init__(self) -> None:
        self._given = self._set = logging.INFO
        self._file: Path | None = None

    def configure(self, settings: RuntimeSettings) -> None:
        """Take up the settings, and what the file says."""
        self._given, self._file = _level_of(settings.log_level) or logging.INFO, None
        self._apply(self._given)
        self._file = settings.log_level_file
        self.look()

    def look(self) -> None:
        """Do as the file says, if there is one."""
        if self._file is None:
            return
        said = ""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            said = self._file.read_text("utf-8").strip()
        level = _level_of(said) or self._given
        if level != self._set:
            self._apply(level)
            log.warning("log_level_changed", to_level=logging.getLevelName(level))

    async def follow(self) -> None:
        """Look again and again, and at SIGHUP, until cancelled."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self.look)
        try:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                self.look()
        finally:
            loop.remove_signal_handler(signal.SIGHUP)

    def _apply(self, level: int) -> None:
        self._set = level
        methods = structlog.make_filtering_bound_logger(level)
        for name in vars(methods):
            if not name.startswith("_"):
                setattr(WRAPPER, name, vars(methods)[name])
        # Libraries say at INFO what nobody needs.
        logging.getLogger().setLevel(max(level, logging.WARNING))


LEVEL: Final = Level()


def _level_of(name: str) -> int | None:
    found = logging.getLevelName(name.upper())
    return found if isinstance(found, int) and found in _LEVELS else None


_LEVELS: Final = (
    logging.DEBUG,
    logging.INFO,
    logging.WARNING,
    logging.ERROR,
    logging.CRITICAL,
)
