"""How old a run's id is. Pure."""

from datetime import datetime


def was_made_before(run_id: str, moment: datetime) -> bool:
    """Whether this id was made before the moment.

    Those of version 7, which the gateway makes, begin with their time in ms. Others tell none.
    """
    if run_id[14] != "7":
        return False
    return int(run_id[:8] + run_id[9:13], 16) < moment.timestamp() * 1000
