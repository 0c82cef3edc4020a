"""Which of this process's writes have left for Google: a file that survives `kill -9`.

A write whose note stands and whose request never left surely did not happen: the tab need not
wait until Google would have ended it. As in the runtime's journal nothing is synchronised to disk,
so a file of before the machine's last start proves nothing.
"""

import errno
import os
from pathlib import Path
from uuid import UUID

import structlog
from mirsal_runtime.journal import boot_id

NOTED, LEFT = b"+", b"-"
MOST_BYTES = 64 * 1024

log = structlog.get_logger(__name__)


class Departures:
    """The writes of one process; a successor of the same name goes on with the same file.

    `unsent` holds the writes that were noted and surely did not begin.
    """

    def __init__(self, path: Path) -> None:
        """Raises `OSError` where the file cannot be read or written."""
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.unsent: set[UUID] = _read(path)
        self._file = -1
        self._begin_anew()

    def note(self, write: UUID) -> None:
        """A write is about to be noted. What cannot be written down here is only not known."""
        self.unsent.add(write)
        try:
            if os.fstat(self._file).st_size > MOST_BYTES:
                self._begin_anew()
            else:
                self._append(NOTED, write)
        except OSError as error:
            log.warning("departure_not_written", error=error)

    def leave(self, write: UUID) -> None:
        """The request leaves next. Raises `OSError`: then it must not."""
        self._append(LEFT, write)
        self.unsent.discard(write)

    def forget(self, write: UUID) -> None:
        """The write's note is gone."""
        self.unsent.discard(write)

    def close(self) -> None:
        """Keep the file for a successor."""
        os.close(self._file)

    def _append(self, mark: bytes, write: UUID) -> None:
        line = mark + str(write).encode() + b"\n"
        if os.write(self._file, line) < len(line):
            raise OSError(errno.ENOSPC, "the line was cut off")

    def _begin_anew(self) -> None:
        """A file with what is unsent, in the place of the old one."""
        fresh = self._path.with_suffix(".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        file = os.open(fresh, flags, 0o600)
        unsent = [NOTED + str(each).encode() for each in self.unsent]
        os.write(file, b"\n".join([boot_id().encode(), *unsent, b""]))
        fresh.replace(self._path)
        if self._file >= 0:
            os.close(self._file)
        self._file = file


def _read(path: Path) -> set[UUID]:
    """What a predecessor left behind; a last line that was cut off says nothing."""
    unsent: set[UUID] = set()
    boot, *lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else [b""]
    if boot != boot_id().encode():
        return unsent
    for line in lines:
        try:
            write = UUID(line[1:].decode("ascii"))
        except ValueError:
            # Lines that ran together where the disk was full: the rest proves nothing either.
            log.warning("departures_unreadable")
            return set()
        if line[:1] == NOTED:
            unsent.add(write)
        else:
            unsent.discard(write)
    return unsent
