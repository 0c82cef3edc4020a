"""What this process was about to do and did, in a file that survives `kill -9`.

A process that is killed leaves here, for each claim, how far it came: a claim without a further
word was not acted on; "writing" means that the effect may have happened; "answered" holds its
outcome. A lock proves that the writer is dead, the boot id that what it wrote has not been lost
with the machine. Nothing is synchronised to disk: after a crash of the machine it proves nothing.
"""

import fcntl
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import orjson
import psutil
import structlog

from mirsal_runtime.ledger import Claim, EndState, LedgerKey, Orphan
from mirsal_runtime.log_faults import Told

SHRINK_BYTES = 64 * 1024
REWRITE_BYTES = 4 * 1024 * 1024
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_HOLDER: Final = "holder"
_CLAIMING: Final = "claiming"
_WRITING: Final = "writing"
_ANSWERED: Final = "answered"

log = structlog.get_logger(__name__)


class JournalTaken(Told):
    """Another living process has this instance's name."""


class Journal:
    """The journal of one instance; `take` opens it. Every write is one short system call.

    Raises `OSError` when the file takes no more.
    """

    def __init__(self, path: Path, lock: int, orphans: Sequence[Orphan]) -> None:
        self._path = path
        self._lock = lock
        self._file = -1
        self._size = 0
        self._torn = False
        self._header = b""
        self._pending: dict[int, list[bytes]] = {}
        self.orphans = orphans
        """What predecessors left; still in the file until `begin`."""

    @classmethod
    def take(cls, folder: Path, instance: str) -> "Journal":
        """Lock the instance's journal and read what is in it. Raises `JournalTaken`."""
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / f"{instance}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise JournalTaken(
                f"another process runs as {instance!r} with the state of {folder}: "
                "give each its own MIRSAL_INSTANCE"
            ) from error
        path = folder / f"{instance}.journal"
        return cls(path, lock, read_orphans(path))

    def begin(self, holder: UUID) -> None:
        """Forget the predecessors, and write as `holder` from now on."""
        self._header = _line([_HOLDER, str(holder), boot_id()])
        self._rewrite()

    def claiming(self, claim: Claim) -> None:
        """The ledger is about to be asked."""
        run_id, node_id, iteration = claim.key
        entry = [_CLAIMING, claim.token, str(run_id), node_id, iteration, claim.attempt]
        self._pending[claim.token] = []
        self._note(claim.token, _line(entry))

    def writing(self, token: int) -> None:
        """The effect may happen from now on."""
        self._note(token, _line([_WRITING, token]))

    def answered(self, token: int, state: EndState, status: bytes, traceparent: str) -> None:
        """The effect's outcome is known."""
        fragment = orjson.Fragment(status)
        self._note(token, _line([_ANSWERED, token, state, traceparent, fragment]))

    def settled(self, token: int) -> None:
        """The ledger has the outcome: nothing need be known of this claim any more."""
        if self._pending.pop(token, None) is None:
            return
        if (not self._pending and self._size > SHRINK_BYTES) or self._size > REWRITE_BYTES:
            self._rewrite()

    def close(self) -> None:
        """Let go of the file; what is pending in it stays for a successor."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        os.close(self._lock)

    def _note(self, token: int, line: bytes) -> None:
        self._pending.setdefault(token, []).append(line)
        self._append(line)

    def _append(self, data: bytes) -> None:
        if self._torn:
            data = b"\n" + data
        self._torn = True
        written = os.write(self._file, data)
        while written < len(data):
            written += os.write(self._file, data[written:])
        self._torn = False
        self._size += len(data)

    def _rewrite(self) -> None:
        """Replace the file by one with what is pending only."""
        data = self._header + b"".join(b"".join(lines) for lines in self._pending.values())
        fresh = self._path.with_suffix(".new")
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        previous, self._file, self._size = self._file, file, 0
        self._append(data)
        fresh.replace(self._path)
        if previous >= 0:
            os.close(previous)


def read_orphans(path: Path) -> list[Orphan]:
    """The claims in a journal and what it proves of each; empty if it proves nothing."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    # The last piece is empty, or was not written to its end: then its writer did not go on.
    entries = [entry for line in lines[:-1] if (entry := _read(line)) is not None]
    if not entries or entries[0][0] != _HOLDER:
        return []
    if entries[0][2] != boot_id():
        log.warning("journal_of_another_boot", entries=len(entries) - 1)
        return []
    try:
        return list(_replay(UUID(entries[0][1]), entries[1:]).values())
    except (TypeError, ValueError) as error:
        log.error("journal_not_understood", error=error)
        return []


def _replay(holder: UUID, entries: Iterable[list[Any]]) -> dict[int, Orphan]:
    orphans: dict[int, Orphan] = {}
    for kind, token, *rest in entries:
        if kind == _CLAIMING:
            run_id, node_id, iteration, attempt = rest
            key = LedgerKey(UUID(run_id), node_id, iteration)
            orphans[token] = Orphan(key, attempt, token, holder, "free", None)
        elif token in orphans and kind == _WRITING:
            orphans[token] = orphans[token]._replace(state="unconfirmed")
        elif token in orphans and kind == _ANSWERED:
            state, traceparent, status = rest
            orphans[token] = orphans[token]._replace(
                state=state, status=orjson.dumps(status), traceparent=traceparent
            )
    return orphans


def boot_id() -> str:
    """What is the same for all processes until the machine starts anew."""
    if _BOOT_ID.exists():
        return _BOOT_ID.read_text("ascii").strip()
    return str(round(psutil.boot_time()))


def _line(entry: list[object]) -> bytes:
    return orjson.dumps(entry) + b"\n"


def _read(line: bytes) -> list[Any] | None:
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return entry if isinstance(entry, list) and len(entry) > 1 else None
