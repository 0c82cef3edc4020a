"""Keys go where Kafka's own producers put them: otherwise a run would have two writers."""

from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st
from mirsal_runtime.partitions import partition_of


@given(st.binary(max_size=70), st.integers(min_value=1, max_value=1000))
def test_partition_is_that_of_other_producers(key: bytes, partitions: int) -> None:
    assert partition_of(key, partitions) == (murmur2(key) & 0x7FFFFFFF) % partitions


def test_partition_of_a_known_key() -> None:
    """As org.apache.kafka.common.utils.UtilsTest has it."""
    assert partition_of(b"foobar", 2**31) == -790332482 & 0x7FFFFFFF
