import itertools
import threading
import time

import numpy as np
import pytest
from waiting import wait_until

from engineroom.client import BadInput, Client, FunctionTransport, InferenceFailed, ModelMetadata, TensorMetadata

X = TensorMetadata("x", "FP32", (1,))
DOUBLE = ModelMetadata("double", (X,), (TensorMetadata("y", "FP32", (1,)),), 4)


def item(value):
    return {"x": np.full((1, 1), value, np.float32)}


def items(*values):
    return [item(value) for value in values]


def double(arrays):
    """Answers, late where a value is odd, and with an error where it is negative."""
    value = arrays["x"][0, 0]
    if value < 0:
        raise InferenceFailed("negative")
    if value % 2:
        time.sleep(0.1)
    return {"y": arrays["x"] * 2}


@pytest.fixture
def client():
    with Client(transport=FunctionTransport({DOUBLE: double})) as client:
        yield client


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("engineroom-many")]


class Counted:
    """An endless iterable that knows how much of it was taken."""

    taken = 0

    def __iter__(self):
        for number in itertools.count():
            self.taken += 1
            yield item(2 * number)


@pytest.mark.parametrize("window", [1, 3, 16])
def test_answers_keep_the_order_of_their_items(client, window):
    answers = client.infer_many("double", items(*range(6)), window=window)
    assert [answer["y"].item() for answer in answers] == [0, 2, 4, 6, 8, 10]
    wait_until(lambda: not threads())


def test_answers_as_they_come_bring_their_index():
    others_are_told = threading.Event()

    def odd_last(arrays):
        assert arrays["x"] % 2 == 0 or others_are_told.wait(timeout=20)
        return {"y": arrays["x"] * 2}

    with Client(transport=FunctionTransport({DOUBLE: odd_last})) as client:
        answers = client.infer_many("double", items(1, 2, 4), ordered=False)
        others = [next(answers), next(answers)]
        others_are_told.set()
        (last,) = answers
    assert last[0] == 0
    assert {index: answer["y"].item() for index, answer in (*others, last)} == {0: 2, 1: 4, 2: 8}


def test_nothing_gives_nothing(client):
    assert list(client.infer_many("double", [])) == []


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "as they come"])
def test_the_iterable_is_not_read_beyond_the_window(client, ordered):
    source = Counted()
    answers = client.infer_many("double", source, window=5, ordered=ordered)
    assert source.taken == 0
    for number in range(1, 4):
        next(answers)
        time.sleep(0.05)
        assert source.taken <= number + 5
    answers.close()
    wait_until(lambda: not threads())


def test_no_more_than_the_window_is_in_flight():
    lock, now, most = threading.Lock(), [0], [0]

    def answer(arrays):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.01)
        with lock:
            now[0] -= 1
        return {"y": arrays["x"]}

    with Client(transport=FunctionTransport({DOUBLE: answer})) as client:
        assert len(list(client.infer_many("double", items(*range(40)), window=4))) == 40
    assert most[0] == 4


def test_an_answer_that_is_there_does_not_wait_until_a_slow_iterable_fills_the_window(client):
    source = Counted()

    def slow():
        for one in source:
            yield one
            time.sleep(0.1)

    answers = client.infer_many("double", slow(), window=100)
    assert next(answers)["y"].item() == 0
    assert source.taken < 50
    answers.close()


def test_an_error_is_raised_in_its_place_and_ends_it(client):
    answers = client.infer_many("double", items(0, -1, 2))
    assert next(answers)["y"].item() == 0
    with pytest.raises(InferenceFailed, match="double: negative"):
        next(answers)
    assert list(answers) == []
    wait_until(lambda: not threads())


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "as they come"])
def test_an_error_takes_the_place_of_its_answer(client, ordered):
    wrong = {"z": np.zeros((1, 1), np.float32)}
    told = []
    given = client.infer_many(
        "double",
        [item(0), item(-1), wrong, item(1)],
        ordered=ordered,
        errors="yield",
        on_progress=lambda done, failed: told.append((done, failed)),
    )
    found = dict(enumerate(given) if ordered else given)
    assert [type(found[index]) for index in range(4)] == [dict, InferenceFailed, BadInput, dict]
    assert told[-1] == (4, 2)
    assert [done for done, _ in told] == [1, 2, 3, 4]


def test_what_is_the_same_for_every_item_is_said_once(client):
    answers = client.infer_many("double", [{}, {}], x=np.ones((1, 1), np.float32), outputs=["y"], timeout_s=5)
    assert [answer["y"].item() for answer in answers] == [2, 2]


def test_an_error_of_the_iterable_is_its_own(client):
    def broken():
        yield item(0)
        raise OSError("the file ends here")

    with pytest.raises(OSError, match="the file ends here"):
        list(client.infer_many("double", broken()))
    wait_until(lambda: not threads())


def test_a_deadline_holds_for_each_item():
    class Patient(FunctionTransport):
        def infer(self, request):
            time.sleep(0.05)
            left.append(request.timeout_s)
            return super().infer(request)

    left = []
    with Client(transport=Patient({DOUBLE: double})) as client:
        assert len(list(client.infer_many("double", items(*[0] * 10), window=1, timeout_s=30))) == 10
    assert min(left) > 25


@pytest.mark.parametrize(
    ("words", "message"),
    [({"window": 0}, "window is 0, give 1 or more"), ({"errors": "ignore"}, "errors is 'ignore', give 'raise' or")],
    ids=["window", "errors"],
)
def test_words_out_of_range_are_refused_at_the_call(client, words, message):
    with pytest.raises(BadInput, match=message):
        client.infer_many("double", [], **words)
