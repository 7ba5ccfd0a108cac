"""Many calls in an event loop."""

import asyncio
import itertools
from contextlib import aclosing

import numpy as np
import pytest

from engineroom.client import (
    AsyncClient,
    AsyncFunctionTransport,
    BadInput,
    InferenceFailed,
    ModelMetadata,
    TensorMetadata,
)

M = ModelMetadata("m", (TensorMetadata("x", "FP32", (1,)),), (TensorMetadata("y", "FP32", (1,)),), 4)


def item(value):
    return {"x": np.full((1, 1), value, np.float32)}


class Doubling:
    """Answers, late where a value is odd, and with an error where it is negative; knows what is in flight."""

    def __init__(self):
        self.now = self.most = 0

    async def __call__(self, arrays):
        value = arrays["x"][0, 0]
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.05 if value % 2 else 0.001)
        finally:
            self.now -= 1
        if value < 0:
            raise InferenceFailed("negative")
        return {"y": arrays["x"] * 2}


def in_loop(test):
    """Run a coroutine function with a client and what answers it; no task may be left."""

    async def run():
        function = Doubling()
        async with AsyncClient(transport=AsyncFunctionTransport({M: function})) as client:
            await test(client, function)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


@pytest.mark.parametrize("window", [1, 3, 16])
def test_answers_keep_the_order_of_their_items(window):
    async def test(client, function):
        found = [answer["y"].item() async for answer in client.infer_many("m", map(item, range(8)), window=window)]
        assert found == [2.0 * value for value in range(8)]
        assert min(window, 2) <= function.most <= window

    in_loop(test)


def test_answers_as_they_come_bring_their_index():
    async def test(client, _):
        given = [item(1), item(2), item(4)]
        found = [pair async for pair in client.infer_many("m", given, ordered=False)]
        assert found[-1][0] == 0
        assert {index: answer["y"].item() for index, answer in found} == {0: 2, 1: 4, 2: 8}

    in_loop(test)


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "as they come"])
def test_a_slow_consumer_stops_the_iterable_and_leaving_early_cancels(ordered):
    async def test(client, function):
        taken = itertools.count()
        endless = (item(2 * next(taken) + 1) for _ in itertools.count())
        async with aclosing(client.infer_many("m", endless, window=5, ordered=ordered)) as answers:
            for _ in range(2):
                await anext(answers)
                await asyncio.sleep(0.2)
            await anext(answers)
        assert next(taken) <= 3 + 5
        assert function.now == 0

    in_loop(test)


def test_answers_do_not_wait_for_a_slow_iterable():
    async def test(client, _):
        held = asyncio.Event()

        async def slow():
            yield item(0)
            await held.wait()
            yield item(2)

        answers = client.infer_many("m", slow())
        assert (await anext(answers))["y"].item() == 0
        held.set()
        assert [answer["y"].item() async for answer in answers] == [4]

    in_loop(test)


def test_an_error_is_raised_in_its_place_or_given_there():
    async def test(client, _):
        given = [item(0), item(-1), {"z": 1}, item(1)]
        told = []
        answers = client.infer_many("m", given, errors="yield", on_progress=lambda *counts: told.append(counts))
        assert [type(answer) async for answer in answers] == [dict, InferenceFailed, BadInput, dict]
        assert told == [(1, 0), (2, 1), (3, 2), (4, 2)]
        answers = client.infer_many("m", given)
        assert (await anext(answers))["y"].item() == 0
        with pytest.raises(InferenceFailed, match="m: negative"):
            await anext(answers)

    in_loop(test)


def test_an_error_of_the_iterable_is_its_own():
    async def test(client, _):
        async def broken():
            yield item(0)
            raise OSError("the file ends here")

        answers = client.infer_many("m", broken())
        with pytest.raises(OSError, match="the file ends here"):
            [answer async for answer in answers]

    in_loop(test)


def test_words_out_of_range_are_refused_at_the_call():
    async def test(client, _):
        with pytest.raises(BadInput, match="window is 0, give 1 or more"):
            client.infer_many("m", [], window=0)

    in_loop(test)
