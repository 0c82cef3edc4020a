"""The system calls that a box may make, as a BPF program. Pure but for `install`.

All others fail with EPERM; those that no honest box would try end the process.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

_LOAD: Final = 0x20
_JUMP_EQUAL: Final = 0x15
_JUMP_NOT_LESS: Final = 0x35
_JUMP_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06

_NUMBER_AT: Final = 0
_ARCHITECTURE_AT: Final = 4
_ARGUMENTS_AT: Final = 16

ALLOW: Final = 0x7FFF0000
KILL: Final = 0x80000000
ERRNO: Final = 0x00050000

_CLONE_THREAD: Final = 0x00010000
_PROT_EXEC: Final = 4
_PR_SET_NAME: Final = 15
_PR_SET_VMA: Final = 0x53564D41
_AF_UNIX: Final = 1
# Copies and flags of descriptors, but no owner: to it a socket's signals would go, SIGKILL too.
_FCNTL: Final = (0, 1, 2, 3, 4, 1030)
_X32: Final = 0x40000000

_SET_MODE_FILTER: Final = 1
_ALL_THREADS: Final = 1


class Machine(NamedTuple):
    """One architecture's numbers."""

    audit: int
    seccomp: int
    calls: Mapping[str, int]


# Linux: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
_X86_64: Final = Machine(
    0xC000003E,
    317,
    {
        "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "mmap": 9,
        "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14,
        "rt_sigreturn": 15, "readv": 19, "writev": 20, "select": 23, "sched_yield": 24,
        "mremap": 25, "madvise": 28, "nanosleep": 35, "getpid": 39, "socket": 41, "connect": 42,
        "bind": 49, "listen": 50, "socketpair": 53, "clone": 56, "fork": 57, "vfork": 58,
        "execve": 59, "exit": 60, "fcntl": 72, "gettimeofday": 96, "sysinfo": 99, "ptrace": 101,
        "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108, "getppid": 110,
        "sigaltstack": 131, "prctl": 157, "chroot": 161, "mount": 165, "init_module": 175,
        "gettid": 186, "futex": 202, "sched_getaffinity": 204, "restart_syscall": 219,
        "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231,
        "epoll_wait": 232, "epoll_ctl": 233, "pselect6": 270, "ppoll": 271, "unshare": 272,
        "set_robust_list": 273, "epoll_pwait": 281, "eventfd2": 290, "epoll_create1": 291,
        "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "getrandom": 318,
        "bpf": 321, "execveat": 322, "userfaultfd": 323, "membarrier": 324, "rseq": 334,
        "io_uring_setup": 425, "clone3": 435,
    },
)  # fmt: skip
_ARM_64: Final = Machine(
    0xC00000B7,
    277,
    {
        "eventfd2": 19, "epoll_create1": 20, "epoll_ctl": 21, "epoll_pwait": 22, "fcntl": 25,
        "mount": 40, "chroot": 51, "close": 57, "lseek": 62, "read": 63, "write": 64, "readv": 65,
        "writev": 66, "pselect6": 72, "ppoll": 73, "fstat": 80, "exit": 93, "exit_group": 94,
        "unshare": 97, "futex": 98, "set_robust_list": 99, "nanosleep": 101, "init_module": 105,
        "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115, "ptrace": 117,
        "sched_getaffinity": 123, "sched_yield": 124, "restart_syscall": 128, "sigaltstack": 132,
        "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "prctl": 167,
        "gettimeofday": 169, "getpid": 172, "getppid": 173, "getuid": 174, "geteuid": 175,
        "getgid": 176, "getegid": 177, "gettid": 178, "sysinfo": 179, "socket": 198,
        "socketpair": 199, "bind": 200, "listen": 201, "connect": 203, "brk": 214, "munmap": 215,
        "mremap": 216, "clone": 220, "execve": 221, "mmap": 222, "mprotect": 226, "madvise": 233,
        "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "getrandom": 278,
        "bpf": 280, "execveat": 281, "userfaultfd": 282, "membarrier": 283, "rseq": 293,
        "io_uring_setup": 425, "clone3": 435,
    },
)  # fmt: skip
MACHINES: Final[Mapping[str, Machine]] = {"x86_64": _X86_64, "aarch64": _ARM_64}

DEADLY: Final = frozenset(
    [
        "bind",
        "bpf",
        "chroot",
        "connect",
        "execve",
        "execveat",
        "fork",
        "init_module",
        "io_uring_setup",
        "listen",
        "mount",
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "setns",
        "socket",
        "unshare",
        "userfaultfd",
        "vfork",
    ]
)
CONDITIONAL: Final = ("clone", "clone3", "fcntl", "mmap", "mprotect", "prctl", "socketpair")


def program(machine: Machine) -> bytes:
    """The filter for `machine`, as an array of `struct sock_filter`."""
    calls = machine.calls
    lines = [
        _load(_ARCHITECTURE_AT),
        _line(_JUMP_EQUAL, machine.audit, 1, 0),
        _line(_RETURN, KILL),
        _load(_NUMBER_AT),
        _line(_JUMP_NOT_LESS, _X32, 0, 1),
        _line(_RETURN, KILL),
    ]
    for name in sorted(calls.keys() - DEADLY - set(CONDITIONAL)):
        lines += _when(calls[name], ALLOW)
    for name in sorted(DEADLY & calls.keys()):
        lines += _when(calls[name], KILL)
    lines += _when(calls["clone3"], ERRNO | errno.ENOSYS)
    # A thread, never a process.
    lines += _when_argument(calls["clone"], 0, _JUMP_ANY_BIT, (_CLONE_THREAD,), ALLOW, _refused())
    # The guests' machine code is mapped already, so no page need become executable.
    for name in ("mmap", "mprotect"):
        lines += _when_argument(calls[name], 2, _JUMP_ANY_BIT, (_PROT_EXEC,), _refused(), ALLOW)
    names = (_PR_SET_NAME, _PR_SET_VMA)
    lines += _when_argument(calls["prctl"], 0, _JUMP_EQUAL, names, ALLOW, _refused())
    lines += _when_argument(calls["fcntl"], 1, _JUMP_EQUAL, _FCNTL, ALLOW, _refused())
    lines += _when_argument(calls["socketpair"], 0, _JUMP_EQUAL, (_AF_UNIX,), ALLOW, _refused())
    lines.append(_line(_RETURN, _refused()))
    return b"".join(lines)


def install() -> None:
    """Put the filter on all threads of this process, for ever. Raises `OSError`."""
    machine = MACHINES.get(platform.machine())
    if machine is None:
        raise OSError(errno.ENOSYS, f"no list of system calls for {platform.machine()}")
    filters = program(machine)
    buffer = ctypes.create_string_buffer(filters, len(filters))
    header = struct.pack("@HxxxxxxP", len(filters) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(machine.seccomp, _SET_MODE_FILTER, _ALL_THREADS, header) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"seccomp: {os.strerror(code)}")


def _refused() -> int:
    return ERRNO | errno.EPERM


def _line(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _load(offset: int) -> bytes:
    return _line(_LOAD, offset)


def _when(number: int, action: int) -> list[bytes]:
    return [_line(_JUMP_EQUAL, number, 0, 1), _line(_RETURN, action)]


def _when_argument(
    number: int, argument: int, test: int, values: tuple[int, ...], hit: int, miss: int
) -> list[bytes]:
    """For one call: `hit` where its argument (the low 32 bits) passes the test of a value."""
    body = [_load(_ARGUMENTS_AT + 8 * argument)]
    for value in values:
        body += [_line(test, value, 0, 1), _line(_RETURN, hit)]
    body.append(_line(_RETURN, miss))
    return [_line(_JUMP_EQUAL, number, 0, len(body)), *body]
