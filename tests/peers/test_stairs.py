import numpy as np
import pytest
from peers.contest import Contestant, Field
from peers.search import Search, Window
from peers.stairs import Stairs, lines_from_stairs, nearest, ratio


def window(rate, kept):
    return Window(rate, 1.0 if kept else 0.5, p50_ms=10.0, p99_ms=20.0, cpu_us=100.0)


def contestant(title, search):
    return Contestant(title, "numpy", served=None, requests=(), tree=None, slo_ms=100.0, search=search)


def climbed(title, limits, start=100.0):
    """A server that keeps its promise, in each round, up to a rate."""
    stairs = Stairs(start)
    for limit in limits:
        stairs.tell(window(stairs.rate_per_s, stairs.rate_per_s <= limit))
    return contestant(title, stairs)


def weather(rounds=40):
    """The machine's speed drifts by a third."""
    return 1 + np.sin(np.arange(rounds) / 6) / 3


@pytest.mark.parametrize("start", [20.0, 100.0, 900.0])
def test_a_rate_settles_about_the_limit(start):
    one = climbed("one", [100.0] * 60, start)
    rates = [each.rate_per_s for each in one.search.settled]
    assert len(rates) > 30
    assert np.median(rates[5:]) == pytest.approx(100, rel=0.05)


@pytest.mark.parametrize("truth", [0.8, 1.0, 1.25])
def test_the_ratio_holds_through_a_drift_that_both_meet(truth):
    middle, low, high = ratio(climbed("one", 100 * truth * weather()), climbed("other", 100 * weather()))
    assert middle == pytest.approx(truth, rel=0.06)
    assert low <= middle <= high


def test_too_few_rounds_give_no_ratio():
    assert ratio(climbed("one", [100.0] * 5), climbed("other", [100.0] * 5)) is None
    assert ratio(climbed("one", []), climbed("other", [])) is None


def test_those_who_came_near_the_best_take_part():
    searches = [Search(rate) for rate in (100.0, 70.0, 50.0)]
    for search in searches:
        search.tell(window(search.rate_per_s, kept=True))
    field = Field([contestant(name, search) for name, search in zip("abc", searches, strict=True)], {"d": "absent"})
    near = nearest(field)
    assert [(one.title, one.search.rate_per_s) for one in near.present] == [("a", 100.0), ("b", 70.0)]
    assert nearest(Field([contestant("none", Search(10.0))], {})).present == []


def test_the_table_compares_with_both_of_ours():
    names = ("engineroom", "engineroom, gRPC", "other")
    field = Field([climbed(name, [limit] * 30) for name, limit in zip(names, (100, 120, 80), strict=True)], {})
    head, _, *rows = lines_from_stairs(field)
    assert head.count(" / it") == 2
    assert [row.split(" | ")[0] for row in rows] == ["| engineroom, gRPC", "| engineroom", "| other"]
    other = [cell.strip() for cell in rows[-1].split("|")]
    assert [float(cell.split()[0]) for cell in other[4:6]] == pytest.approx([1.25, 1.5], rel=0.06)
    late = Field([*field.present, climbed("new", [])], {})
    assert "did not settle" in lines_from_stairs(late)[-1]
