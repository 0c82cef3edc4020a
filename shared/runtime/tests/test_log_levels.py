"""The level of the logs changes while the process runs, as a file says."""

from pathlib import Path

import structlog
from mirsal_runtime.log_levels import WRAPPER, Level
from mirsal_runtime.settings import RuntimeSettings


def test_the_file_s_word_counts_while_it_is_there(tmp_path: Path) -> None:
    file, level = tmp_path / "level", Level()
    lines: list[str] = []

    def keep(_log: object, name: str, _event: object) -> str:
        lines.append(name)
        raise structlog.DropEvent

    log = structlog.wrap_logger(None, wrapper_class=WRAPPER, processors=[keep])

    def said() -> list[str]:
        lines.clear()
        for tell in (log.debug, log.info, log.error):
            tell("line")
        return list(lines)

    level.configure(RuntimeSettings(log_level="ERROR", log_level_file=file))
    assert said() == ["error"]
    file.write_text("debug\n", "utf-8")
    level.look()
    assert said() == ["debug", "info", "error"]
    file.write_text("nonsense", "utf-8")
    level.look()
    assert said() == ["error"]
    level.configure(RuntimeSettings())
    assert said() == ["info", "error"]
