import pytest
from peers.search import LEAST_PER_S, Search, Window


def window(rate: float, in_time: float) -> Window:
    return Window(rate, in_time, p50_ms=1.0, p99_ms=2.0)


def told(search: Search, limit: float, broken: float = 0.5) -> Search:
    """A server that keeps its promise up to a rate, and beyond answers so large a share in time."""
    for _ in range(100):
        if search.done:
            return search
        search.tell(window(search.rate_per_s, 1.0 if search.rate_per_s <= limit else broken))
    raise AssertionError("the search does not end")


@pytest.mark.parametrize("limit", [1.0, 7.0, 99.0, 100.0, 101.0, 12_345.0])
def test_the_limit_is_found_from_wherever_one_begins(limit):
    search = told(Search(100.0), limit)
    assert search.kept is not None
    assert search.broken_per_s is not None
    assert limit / search.close < search.kept.rate_per_s <= limit < search.broken_per_s


def test_a_server_that_keeps_no_promise_has_no_rate():
    search = told(Search(100.0), 0.0)
    assert search.kept is None
    assert search.windows[-1].rate_per_s <= 1.5 * LEAST_PER_S


def test_a_narrow_miss_is_measured_once_more_before_it_counts():
    search = Search(100.0)
    search.tell(window(100.0, 0.98))
    assert search.rate_per_s == 100.0
    search.tell(window(100.0, 1.0))
    assert search.kept is search.windows[1]
    assert search.broken_per_s is None


def test_two_narrow_misses_count():
    search = told(Search(100.0), limit=50.0, broken=0.98)
    assert search.broken_per_s is not None
    assert 50.0 / search.close < search.kept.rate_per_s <= 50.0 < search.broken_per_s


@pytest.mark.parametrize(("in_time", "kept"), [(1.0, True), (0.99, True), (0.989, False), (float("nan"), False)])
def test_the_promise_is_for_99_of_100(in_time, kept):
    assert window(10.0, in_time).kept is kept
