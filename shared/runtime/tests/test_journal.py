"""The journal: what it proves of a process that was killed at any moment."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from mirsal_runtime import journal as journal_module
from mirsal_runtime.journal import (
    REWRITE_BYTES,
    SHRINK_BYTES,
    Journal,
    JournalTaken,
    read_orphans,
)
from mirsal_runtime.ledger import Claim, LedgerKey

HOLDER = uuid4()


def claim_of(token: int) -> Claim:
    return Claim(LedgerKey(UUID(int=token), "send", 0), 1, token, datetime.now(UTC), 1.0)


def opened(folder: Path) -> Journal:
    journal = Journal.take(folder, "test-1")
    journal.begin(HOLDER)
    return journal


def test_each_stage_of_a_claim_is_proven(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for token in range(4):
        journal.claiming(claim_of(token))
    for token in (1, 2, 3):
        journal.writing(token)
    journal.answered(2, "succeeded", '{"text":"تم"}'.encode(), "00-trace")
    journal.answered(3, "failed", b"{}", "")
    journal.close()
    orphans = Journal.take(tmp_path, "test-1").orphans
    assert [(each.token, each.state) for each in orphans] == [
        (0, "free"),
        (1, "unconfirmed"),
        (2, "succeeded"),
        (3, "failed"),
    ]
    assert {each.holder for each in orphans} == {HOLDER}
    assert (orphans[2].status, orphans[2].traceparent) == ('{"text":"تم"}'.encode(), "00-trace")


@pytest.mark.parametrize("cut", range(1, 12))
def test_line_that_was_cut_short_counts_as_not_written(tmp_path: Path, cut: int) -> None:
    journal = opened(tmp_path)
    journal.claiming(claim_of(1))
    journal.writing(1)
    journal.close()
    path = tmp_path / "test-1.journal"
    path.write_bytes(path.read_bytes()[:-cut])
    assert [each.state for each in read_orphans(path)] == ["free"]


def test_line_that_failed_half_way_does_not_spoil_the_next(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    os.write(journal._file, b'["claiming",9,"')
    journal._torn = True
    journal.claiming(claim_of(1))
    journal.close()
    assert [each.token for each in read_orphans(tmp_path / "test-1.journal")] == [1]


def test_journal_of_another_boot_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path)
    journal.claiming(claim_of(1))
    journal.close()
    monkeypatch.setattr(journal_module, "boot_id", lambda: "another boot")
    assert Journal.take(tmp_path, "test-1").orphans == []


def test_predecessor_s_claims_stay_until_they_are_settled(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.claiming(claim_of(1))
    journal.close()
    Journal.take(tmp_path, "test-1").close()
    heir = Journal.take(tmp_path, "test-1")
    assert len(heir.orphans) == 1
    heir.begin(uuid4())
    heir.close()
    assert Journal.take(tmp_path, "test-1").orphans == []


def test_settled_claims_leave_the_file_when_it_has_grown(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    path = tmp_path / "test-1.journal"
    status = b'"' + b"x" * 1000 + b'"'
    largest = 0
    for token in range(200):
        journal.claiming(claim_of(token))
        journal.writing(token)
        journal.answered(token, "succeeded", status, "")
        journal.settled(token)
        largest = max(largest, path.stat().st_size)
    assert SHRINK_BYTES / 2 < largest < SHRINK_BYTES + 2000
    journal.claiming(claim_of(1000))
    journal.close()
    assert read_orphans(path)[-1].token == 1000


def test_file_stays_small_while_something_is_always_pending(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.claiming(claim_of(1))
    journal.writing(1)
    status = b'"' + b"x" * 100_000 + b'"'
    for token in range(2, 100):
        journal.claiming(claim_of(token))
        journal.answered(token, "succeeded", status, "")
        journal.settled(token)
    path = tmp_path / "test-1.journal"
    assert path.stat().st_size < REWRITE_BYTES + 200_000
    journal.close()
    assert (1, "unconfirmed") in [(each.token, each.state) for each in read_orphans(path)]


def test_claim_made_anew_is_not_begun_again(tmp_path: Path) -> None:
    """The first answer came too late to be acted on, after "writing" was noted."""
    journal = opened(tmp_path)
    journal.claiming(claim_of(1))
    journal.writing(1)
    journal.claiming(claim_of(1))
    journal.close()
    assert [each.state for each in read_orphans(tmp_path / "test-1.journal")] == ["free"]


def test_living_namesake_is_refused_and_a_dead_one_is_not(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from mirsal_runtime.journal import Journal;"
        "journal = Journal.take(Path(sys.argv[1]), 'test-1'); print('taken', flush=True);"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"taken\n"
        with pytest.raises(JournalTaken, match="MIRSAL_INSTANCE"):
            Journal.take(tmp_path, "test-1")
        other.kill()
        other.wait()
    Journal.take(tmp_path, "test-1").close()


@pytest.mark.parametrize("content", [b"", b"\n\n", b"nonsense\n", b'["claiming",1]\n', b"[]\n"])
def test_file_that_is_no_journal_proves_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "test-1.journal"
    path.write_bytes(content)
    assert read_orphans(path) == []


@pytest.mark.parametrize("line", [b'["claiming",1,"no-uuid","send",0,1]\n', b'["claiming",1]\n'])
def test_journal_that_cannot_be_understood_proves_nothing(tmp_path: Path, line: bytes) -> None:
    opened(tmp_path).close()
    path = tmp_path / "test-1.journal"
    path.write_bytes(path.read_bytes() + line)
    assert read_orphans(path) == []
