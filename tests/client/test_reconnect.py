"""chatproto.client.reconnect: whether a client connects again, and when."""

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
    ReconnectState,
    RemoteProtocolError,
)
from chatproto.client.reconnect import backoff_of

CABLE = ConnectionLostError("cable cut")

DEFAULT = Backoff()


def state_of(backoff: Backoff | None = DEFAULT, random: float = 1.0) -> ReconnectState:
    """A new state. By default the random half of each wait is as long as it can be."""
    return ReconnectState(backoff, lambda: random)


def waits_of(state: ReconnectState, attempts: int, start: float = 0.0) -> list[float]:
    """The waits before each of some attempts, all of which fail."""
    now, waits = start, []
    state.connection_lost(CABLE, now)
    for _ in range(attempts):
        assert state.error is None
        waits.append(state.next_attempt - now)
        now = state.next_attempt
        state.attempt_failed(CABLE, now)
    return waits


def test_the_defaults_of_a_backoff() -> None:
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
def test_the_time_to_give_up_is_not_negative(give_up: float) -> None:
    with pytest.raises(ValueError, match="give_up is at least 0"):
        Backoff(give_up=give_up)


@pytest.mark.parametrize("field", ["first", "cap", "give_up"])
def test_a_backoff_holds_numbers(field: str) -> None:
    fields: dict[str, Any] = {field: None}
    hint = "; math.inf is for ever" if field == "give_up" else ""
    with pytest.raises(TypeError, match=f"^{field} is a number of seconds, not None{hint}$"):
        Backoff(**fields)


def test_the_backoff_of_the_parameter_of_clients() -> None:
    mine = Backoff(cap=5.0)
    assert [backoff_of(each) for each in (False, True, mine)] == [None, Backoff(), mine]
    wrong: Any
    for wrong in (5, "yes", Backoff):
        with pytest.raises(TypeError, match=r"^reconnect is True, False or a Backoff\(...\), not "):
            backoff_of(wrong)


@pytest.mark.parametrize(
    "fields",
    [{"first": 30}, {"cap": 0.5}, {"cap": math.inf}, {"give_up": 0}, {"give_up": math.inf}],
)
def test_a_backoff_may_have_extreme_values(fields: dict[str, Any]) -> None:
    assert Backoff(**fields) == Backoff(**fields)


def test_the_fields_of_a_backoff_are_given_by_name() -> None:
    with pytest.raises(TypeError):
        Backoff(0.5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def test_each_wait_is_twice_the_one_before_up_to_the_cap() -> None:
    assert waits_of(state_of(), 9) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_half_of_each_wait_is_random() -> None:
    assert waits_of(state_of(random=0.0), 8) == [0.25, 0.5, 1, 2, 4, 8, 15, 15]
    numbers = iter([0.5, 0.25, 0.0])
    state = ReconnectState(Backoff(), lambda: next(numbers))
    assert waits_of(state, 2) == [0.375, 0.625]


def test_the_clock_may_start_anywhere() -> None:
    assert waits_of(state_of(), 3, start=4096.0) == [0.5, 1, 2]
    assert waits_of(state_of(), 3, start=-4096.0) == [0.5, 1, 2]


def test_it_gives_up_in_time() -> None:
    state = state_of(Backoff(give_up=3.5))
    state.connection_lost(CABLE, 100)
    for now in (100.5, 101.5):
        state.attempt_failed(CABLE, now)
        assert state.error is None
    state.attempt_failed(CABLE, 103.5)
    assert state.error is CABLE


def test_the_time_that_attempts_take_counts() -> None:
    state = state_of(Backoff(give_up=10))
    state.connection_lost(CABLE, 100)
    state.attempt_failed(CABLE, 109)
    assert state.error is None
    state.attempt_failed(CABLE, 109)
    assert state.error is CABLE


def test_with_no_time_to_try_there_is_no_attempt() -> None:
    state = state_of(Backoff(give_up=0))
    state.connection_lost(CABLE, 100)
    assert state.error is CABLE


def test_it_may_try_for_ever() -> None:
    state = state_of(Backoff(give_up=math.inf))
    state.connection_lost(CABLE, 0)
    for now in range(10_000):
        state.attempt_failed(CABLE, now)
        assert state.error is None
        assert now < state.next_attempt <= now + 30


def test_it_makes_any_number_of_attempts_without_a_cap() -> None:
    state = state_of(Backoff(cap=math.inf, give_up=math.inf))
    assert all(math.isfinite(wait) for wait in waits_of(state, 2000))


def test_a_new_connection_tells_how_long_there_was_none() -> None:
    state = state_of()
    state.connection_lost(CABLE, 100)
    state.attempt_failed(CABLE, 101)
    assert state.connected(102.5) == 2.5


def test_after_a_connection_that_lasted_the_waits_start_from_the_first() -> None:
    state = state_of()
    waits_of(state, 5)
    state.connected(100)
    state.connection_lost(CABLE, 131)
    assert state.next_attempt == 131.5


def test_after_a_connection_that_did_not_last_the_waits_go_on_growing() -> None:
    """A server that accepts clients and drops them is not asked every half second."""
    state = state_of()
    now, waits = 100.0, []
    for _ in range(8):
        state.connection_lost(CABLE, now)
        waits.append(state.next_attempt - now)
        state.connected(state.next_attempt)
        now = state.next_attempt + 29
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_after_each_loss_the_time_to_give_up_starts_anew() -> None:
    state = state_of(Backoff(give_up=4))
    state.connection_lost(CABLE, 100)
    state.attempt_failed(CABLE, 103)
    state.connected(104)
    state.connection_lost(CABLE, 105)
    assert (state.error, state.next_attempt) == (None, 107)
    state.attempt_failed(CABLE, 107)
    assert state.error is CABLE


def test_no_attempt_is_made_after_a_stop() -> None:
    """An attempt that was being made then may fail later."""
    stopped = ChatProtocolError("closed")
    state = state_of()
    state.connection_lost(CABLE, 100)
    state.stop(stopped)
    state.attempt_failed(CABLE, 101)
    assert state.error is stopped


# How a connection or an attempt may end, and whether an attempt after it may succeed.
ENDS: list[tuple[ChatProtocolError, bool]] = [
    (ConnectionLostError("cable cut"), True),
    (ChatTimeoutError("it took longer than 30 s"), True),
    (ChatProtocolError("something else"), False),
    *((ConnectionLostError("closed", code), True) for code in ("NEW", ErrorCode.SHUTTING_DOWN)),
    *((ConnectionLostError("closed", code), True) for code in ("", ErrorCode.TOO_MANY)),
    (ConnectionLostError("closed", ErrorCode.SLOW_CONSUMER), True),
    # Another client has taken the name over, and would again.
    (ConnectionLostError("closed", ErrorCode.NAME_IN_USE), False),
    (ConnectionLostError("closed", ErrorCode.AUTH_FAILED), False),
    (ConnectionLostError("closed", "NAME_IN_USE"), False),
    # It may be in use by the connection before.
    (LoginRefusedError(ErrorCode.NAME_IN_USE, "it is taken"), True),
    (LoginRefusedError("NAME_IN_USE", "it is taken"), True),
    (LoginRefusedError(ErrorCode.UNAVAILABLE, "cut off"), True),
    *(
        (LoginRefusedError(code, "no"), False)
        for code in ErrorCode
        if code not in ("NAME_IN_USE", "UNAVAILABLE")
    ),
    (LoginRefusedError("", "no"), False),
    (LoginRefusedError("NEW", "no"), False),
    *((kind(code, "no"), False) for kind in ProtocolError.__subclasses__() for code in ErrorCode),
]


def test_every_kind_of_error_is_in_the_table() -> None:
    kinds = {LocalProtocolError, RemoteProtocolError, ConnectionLostError, LoginRefusedError}
    assert {type(error) for error, _ in ENDS} == {*kinds, ChatTimeoutError, ChatProtocolError}


@pytest.mark.parametrize(("error", "may_succeed"), ENDS, ids=lambda value: repr(value)[:60])
def test_another_attempt_is_made_only_where_it_may_succeed(
    error: ChatProtocolError, may_succeed: bool
) -> None:
    state = state_of()
    state.connection_lost(error, 100)
    assert state.error is (None if may_succeed else error)
    state = state_of()
    state.connection_lost(CABLE, 200)
    state.attempt_failed(error, 201)
    assert state.error is (None if may_succeed else error)


@pytest.mark.parametrize("error", [error for error, _ in ENDS], ids=lambda error: repr(error)[:60])
def test_without_a_backoff_no_attempt_is_made(error: ChatProtocolError) -> None:
    state = state_of(None)
    state.connection_lost(error, 100)
    assert state.error is not None


def test_a_last_attempt_that_took_too_long_means_that_there_is_no_connection() -> None:
    """Or the next call, which takes no time at all, would claim to have timed out."""
    error = ChatTimeoutError("it took longer than 30 s")
    state = state_of(Backoff(give_up=1))
    state.connection_lost(CABLE, 100)
    state.attempt_failed(error, 102)
    assert isinstance(state.error, ConnectionLostError)
    assert state.error.code == ""
    assert state.error.text == "can't connect again: it took longer than 30 s"
    assert state.error.__cause__ is error


@pytest.mark.parametrize("backoff", [None, DEFAULT], ids=["none", "default"])
def test_the_first_attempt_is_the_only_one(backoff: Backoff | None) -> None:
    state = state_of(backoff)
    state.begin(100)
    assert state.next_attempt == 100
    state.attempt_failed(CABLE, 101)
    assert state.error is CABLE


def test_the_first_attempt_may_be_followed_by_others() -> None:
    state = state_of(Backoff(at_start=True, give_up=3))
    state.begin(100)
    for now, wait in ((100, 0.5), (101, 1)):
        state.attempt_failed(CABLE, now)
        assert (state.error, state.next_attempt) == (None, now + wait)
    state.attempt_failed(CABLE, 102)
    assert state.error is CABLE


def test_after_the_first_connection_every_backoff_makes_further_attempts() -> None:
    state = state_of()
    state.begin(100)
    assert state.connected(100) == 0
    state.connection_lost(CABLE, 101)
    assert (state.error, state.next_attempt) == (None, 101.5)


def test_what_ends_the_attempts_ends_those_at_the_start() -> None:
    state = state_of(Backoff(at_start=True))
    state.begin(100)
    refused = LoginRefusedError(ErrorCode.AUTH_FAILED, "wrong password")
    state.attempt_failed(refused, 100)
    assert state.error is refused
