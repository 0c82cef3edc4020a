"""The offset that may be committed: never past what is open, and as far as can be."""

from hypothesis import given
from hypothesis import strategies as st
from mirsal_runtime.watermarks import Watermark


def opened(*offsets: int) -> Watermark:
    watermark = Watermark()
    for offset in offsets:
        watermark.open(offset)
    return watermark


def test_nothing_is_committable_before_the_first_is_done() -> None:
    watermark = opened(5, 6, 7)
    watermark.close(7)
    watermark.close(6)
    assert (watermark.committable, watermark.news, len(watermark)) == (None, None, 3)


def test_closing_the_oldest_passes_all_that_was_done_behind_it() -> None:
    watermark = opened(5, 6, 7, 8)
    for offset in (6, 7, 5):
        watermark.close(offset)
    assert (watermark.committable, len(watermark)) == (8, 1)


def test_gaps_between_offsets_are_no_records() -> None:
    watermark = opened(5, 9)
    watermark.close(5)
    assert watermark.committable == 6
    watermark.close(9)
    assert watermark.committable == 10


def test_news_are_told_until_kafka_knows_them() -> None:
    watermark = opened(1, 2)
    watermark.close(1)
    assert watermark.news == 2
    watermark.close(2)
    watermark.committed(2)
    assert watermark.news == 3
    watermark.committed(3)
    assert watermark.news is None


def test_progress_is_told_only_when_the_watermark_rises() -> None:
    told: list[int] = []
    watermark = Watermark(lambda: told.append(1))
    for offset in (1, 2):
        watermark.open(offset)
    watermark.close(2)
    assert told == []
    watermark.close(1)
    assert told == [1]


@given(
    st.sets(st.integers(0, 60), min_size=1).flatmap(
        lambda offsets: st.tuples(st.just(sorted(offsets)), st.permutations(sorted(offsets)))
    ),
    st.integers(0, 60),
)
def test_watermark_is_the_oldest_open_record(
    offsets_and_order: tuple[list[int], list[int]], count: int
) -> None:
    offsets, order = offsets_and_order
    watermark = opened(*offsets)
    closed = order[:count]
    for offset in closed:
        watermark.close(offset)
    still_open = [offset for offset in offsets if offset not in closed]
    passed = [offset for offset in offsets if not still_open or offset < still_open[0]]
    assert watermark.committable == (passed[-1] + 1 if passed else None)
    assert len(watermark) == len(offsets) - len(passed)
