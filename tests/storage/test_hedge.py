"""Second requests for what is late, and the end of waits; by events, not by the clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote_models.errors import StoreUnavailableError
from remote_models.storage._answer import check_range, check_whole
from remote_models.storage._hedge import Hedge, answer_within

AT_ONCE = 0.01
NEVER = 600.0


class Server:
    """Answers each request when it is told to, with the request's number or an error."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.count = 0
        self._lock = threading.Lock()
        self._answers: dict[int, threading.Event] = {}
        self.errors: dict[int, Exception] = {}

    def ask(self) -> int:
        with self._lock:
            self.count += 1
            number = self.count
        self.asked.release()
        assert self.event(number).wait(60)
        if number in self.errors:
            raise self.errors[number]
        return number

    def event(self, number: int) -> threading.Event:
        with self._lock:
            return self._answers.setdefault(number, threading.Event())

    def answer(self, number: int) -> None:
        self.event(number).set()

    def wait_for_requests(self, count: int) -> None:
        for _ in range(count):
            assert self.asked.acquire(timeout=60)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    for number in range(1, 20):
        server.answer(number)


def in_thread(act: Callable[[], object]) -> Callable[[], object]:
    """Begin something, and return what waits for its outcome."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(act())
        except (TimeoutError, ValueError) as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def wait() -> object:
        thread.join(60)
        (found,) = outcome
        return found

    return wait


def test_what_is_in_time_is_asked_for_once(server: Server) -> None:
    server.answer(1)
    assert Hedge().first(server.ask, late=NEVER, give_up=NEVER) == 1
    assert server.count == 1


@pytest.mark.parametrize("faster", [1, 2])
def test_the_first_of_two_answers_counts(server: Server, faster: int) -> None:
    wait = in_thread(lambda: Hedge().first(server.ask, late=AT_ONCE, give_up=NEVER))
    server.wait_for_requests(2)
    server.answer(faster)
    assert wait() == faster


def test_one_that_fails_does_not_end_the_other(server: Server) -> None:
    server.errors[1] = ValueError("no")
    wait = in_thread(lambda: Hedge().first(server.ask, late=AT_ONCE, give_up=NEVER))
    server.wait_for_requests(2)
    server.answer(1)
    server.answer(2)
    assert wait() == 2


def test_an_error_that_is_in_time_is_the_outcome(server: Server) -> None:
    server.errors[1] = ValueError("no")
    server.answer(1)
    with pytest.raises(ValueError, match="no"):
        Hedge().first(server.ask, late=NEVER, give_up=NEVER)
    assert server.count == 1


def test_no_more_second_requests_than_there_is_room_for(server: Server) -> None:
    hedge = Hedge(most=1)
    waits = [in_thread(lambda: hedge.first(server.ask, late=AT_ONCE, give_up=0.5))]
    server.wait_for_requests(2)
    waits.append(in_thread(lambda: hedge.first(server.ask, late=AT_ONCE, give_up=0.5)))
    server.wait_for_requests(1)
    for wait in waits:
        assert isinstance(wait(), TimeoutError)
    assert server.count == 3
    # There is room again when both have ended, though nobody waits for them any more.
    for number in (1, 2, 3):
        server.answer(number)
    for _ in range(1000):
        if hedge._room.acquire(timeout=0.01):
            break
    else:
        pytest.fail("no room")


def test_a_second_request_is_made_when_there_is_room_again(server: Server) -> None:
    hedge = Hedge(most=1)
    first = in_thread(lambda: hedge.first(server.ask, late=AT_ONCE, give_up=NEVER))
    server.wait_for_requests(2)
    second = in_thread(lambda: hedge.first(server.ask, late=AT_ONCE, give_up=NEVER))
    server.wait_for_requests(1)
    server.answer(1)
    server.answer(2)
    assert first() in (1, 2)
    server.wait_for_requests(1)
    server.answer(4)
    assert second() == 4


def test_an_answer_that_never_comes_is_given_up(server: Server) -> None:
    with pytest.raises(TimeoutError):
        Hedge().first(server.ask, late=AT_ONCE, give_up=0.05)
    with pytest.raises(TimeoutError):
        answer_within(0.05, server.ask)


def test_a_wait_that_is_called_off_ends(server: Server) -> None:
    called_off = threading.Event()
    wait = in_thread(
        lambda: Hedge().first(server.ask, late=NEVER, give_up=NEVER, called_off=called_off)
    )
    server.wait_for_requests(1)
    called_off.set()
    assert isinstance(wait(), TimeoutError)
    assert server.count == 1


numbers = st.integers(0, 20)


@given(start=numbers, length=st.integers(1, 20), size=st.integers(1, 40), data=st.data())
def test_only_what_was_asked_for_passes(
    start: int, length: int, size: int, data: st.DataObject
) -> None:
    """Of every object, range, and answer: exactly the right one is taken."""
    stop = start + length
    first, last, total, nbytes = (data.draw(numbers) for _ in range(4))
    told = data.draw(st.sampled_from([None, f"bytes {first}-{last}/{total}", "bytes */9", "?"]))
    if start < size:  # and the true answer passes
        end = min(stop, size)
        check_range(f"bytes {start}-{end - 1}/{size}", start, stop, end - start, where="")
    if told is None:
        right = start == 0 and nbytes <= stop
    elif told.endswith(f"/{total}") and told.startswith("bytes ") and "*" not in told:
        right = first == start and last + 1 == min(stop, total) and nbytes == last + 1 - first
    else:
        right = False
    try:
        check_range(told, start, stop, nbytes, where="")
    except StoreUnavailableError:
        assert not right
    else:
        assert right


def test_a_whole_object_is_as_long_as_it_is_said_to_be() -> None:
    check_whole(5, 5, where="")
    with pytest.raises(StoreUnavailableError, match="broke off"):
        check_whole(5, 4, where="s3://bucket/key")
