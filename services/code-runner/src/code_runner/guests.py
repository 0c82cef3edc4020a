"""The two guests as wasmtime runs them: one fresh instance for each call.

Runs in the box. Nothing here is async: a box does one thing at a time.
"""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from wasmtime import Config, Engine, Store, Trap, WasiConfig, WasmtimeError
from wasmtime.component import Component, Linker

MOST_INSTANCES: Final = 64
MOST_TABLES: Final = 64
MOST_MEMORIES: Final = 16
MOST_TABLE_ELEMENTS: Final = 200_000
STACK_BYTES: Final = 1024 * 1024


class Limits(NamedTuple):
    """What one run may use: wall time, and bytes of each linear memory."""

    seconds: float
    memory: int


class Ended(NamedTuple):
    """How a call ended: with a reply, or with the text of a trap; `overran` its time or not."""

    reply: str | None
    trap: str = ""
    overran: bool = False


def make_engine() -> Engine:
    """The engine that both the compilation and the boxes use: pre-compiled code fits it only."""
    config = Config()
    config.epoch_interruption = True
    config.max_wasm_stack = STACK_BYTES
    config.cranelift_opt_level = "speed"
    config.wasm_threads = False
    return Engine(config)


class Watchdog:
    """Ends what runs in an engine when its time is over.

    The epoch moves once, at the deadline: a ticker would be late when the machine is busy.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._changed = threading.Condition()
        self._due: float | None = None
        self.barked = False
        threading.Thread(target=self._watch, daemon=True).start()

    def begin(self, seconds: float) -> None:
        """Watch a run that may last so long."""
        with self._changed:
            self.barked = False
            self._due = time.monotonic() + seconds
            self._changed.notify()

    def end(self) -> bool:
        """The run is over; the answer says whether its time was."""
        with self._changed:
            self._due = None
            return self.barked

    def _watch(self) -> None:
        with self._changed:
            while True:
                left = None if self._due is None else self._due - time.monotonic()
                if left is not None and left <= 0:
                    self._due = None
                    self.barked = True
                    self._engine.increment_epoch()
                else:
                    self._changed.wait(left)


class Guests:
    """Pre-compiled guests by language."""

    def __init__(self, artefacts: Mapping[str, Path]) -> None:
        self._engine = make_engine()
        self._linker = Linker(self._engine)
        self._linker.add_wasip2()
        self._components = {
            language: Component.deserialize_file(self._engine, str(path))
            for language, path in artefacts.items()
        }
        self._watchdog: Watchdog | None = None

    def start_watch(self) -> None:
        """Begin the thread that watches; after the lockdown, so that it is locked too."""
        self._watchdog = Watchdog(self._engine)

    def call(
        self, language: str, request: str, limits: Limits, log: Callable[[bytes], None]
    ) -> Ended:
        """One call of one fresh guest."""
        if self._watchdog is None:
            raise RuntimeError("nobody watches")
        wasi = WasiConfig()
        wasi.stdout_custom = log
        wasi.stderr_custom = log
        store = Store(self._engine)
        store.set_wasi(wasi)
        store.set_limits(
            memory_size=limits.memory,
            table_elements=MOST_TABLE_ELEMENTS,
            instances=MOST_INSTANCES,
            tables=MOST_TABLES,
            memories=MOST_MEMORIES,
        )
        store.set_epoch_deadline(1)
        self._watchdog.begin(limits.seconds)
        try:
            instance = self._linker.instantiate(store, self._components[language])
            execute = instance.get_func(store, "execute")
            if execute is None:
                raise RuntimeError("the guest exports no execute")
            reply = execute(store, request)
            overran = self._watchdog.end()
            return Ended(reply if isinstance(reply, str) else "", overran=overran)
        except (Trap, WasmtimeError) as error:
            return Ended(None, trap=str(error)[-2000:], overran=self._watchdog.end())
        except MemoryError:
            return Ended(None, trap="out of memory", overran=self._watchdog.end())
        finally:
            store.close()
