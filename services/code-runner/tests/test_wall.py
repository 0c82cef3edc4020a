"""The wall's parts: what the filter lets through, and that a runner without them does not start."""

import asyncio
import os
import platform
import resource
import signal
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest
from code_runner import artefacts as files
from code_runner import process
from code_runner.artefacts import GuestsMissing
from code_runner.crew import Crew, WallTooWeak
from code_runner.lockdown import MANDATORY, PARTS, lacking
from code_runner.seccomp import ALLOW, DEADLY, KILL, MACHINES, program
from code_runner.settings import CodeSettings
from pydantic import ValidationError
from structlog.testing import capture_logs


def verdict_of(machine: str, name: str, argument: int = 0, index: int = 0) -> int:
    """What the filter answers to a call: a small interpreter of its instructions."""
    target = MACHINES[machine]
    data = struct.pack("=IIQ6Q", target.calls[name], target.audit, 0, *(
        argument if each == index else 0 for each in range(6)
    ))  # fmt: skip
    lines = list(struct.iter_unpack("=HBBI", program(target)))
    value = place = 0
    while True:
        code, if_true, if_false, operand = lines[place]
        place += 1
        if code == 0x06:
            return int(operand)
        if code == 0x20:
            (value,) = struct.unpack_from("=I", data, operand)
        else:
            hit = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}
            place += if_true if hit[code] else if_false


@pytest.mark.parametrize("machine", MACHINES)
def test_the_filter_says_no(machine: str) -> None:
    for name in DEADLY & MACHINES[machine].calls.keys():
        assert verdict_of(machine, name) == KILL
    assert verdict_of(machine, "read") == ALLOW
    assert verdict_of(machine, "clone", 0x00010000) == ALLOW
    assert verdict_of(machine, "clone", 17) & 0xFFFF == 1
    assert verdict_of(machine, "clone3") & 0xFFFF == 38
    assert verdict_of(machine, "mmap", 3, index=2) == ALLOW
    assert verdict_of(machine, "mmap", 7, index=2) & 0xFFFF == 1
    assert verdict_of(machine, "mprotect", 5, index=2) & 0xFFFF == 1
    assert verdict_of(machine, "prctl", 15) == ALLOW
    assert verdict_of(machine, "prctl", 8) & 0xFFFF == 1
    assert verdict_of(machine, "fcntl", 4, index=1) == ALLOW
    for owner_or_signal in (8, 10, 15):
        assert verdict_of(machine, "fcntl", owner_or_signal, index=1) & 0xFFFF == 1
    assert verdict_of(machine, "socketpair", 2) & 0xFFFF == 1


def test_this_machine_is_known() -> None:
    assert platform.machine() in MACHINES


async def test_a_runner_without_its_wall_does_not_start(
    artefacts: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A box that is given an environment lacks a part: only by name is it let pass."""
    monkeypatch.setattr(process, "BOX_ENVIRONMENT", {"SECRET": "x"})
    crew = Crew(artefacts, boxes=2, runs_per_box=10)
    with pytest.raises(WallTooWeak, match="empty_environment"):
        await crew.start()
    assert crew.pids == []
    told = Crew(artefacts, boxes=2, runs_per_box=10, do_without=frozenset({"empty_environment"}))
    await told.start()
    await told.close()


async def test_a_later_box_without_its_wall_is_not_used(
    artefacts: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    crew = Crew(artefacts, boxes=2, runs_per_box=10)
    try:
        await crew.start()
        whole = set(crew.pids)
        with monkeypatch.context() as weak:
            weak.setattr(process, "BOX_ENVIRONMENT", {"SECRET": "x"})
            with capture_logs() as said:
                os.kill(min(whole), signal.SIGKILL)
                async with asyncio.timeout(20):
                    while not any("empty_environment" in str(each) for each in said):
                        await asyncio.sleep(0.05)
            assert crew.pids == [pid for pid in crew.pids if pid in whole]
        async with asyncio.timeout(20):
            while len(crew.pids) < len(whole):
                await asyncio.sleep(0.05)
    finally:
        await crew.close()


async def test_a_box_that_finds_no_descriptor_is_started_later(
    artefacts: Mapping[str, Path],
) -> None:
    crew = Crew(artefacts, boxes=2, runs_per_box=10)
    try:
        await crew.start()
        before = set(crew.pids)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with capture_logs() as said:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
                os.kill(min(before), signal.SIGKILL)
                async with asyncio.timeout(20):
                    while not said:
                        await asyncio.sleep(0.05)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert said[0]["event"] == "box_not_started"
        async with asyncio.timeout(20):
            while len(crew.pids) < len(before):
                await asyncio.sleep(0.05)
    finally:
        await crew.close()


def test_only_landlock_may_be_missing_untold() -> None:
    assert lacking(dict.fromkeys(PARTS, "on")) == []
    assert set(lacking(dict.fromkeys(PARTS, "missing: x"))) == MANDATORY
    assert "landlock" not in MANDATORY


def test_parts_are_named_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRSAL_CODE_DO_WITHOUT", "seccomp, not_root")
    assert CodeSettings().do_without == {"seccomp", "not_root"}
    monkeypatch.setenv("MIRSAL_CODE_DO_WITHOUT", "everything")
    with pytest.raises(ValidationError, match="names parts of the wall"):
        CodeSettings()


def test_changed_machine_code_is_refused(artefacts: Mapping[str, Path], tmp_path: Path) -> None:
    native = files.native_folder(tmp_path)
    native.mkdir(parents=True)
    for language, path in artefacts.items():
        (native / f"{language}.cwasm").write_bytes(path.read_bytes()[:1000])
    files.write_manifest(native, ".cwasm")
    assert files.native_files(tmp_path).keys() == artefacts.keys()
    with (native / "python.cwasm").open("ab") as file:
        file.write(b"x")
    with pytest.raises(GuestsMissing, match="make guests"):
        files.native_files(tmp_path)
    files.write_manifest(native, ".cwasm")
    (native / "python.cwasm").chmod(0o666)
    with pytest.raises(GuestsMissing, match="changed by others"):
        files.native_files(tmp_path)
