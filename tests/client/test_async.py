"""The client of an event loop: what differs from the other one, and that nothing else does."""

import asyncio
from collections import Counter

import numpy as np
import pytest
from one_model import in_flight

from engineroom.client import (
    AsyncClient,
    AsyncFunctionTransport,
    BadInput,
    CallError,
    Client,
    FunctionTransport,
    HedgePolicy,
    InferenceFailed,
    ModelMetadata,
    Rejected,
    RetryPolicy,
    ServerUnavailable,
    TensorMetadata,
)

M = ModelMetadata("m", (TensorMetadata("x", "FP32", (1,)),), (TensorMetadata("y", "FP32", (1,)),), 4)


async def double(arrays):
    await asyncio.sleep(0)
    return {"y": arrays["x"] * 2}


class Held:
    """A coroutine function that answers when it is let go, and knows how often it was cancelled."""

    def __init__(self):
        self.go = asyncio.Event()
        self.asked = self.cancelled = 0

    async def __call__(self, arrays):
        self.asked += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return await double(arrays)


def functions(*answers):
    return [AsyncFunctionTransport({M: answer}) for answer in answers]


async def until(happened):
    async def poll():
        while not happened():
            await asyncio.sleep(0.001)

    await asyncio.wait_for(poll(), 20)


def test_parts_of_a_batch_are_in_flight_together_and_joined_in_order():
    together = Counter()

    async def answer(arrays):
        together["now"] += 1
        together["most"] = max(together["most"], together["now"])
        await asyncio.sleep(0.01)
        together["now"] -= 1
        return await double(arrays)

    async def ask():
        (transport,) = functions(answer)
        async with AsyncClient(transport=transport) as client:
            x = np.arange(22, dtype=np.float32).reshape(22, 1)
            np.testing.assert_array_equal((await client.infer("m", x=x))["y"], 2 * x)
        assert [len(request.inputs[0].array) for request in transport.requests] == [4, 4, 4, 4, 4, 2]
        assert together["most"] == 4

    asyncio.run(ask())


def test_the_error_of_one_part_cancels_the_others():
    async def ask():
        held = Held()

        async def answer(arrays):
            if arrays["x"][0, 0] != 4:
                return await held(arrays)
            await until(lambda: held.asked == 2)
            raise InferenceFailed("broken")

        async with AsyncClient(transport=functions(answer)) as client:
            with pytest.raises(InferenceFailed, match=r"^m: broken$"):
                await client.infer("m", x=np.arange(12, dtype=np.float32).reshape(12, 1))
            assert held.cancelled == 2
            assert in_flight(client) == [0]

    asyncio.run(ask())


@pytest.mark.parametrize("rows", [1, 8], ids=["one request", "two parts"])
@pytest.mark.parametrize("retry", [RetryPolicy(), RetryPolicy(hedge=HedgePolicy(after_s=0.01))], ids=["", "hedged"])
def test_a_cancelled_call_cancels_its_requests(rows, retry):
    async def ask():
        held = Held()
        async with AsyncClient(transport=functions(held, held), retry=retry) as client:
            call = asyncio.ensure_future(client.infer("m", x=np.ones((rows, 1), np.float32)))
            await until(lambda: held.asked == (2 if retry.hedge else 1) * (2 if rows == 8 else 1))
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert held.cancelled == held.asked
            assert in_flight(client) == [0, 0]

    asyncio.run(ask())


def test_the_slower_of_two_is_cancelled_and_counts_as_failed():
    async def ask():
        held = Held()
        policy = RetryPolicy(hedge=HedgePolicy(after_s=0.1))
        async with AsyncClient(transport=functions(held, double), retry=policy) as client:
            for _ in range(100):
                assert (await client.infer("m", x=[[1.0]]))["y"] == 2
            assert 1 <= held.asked == held.cancelled <= 10
            assert in_flight(client) == [0, 0]
            assert not client._asking.servers._endpoints.all[0].breaker.sound

    asyncio.run(ask())


def test_another_server_answers_where_one_is_gone():
    def gone(arrays):
        raise ServerUnavailable("gone")

    async def ask():
        servers = functions(gone, double)
        async with AsyncClient(transport=servers) as client:
            answers = await asyncio.gather(*[client.infer("m", x=[[1.0]]) for _ in range(100)])
        assert all(answer["y"] == 2 for answer in answers)
        assert len(servers[1].requests) == 100

    asyncio.run(ask())


def test_pauses_let_others_run():
    def later(arrays):
        raise Rejected("full", 0.2)

    async def ask():
        (transport,) = functions(later)
        async with AsyncClient(transport=transport, retry=RetryPolicy(attempts=2)) as client:
            calls = [client.infer("m", x=[[float(number)]]) for number in range(5)]
            assert all(isinstance(one, Rejected) for one in await asyncio.gather(*calls, return_exceptions=True))
        callers = [float(request.inputs[0].array[0, 0]) for request in transport.requests]
        assert callers[:5] == [0, 1, 2, 3, 4]  # nobody has waited for the pause of another
        assert sorted(callers[5:]) == [0, 1, 2, 3, 4]

    asyncio.run(ask())


def test_a_closed_client_says_so():
    async def ask():
        client = AsyncClient(transport=functions(double))
        await client.close()
        await client.close()
        with pytest.raises(CallError, match=r"is closed. Make a new one."):
            await client.infer("m", x=[[1.0]])

    asyncio.run(ask())


def test_a_transport_of_the_other_kind_is_refused():
    with pytest.raises(BadInput, match="takes an AsyncTransport"):
        Client(transport=functions(double))
    with pytest.raises(BadInput, match="takes an AsyncTransport"):
        AsyncClient(transport=FunctionTransport({M: None}))


def test_what_cannot_be_ranked_is_refused():
    async def ask():
        async with AsyncClient(transport=functions(double)) as client:
            with pytest.raises(BadInput, match="top is 0"):
                await client.classify("m", {"x": [[1.0]]}, top=0)
            ((best,),) = await client.classify("m", {"x": [[1.0]]}, top=1)
            assert (best.index, best.score) == (0, 2.0)

    asyncio.run(ask())
