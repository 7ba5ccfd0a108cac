import asyncio
import math
import selectors
import threading
import time

import pytest

from engineroom.load.open_loop.fine_loop import FineLoop, FineSelector


@pytest.fixture
def loop():
    made = FineLoop()
    yield made
    made.close()


def test_the_loop_wakes_between_milliseconds():
    def quickest_s(selector):
        def wait_s():
            begun = time.perf_counter()
            selector.select(0.0002)
            return time.perf_counter() - begun

        with selector:
            return min(wait_s() for _ in range(100))

    assert quickest_s(FineSelector()) < 0.0009 < quickest_s(selectors.EpollSelector())


def test_paced_work_is_done_when_it_is_due_and_never_before(loop):
    begun_s = time.monotonic()
    due_s = [begun_s + 0.01 * number for number in range(1, 6)]
    done_s, over = [], loop.create_future()

    def work():
        done_s.append(time.monotonic())
        if len(done_s) == len(due_s):
            over.set_result(None)
            return math.inf
        return due_s[len(done_s)]

    loop.pace(due_s[0], work)
    loop.run_until_complete(asyncio.wait_for(over, 20))
    assert all(done >= due for done, due in zip(done_s, due_s, strict=True))
    assert len(done_s) == 5


@pytest.mark.parametrize("give", ["call_soon", "call_later", "task", "thread"])
def test_what_paced_work_gives_the_loop_to_do_is_done_though_nothing_else_wakes_it(loop, give):
    done = loop.create_future()

    async def late():
        done.set_result(None)

    def work():
        tell = done.set_result
        {
            "call_soon": lambda: loop.call_soon(tell, None),
            "call_later": lambda: loop.call_later(0.01, tell, None),
            "task": lambda: loop.create_task(late()),
            "thread": lambda: threading.Thread(target=loop.call_soon_threadsafe, args=(tell, None)).start(),
        }[give]()
        return math.inf

    async def wait():
        loop.pace(time.monotonic() + 0.01, work)
        # No timeout: one would wake the loop.
        await done

    loop.run_until_complete(wait())
    assert done.done()


def test_work_that_is_always_late_lets_others_in(loop):
    done = loop.create_future()
    loop.pace(0, lambda: 0.0)
    loop.call_later(0.01, done.set_result, None)
    loop.run_until_complete(done)
