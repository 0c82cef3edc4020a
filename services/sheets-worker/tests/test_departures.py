"""What a process that was killed has surely not sent, and what it may have."""

from pathlib import Path
from uuid import uuid4

import pytest
from sheets_worker import departures
from sheets_worker.departures import Departures


def test_successor_knows_what_never_left(tmp_path: Path) -> None:
    path = tmp_path / "sheets" / "worker-1.writes"
    waiting, left, ended = uuid4(), uuid4(), uuid4()
    killed = Departures(path)
    for write in (waiting, left, ended):
        killed.note(write)
    killed.leave(left)
    killed.leave(ended)
    killed.forget(ended)
    assert Departures(path).unsent == {waiting}
    assert Departures(path).unsent == {waiting}, "a second kill must not forget it"


def test_file_stays_small_and_keeps_what_counts(tmp_path: Path) -> None:
    path = tmp_path / "worker-1.writes"
    first = Departures(path)
    waiting = uuid4()
    first.note(waiting)
    for _ in range(2_000):
        write = uuid4()
        first.note(write)
        first.leave(write)
    assert path.stat().st_size < departures.MOST_BYTES + 100
    assert Departures(path).unsent == {waiting}


def test_line_that_was_cut_off_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "worker-1.writes"
    write = uuid4()
    Departures(path).note(write)
    with path.open("ab") as file:
        file.write(b"-" + str(write).encode()[:20])
    assert Departures(path).unsent == {write}


def test_lines_that_ran_together_prove_nothing(tmp_path: Path) -> None:
    path = tmp_path / "worker-1.writes"
    process = Departures(path)
    process.note(uuid4())
    with path.open("ab") as file:
        file.write(b"-" + str(uuid4()).encode()[:20])
    process.note(uuid4())
    assert Departures(path).unsent == set()


def test_file_of_another_boot_proves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "worker-1.writes"
    write = uuid4()
    Departures(path).note(write)
    _, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(b"another-boot\n" + rest)
    assert Departures(path).unsent == set()


def test_a_request_that_cannot_be_noted_must_not_leave(tmp_path: Path) -> None:
    process = Departures(tmp_path / "worker-1.writes")
    write = uuid4()
    process.note(write)
    process.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        process.leave(write)
    assert process.unsent == {write}
