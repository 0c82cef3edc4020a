"""The temporary folder of one test run's servers, and the sweep of those of killed test runs."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

from mirsal_testing.servers.processes import find_process, signal_tree, write_pid_file

_PREFIX = "mirsal-tests-"
_OWNER = "owner.pid"


def open_session_folder() -> Path:
    """A new folder, which the user `nobody` may enter, for servers that this process runs.

    Folders whose test run was killed are removed, with the servers that it left behind.
    """
    parent = Path(tempfile.gettempdir())
    for abandoned in parent.glob(f"{_PREFIX}*"):
        _remove_if_abandoned(abandoned)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    write_pid_file(folder / _OWNER, os.getpid())
    folder.chmod(0o711)
    return folder


def _remove_if_abandoned(folder: Path) -> None:
    ours = folder.is_dir() and folder.stat().st_uid == os.geteuid()
    # Without the file its owner has only just made it.
    if not ours or not (folder / _OWNER).is_file() or find_process(folder / _OWNER) is not None:
        return
    for pid_file in folder.glob("*/*.pid"):
        process = find_process(pid_file)
        if process is not None:
            signal_tree(process, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)
