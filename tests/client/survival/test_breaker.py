from engineroom.client.survival.breaker import FAILURES, OPEN_S, Breaker


def broken(now: float = 10.0) -> Breaker:
    """A breaker that has just opened."""
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.begin()
        breaker.end(now, failed=True)
    return breaker


def test_failures_in_a_row_open_it():
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        breaker.end(0, failed=True)
    assert breaker.allows(0)
    breaker.end(0, failed=True)
    assert breaker.open
    assert not breaker.allows(0)


def test_a_success_between_starts_the_count_anew():
    breaker = Breaker()
    for _ in range(3):
        for _ in range(FAILURES - 1):
            breaker.end(0, failed=True)
        breaker.end(0, failed=False)
    assert breaker.allows(0)


def test_after_a_while_one_request_tries():
    breaker = broken(10.0)
    assert not breaker.allows(10.0 + OPEN_S / 2)
    assert breaker.allows(10.0 + OPEN_S)
    breaker.begin()
    assert not breaker.allows(10.0 + OPEN_S)


def test_its_success_closes_and_its_failure_keeps_it_open():
    for failed in (False, True):
        breaker = broken(10.0)
        breaker.begin()
        breaker.end(20.0, failed)
        assert breaker.open is failed
        assert breaker.allows(20.0) is not failed


def test_a_probe_that_was_broken_off_leaves_the_next_one_free():
    breaker = broken(10.0)
    breaker.begin()
    breaker.end(20.0, None)
    assert breaker.open
    assert breaker.allows(20.0)
