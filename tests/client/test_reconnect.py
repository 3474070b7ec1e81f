"""chatproto.client.reconnect: whether to try again, and when."""

import math
from typing import Any

import pytest

from chatproto import (
    Backoff,
    ChatProtocolError,
    ChatTimeoutError,
    ConnectionLostError,
    ErrorCode,
    LocalProtocolError,
    LoginRefusedError,
    ProtocolError,
    RemoteProtocolError,
)
from chatproto.client.reconnect import Outages, final

CABLE = ConnectionLostError("cable cut")

DEFAULT = Backoff()


def outages(backoff: Backoff | None = DEFAULT, random: float = 1.0) -> Outages:
    """The random half of each wait is all there, unless said."""
    return Outages(backoff, lambda: random)


def waits(record: Outages, attempts: int, start: float = 0.0) -> list[float]:
    """How long an outage has a client wait before each attempt, none of which succeeds."""
    now, waits = start, []
    assert record.begin(CABLE, now)
    for _ in range(attempts):
        waits.append(record.due - now)
        now = record.due
        record.failed(CABLE, now)
    return waits


def test_the_defaults() -> None:
    backoff = Backoff()
    assert (backoff.first, backoff.cap, backoff.give_up) == (0.5, 30.0, 600.0)


@pytest.mark.parametrize("first", [0, -1, math.nan, 31, math.inf])
def test_the_first_wait_is_at_most_the_cap(first: float) -> None:
    with pytest.raises(ValueError, match="first is more than 0 and at most cap"):
        Backoff(first=first)


@pytest.mark.parametrize("cap", [0, -1, math.nan, 0.4])
def test_the_cap_is_at_least_the_first_wait(cap: float) -> None:
    with pytest.raises(ValueError, match="first is more than 0 and at most cap"):
        Backoff(cap=cap)


@pytest.mark.parametrize("give_up", [-1, math.nan])
def test_nobody_gives_up_before_the_loss(give_up: float) -> None:
    with pytest.raises(ValueError, match="give_up is at least 0"):
        Backoff(give_up=give_up)


@pytest.mark.parametrize(
    "fields",
    [{"first": 30}, {"cap": 0.5}, {"cap": math.inf}, {"give_up": 0}, {"give_up": math.inf}],
)
def test_the_edges_are_allowed(fields: dict[str, Any]) -> None:
    assert Backoff(**fields) == Backoff(**fields)


def test_the_fields_are_named() -> None:
    with pytest.raises(TypeError):
        Backoff(0.5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def test_each_wait_is_twice_the_one_before_up_to_the_cap() -> None:
    assert waits(outages(), 9) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_half_of_it_is_random() -> None:
    assert waits(outages(random=0.0), 8) == [0.25, 0.5, 1, 2, 4, 8, 15, 15]
    numbers = iter([0.5, 0.25, 0.0])
    record = Outages(Backoff(), lambda: next(numbers))
    assert waits(record, 2) == [0.375, 0.625]


def test_the_clock_may_show_anything() -> None:
    assert waits(outages(), 3, start=4096.0) == waits(outages(), 3, start=-4096.0) == [0.5, 1, 2]


def test_it_gives_up_in_time() -> None:
    record = outages(Backoff(give_up=3.5))
    assert record.begin(CABLE, 100)
    assert record.failed(CABLE, 100.5)
    assert record.failed(CABLE, 101.5)
    assert not record.failed(CABLE, 103.5)


def test_time_that_attempts_take_counts() -> None:
    record = outages(Backoff(give_up=10))
    assert record.begin(CABLE, 100)
    assert record.failed(CABLE, 109)
    assert not record.failed(CABLE, 109)


def test_who_gives_up_at_once_never_tries() -> None:
    assert not outages(Backoff(give_up=0)).begin(CABLE, 100)


def test_who_never_gives_up_goes_on() -> None:
    record = outages(Backoff(give_up=math.inf))
    assert record.begin(CABLE, 0)
    for now in range(10_000):
        assert record.failed(CABLE, now)
        assert now < record.due <= now + 30


def test_any_number_of_attempts_without_a_cap() -> None:
    record = outages(Backoff(cap=math.inf, give_up=math.inf))
    assert all(math.isfinite(wait) for wait in waits(record, 2000))


def test_the_end_tells_how_long_it_took() -> None:
    record = outages()
    record.begin(CABLE, 100)
    record.failed(CABLE, 101)
    assert record.end(102.5) == 2.5


def test_a_connection_that_lasted_starts_from_the_first_wait() -> None:
    record = outages()
    waits(record, 5)
    record.end(100)
    assert record.begin(CABLE, 131)
    assert record.due == 131.5


def test_a_connection_that_did_not_last_goes_on_where_the_attempts_were() -> None:
    """A server that takes everybody and drops them is not to be asked every half second."""
    record = outages()
    now, delays = 100.0, []
    for _ in range(8):
        assert record.begin(CABLE, now)
        delays.append(record.due - now)
        record.end(record.due)
        now = record.due + 29
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_each_outage_has_its_own_time_to_give_up() -> None:
    record = outages(Backoff(give_up=4))
    assert record.begin(CABLE, 100)
    assert record.failed(CABLE, 103)
    record.end(104)
    assert record.begin(CABLE, 105)
    assert record.due == 107
    assert not record.failed(CABLE, 107)


# What ends a connection or an attempt, and whether another may end otherwise.
ENDS: list[tuple[ChatProtocolError, bool]] = [
    (ConnectionLostError("cable cut"), True),
    (ChatTimeoutError("it took longer than 30 s"), True),
    (ChatProtocolError("something else"), False),
    *((ConnectionLostError("closed", code), True) for code in ("NEW", ErrorCode.SHUTTING_DOWN)),
    *((ConnectionLostError("closed", code), True) for code in ("", ErrorCode.TOO_MANY)),
    (ConnectionLostError("closed", ErrorCode.SLOW_CONSUMER), True),
    # Somebody has taken the name over, and would again.
    (ConnectionLostError("closed", ErrorCode.NAME_IN_USE), False),
    (ConnectionLostError("closed", ErrorCode.AUTH_FAILED), False),
    (ConnectionLostError("closed", "NAME_IN_USE"), False),
    # The connection before may be all that is in the way.
    (LoginRefusedError(ErrorCode.NAME_IN_USE, "it is taken"), True),
    (LoginRefusedError("NAME_IN_USE", "it is taken"), True),
    *((LoginRefusedError(code, "no"), False) for code in ErrorCode if code != "NAME_IN_USE"),
    (LoginRefusedError("", "no"), False),
    (LoginRefusedError("NEW", "no"), False),
    *((kind(code, "no"), False) for kind in ProtocolError.__subclasses__() for code in ErrorCode),
]


def test_every_kind_of_error_is_in_the_table() -> None:
    kinds = {LocalProtocolError, RemoteProtocolError, ConnectionLostError, LoginRefusedError}
    assert {type(error) for error, _ in ENDS} == {*kinds, ChatTimeoutError, ChatProtocolError}


@pytest.mark.parametrize(("error", "is_worth_it"), ENDS, ids=lambda value: repr(value)[:60])
def test_what_is_worth_another_attempt(error: ChatProtocolError, is_worth_it: bool) -> None:
    record = outages()
    assert record.begin(error, 100) is is_worth_it
    assert record.begin(CABLE, 200)
    assert record.failed(error, 201) is is_worth_it


@pytest.mark.parametrize(("error", "_"), ENDS, ids=lambda value: repr(value)[:60])
def test_nothing_is_to_a_client_that_does_not_reconnect(error: ChatProtocolError, _: bool) -> None:
    record = outages(None)
    assert not record.begin(error, 100)
    assert not record.failed(error, 101)


@pytest.mark.parametrize(
    "error", [error for error, _ in ENDS if not isinstance(error, ChatTimeoutError)], ids=repr
)
def test_what_the_last_attempt_has_ended_like_is_wrong_for_good(error: ChatProtocolError) -> None:
    assert final(error) is error


def test_a_last_attempt_that_took_too_long_means_that_there_is_no_connection() -> None:
    """Or the next call, which takes no time at all, would claim to have timed out."""
    error = ChatTimeoutError("it took longer than 30 s")
    lost = final(error)
    assert isinstance(lost, ConnectionLostError)
    assert lost.code == ""
    assert lost.text == "can't connect again: it took longer than 30 s"
    assert lost.__cause__ is error
