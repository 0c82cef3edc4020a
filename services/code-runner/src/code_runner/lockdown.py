"""Takes from this process what a box needs not: rights, files, environment, system calls.

Called once, by the only thread, after everything is loaded and before any guest runs.
"""

import ctypes
import os
import platform
import resource
import signal
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from code_runner import landlock, seccomp

Part: TypeAlias = Literal[
    "empty_environment", "not_root", "no_capabilities", "no_new_privileges", "landlock", "seccomp"
]
PARTS: Final[tuple[Part, ...]] = get_args(Part)
MANDATORY: Final = frozenset(PARTS) - {"landlock"}

NOBODY: Final = 65534
MOST_DATA: Final = 1024 * 1024 * 1024
MOST_FILES: Final = 64
_PR_SET_PDEATHSIG: Final = 1
_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_DUMPABLE: Final = 4
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_CAPABILITIES: Final = 64
_CAPABILITY_VERSION: Final = 0x20080522


def lock_down(parent: int) -> dict[Part, str]:
    """Lock this process; the answer says of each part "on" or why it could not be had.

    `parent` is the process with which this one shall die.
    """
    state: dict[Part, str] = {}
    _limit()
    for part, lock in _LOCKS:
        if part == "landlock":
            # Giving up the user's rights has cleared it.
            _die_with(parent)
        try:
            state[part] = lock()
        except OSError as error:
            state[part] = f"missing: {error}"
    return state


def lacking(state: dict[Part, str]) -> list[Part]:
    """The mandatory parts that could not be had."""
    return [part for part in PARTS if part in MANDATORY and not state[part].startswith("on")]


def _limit() -> None:
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, MOST_FILES),
        (resource.RLIMIT_DATA, MOST_DATA),
    ):
        with suppress(OSError, ValueError):
            resource.setrlimit(what, (most, most))
    os.umask(0o777)
    os.chdir("/")


def _empty_environment() -> str:
    # Python sets this one itself where there is no locale.
    given = set(os.environ) - {"LC_CTYPE"}
    os.environ.clear()
    if given:
        raise OSError(f"{len(given)} variables were given")
    return "on"


def _not_root() -> str:
    if os.getuid() == 0 or os.geteuid() == 0:
        _drop_bounding_set()
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    if 0 in (*os.getresuid(), *os.getresgid()):
        raise OSError("the process is root's still")
    return f"on (user {os.getuid()})"


def _drop_bounding_set() -> None:
    libc = _libc()
    for capability in range(_CAPABILITIES):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def _no_capabilities() -> str:
    libc = _libc()
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    # Effective, permitted, inheritable, in two halves: none.
    libc.capset(struct.pack("=II", _CAPABILITY_VERSION, 0), bytes(24))
    held = {
        name.decode(): int(value, 16)
        for name, _, value in (
            line.partition(b":") for line in Path("/proc/self/status").read_bytes().splitlines()
        )
        if name in (b"CapPrm", b"CapEff", b"CapInh", b"CapAmb")
    }
    if any(held.values()):
        raise OSError(f"capabilities are held: {held}")
    return "on"


def _no_new_privileges() -> str:
    if _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
    _libc().prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return "on"


def _landlock() -> str:
    return f"on (version {landlock.restrict()})"


def _seccomp() -> str:
    seccomp.install()
    return "on"


def _die_with(parent: int) -> None:
    if platform.system() != "Linux":
        return
    _libc().prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _libc() -> ctypes.CDLL:
    if platform.system() != "Linux":
        raise OSError(f"there is none of it on {platform.system()}")
    return ctypes.CDLL(None, use_errno=True)


_LOCKS: Final[tuple[tuple[Part, Callable[[], str]], ...]] = (
    ("empty_environment", _empty_environment),
    ("not_root", _not_root),
    ("no_capabilities", _no_capabilities),
    ("no_new_privileges", _no_new_privileges),
    ("landlock", _landlock),
    ("seccomp", _seccomp),
)
