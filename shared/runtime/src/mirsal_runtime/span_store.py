"""Spans on their way to the collector, in a mapped file that survives `kill -9`.

A ring holds spans that have ended, slots hold the first parts of those under way: a process of the
same name sends what its dead predecessor left, and ends what that was in the middle of. Nothing
is synchronised to disk: after a crash of the machine the file is begun anew.
"""

import fcntl
import mmap
import os
import struct
import threading
import time
from pathlib import Path
from typing import Final

import structlog

from mirsal_runtime.span_bytes import encode_end, frame

RING_BYTES = 4 * 1024 * 1024
SLOTS = 1024
SLOT_BYTES = 1024
KILLED: Final = "process_killed"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# What the file is, the boot that it is of; then how many bytes and spans went in and came out.
_HEAD = struct.Struct("<16s40sQQQQ")
_COUNTS = struct.Struct("<QQ")
_LENGTH = struct.Struct("<H")
_MAGIC: Final = b"mirsal spans 1"
_IN, _OUT = 56, 72
_RING = 128
_SLOTS = _RING + RING_BYTES
_SIZE = _SLOTS + SLOTS * SLOT_BYTES

log = structlog.get_logger(__name__)


class SpanStore:
    """A ring of framed spans; any thread may add, one takes."""

    def __init__(self, memory: mmap.mmap, lock: int = -1) -> None:
        self._memory = memory
        self._lock = lock
        self._adding = threading.Lock()
        self._free = list(range(SLOTS))
        self._bytes_in: int
        self._spans_in: int
        self._bytes_out: int
        self._spans_out: int
        self._bytes_in, self._spans_in = _COUNTS.unpack_from(memory, _IN)
        self._bytes_out, self._spans_out = _COUNTS.unpack_from(memory, _OUT)

    @classmethod
    def open(cls, folder: Path, instance: str) -> "SpanStore":
        """The store of one instance, with what a predecessor left; in memory alone where there
        is no place for a file, or another process has it."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder / f"{instance}.spans", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            log.info("spans_in_memory", error=error)
            return cls.in_memory()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, _SIZE)
            memory = mmap.mmap(lock, _SIZE)
        except OSError as error:
            os.close(lock)
            log.info("spans_in_memory", error=error)
            return cls.in_memory()
        boot = _BOOT_ID.read_bytes().strip() if _BOOT_ID.exists() else b""
        _begin(memory, boot)
        store = cls(memory, lock)
        store._end_what_was_under_way()
        return store

    @classmethod
    def in_memory(cls) -> "SpanStore":
        """One that dies with its process."""
        return cls(mmap.mmap(-1, _SIZE))

    def __len__(self) -> int:
        """How many spans wait."""
        return self._spans_in - self._spans_out

    @property
    def waiting_bytes(self) -> int:
        """How many bytes they take."""
        return self._bytes_in - self._bytes_out

    @property
    def is_full(self) -> bool:
        """Whether hardly anything would find room."""
        return self._bytes_in - self._bytes_out > RING_BYTES - 2 * SLOT_BYTES

    def add(self, span: bytes) -> bool:
        """Keep a whole span; False if there is no room."""
        framed = frame(span)
        size = len(framed)
        memory = self._memory
        with self._adding:
            if self._bytes_in - self._bytes_out + size > RING_BYTES:
                return False
            place = self._bytes_in % RING_BYTES
            first = min(size, RING_BYTES - place)
            memory[_RING + place : _RING + place + first] = framed[:first]
            if first < size:
                memory[_RING : _RING + size - first] = framed[first:]
            self._bytes_in += size
            self._spans_in += 1
            _COUNTS.pack_into(memory, _IN, self._bytes_in, self._spans_in)
        return True

    def begin(self, start: bytes) -> int:
        """Note a span that begins; its slot, or -1 where none is free or it is too long."""
        if len(start) > SLOT_BYTES - 2 or not self._free:
            return -1
        slot = self._free.pop()
        place = _SLOTS + slot * SLOT_BYTES
        self._memory[place + 2 : place + 2 + len(start)] = start
        _LENGTH.pack_into(self._memory, place, len(start))
        return slot

    def end(self, slot: int) -> None:
        """The span of a slot has ended; it was added, or nobody wants it."""
        if slot >= 0:
            _LENGTH.pack_into(self._memory, _SLOTS + slot * SLOT_BYTES, 0)
            self._free.append(slot)

    def peek(self) -> tuple[bytes, int]:
        """All that waits, as one text of framed spans, and how many they are."""
        with self._adding:
            start, end, count = self._bytes_out, self._bytes_in, len(self)
        place, size = start % RING_BYTES, end - start
        first = min(size, RING_BYTES - place)
        data = self._memory[_RING + place : _RING + place + first]
        return data + self._memory[_RING : _RING + size - first], count

    def drop(self, size: int, count: int) -> None:
        """What `peek` gave was dealt with."""
        with self._adding:
            self._bytes_out += size
            self._spans_out += count
            _COUNTS.pack_into(self._memory, _OUT, self._bytes_out, self._spans_out)

    def close(self) -> None:
        """Let go of the file; what waits in it stays for a successor."""
        if self._lock >= 0:
            # The mapping has a descriptor of its own, and with it the lock.
            self._memory.close()
            os.close(self._lock)
            self._lock = -1

    def _end_what_was_under_way(self) -> None:
        end = encode_end(time.time_ns(), error=KILLED)
        for slot in range(SLOTS):
            place = _SLOTS + slot * SLOT_BYTES
            (size,) = _LENGTH.unpack_from(self._memory, place)
            if 0 < size <= SLOT_BYTES - 2:
                self.add(self._memory[place + 2 : place + 2 + size] + end)
            _LENGTH.pack_into(self._memory, place, 0)


def _begin(memory: mmap.mmap, boot: bytes) -> None:
    """Begin the file anew unless it is one of this boot and makes sense."""
    magic, of_boot, bytes_in, spans_in, bytes_out, spans_out = _HEAD.unpack_from(memory, 0)
    waits = bytes_in - bytes_out
    same = magic.rstrip(b"\0") == _MAGIC and of_boot.rstrip(b"\0") == boot
    if not same or not 0 <= waits <= RING_BYTES or spans_in < spans_out:
        memory[:_SIZE] = bytes(_SIZE)
        _HEAD.pack_into(memory, 0, _MAGIC, boot, 0, 0, 0, 0)
