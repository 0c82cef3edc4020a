"""How long to wait: before another try, after a throttle, and for an answer."""

from hashlib import blake2b

from mirsal_contracts.workflows import RetryPolicy

SILENT_SECONDS: tuple[float, ...] = (15, 30, 60, 120, 300, 300, 300, 300)
"""How long an answer is awaited, round by round; after the last one the run parks."""

LEAST_SHARE = 0.5
THROTTLE_SPREAD = 0.05


def backoff_seconds(policy: RetryPolicy, failed: int, seed: str) -> float:
    """The pause after `failed` failed tries (1 or more): exponential, with jitter.

    At least half of the whole pause is kept: the default policy's tries then span 17 s or more,
    in which a mail server restarts. The same seed gives the same pause, so that a decision made
    again is the same decision.
    """
    doublings = min(failed - 1, 64)
    whole = min(policy.backoff_seconds * 2.0**doublings, policy.max_backoff_seconds)
    return whole * (LEAST_SHARE + (1 - LEAST_SHARE) * fraction_of(seed))


def throttle_seconds(retry_after: float, seed: str) -> float:
    """`retry_after` and a little more, never less, so that those who wait come one by one."""
    return retry_after * (1 + THROTTLE_SPREAD * fraction_of(seed))


def fraction_of(seed: str) -> float:
    """A number from 0 up to 1 that depends on the seed alone, evenly spread."""
    return int.from_bytes(blake2b(seed.encode(), digest_size=6).digest()) / 2**48
