"""What a failed statement means: try it again as it is, or never."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

_DATA_CLASSES = frozenset({"22", "23", "54"})
"""SQLSTATE classes: data exception, constraint violation, program limit exceeded."""


class DatabaseAway(Exception):
    """PostgreSQL did not do it: away, restarting, read-only, full, or slow. Try again later.

    The statement may have taken effect all the same.
    """


class DataRefused(Exception):
    """PostgreSQL will never take this data."""


@contextmanager
def told_apart() -> Iterator[None]:
    """Turns what asyncpg raises within into `DatabaseAway` or `DataRefused`."""
    try:
        yield
    except asyncpg.PostgresError as error:
        if (error.sqlstate or "")[:2] in _DATA_CLASSES:
            raise DataRefused(_described(error)) from error
        raise DatabaseAway(_described(error)) from error
    except (ValueError, TypeError, OverflowError) as error:
        # Raised before anything is sent: a parameter has no form of its type. asyncpg's own
        # error for that is an InterfaceError too. The text would tell the value.
        raise DataRefused(type(error).__name__) from error
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError) as error:
        raise DatabaseAway(f"{type(error).__name__}: {error}") from error


def _described(error: asyncpg.PostgresError) -> str:
    """Without its details, which hold the row's values."""
    return f"{type(error).__name__}: {error.args[0] if error.args else error.sqlstate}"
