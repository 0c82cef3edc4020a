"""`python -m code_runner.box`: the process in which guests run. Its parent is a `crew`.

It loads the guests, locks itself down, then runs what it is told until its socket closes. What it
says is not to be trusted by its parent: a guest may have broken out.
"""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from code_runner.frames import HEADER, MOST_FROM_BOX, MOST_TO_BOX, LogPage
from code_runner.guests import Ended, Guests, Limits
from code_runner.lockdown import lock_down

WARM_SECONDS = 30.0
MEGABYTE = 1024 * 1024
_HELLO = {
    "python": "def main(input):\n    return input",
    "javascript": "function main(input) { return input }",
}


class Closed(Exception):
    """The parent is gone."""


def main(arguments: list[str]) -> None:
    """Serve a crew: `<socket> <log page> <parent's pid> <language>=<artefact> ...`."""
    socket, page, parent = (int(each) for each in arguments[:3])
    paths = dict(each.split("=", 1) for each in arguments[3:])
    log_page = LogPage.of(page)
    os.close(page)
    guests = Guests({language: Path(path) for language, path in paths.items()})
    state = lock_down(parent)
    guests.start_watch()
    for language, code in _HELLO.items():
        request = json.dumps({"code": code, "input": {"lead": {"name": "أحمد"}}})
        warm = guests.call(language, request, Limits(WARM_SECONDS, 128 * MEGABYTE), log_page.append)
        if warm.reply is None:
            state["seccomp"] = f"missing: the {language} guest does not run: {warm.trap[-300:]}"
    write_frame(socket, {"ready": True, "wall": state})
    while True:
        job = json.loads(read_frame(socket))
        limits = Limits(job["seconds"], job["memory"])
        log_page.clear()
        ended = guests.call(job["language"], job["request"], limits, log_page.append)
        write_frame(socket, answer_of(ended))


def answer_of(ended: Ended) -> dict[str, Any]:
    """What the parent is told. A reply too long for a frame is left out."""
    if ended.reply is not None and not fits(ended.reply):
        return {"tooLong": True}
    return {"reply": ended.reply, "trap": ended.trap, "overran": ended.overran}


def fits(reply: str) -> bool:
    """Whether a frame can hold the reply: of a byte of UTF-8, JSON makes six at most."""
    most = MOST_FROM_BOX // 6 - 1000
    # The characters first: a reply as large as the guest's memory is not copied.
    return len(reply) <= most and len(reply.encode("utf-8", "surrogatepass")) <= most


def read_frame(socket: int) -> bytes:
    """The next frame. Raises `Closed`."""
    (length,) = HEADER.unpack(_read(socket, HEADER.size))
    if length > MOST_TO_BOX:
        raise Closed
    return _read(socket, length)


def write_frame(socket: int, value: dict[str, Any]) -> None:
    """Send one frame."""
    body = json.dumps(value).encode()
    rest = memoryview(HEADER.pack(len(body)) + body)
    while rest:
        rest = rest[os.write(socket, rest) :]


def _read(socket: int, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = os.read(socket, length - len(parts))
        if not part:
            raise Closed
        parts += part
    return bytes(parts)


if __name__ == "__main__":
    code = 1
    try:
        main(sys.argv[1:])
    except Closed:
        code = 0
    except Exception as error:  # noqa: BLE001 - the crew is told, whatever it is
        with suppress(OSError, ValueError, IndexError):
            write_frame(int(sys.argv[1]), {"failed": f"{type(error).__name__}: {error}"[:2000]})
    finally:
        # wasmtime's threads must not see the interpreter end around them.
        os._exit(code)
