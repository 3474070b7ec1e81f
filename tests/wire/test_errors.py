"""chatproto.wire.errors: the codes, the exceptions, and their copies."""

import copy
import pickle

import pytest

from chatproto import (
    ChatProtocolError,
    ChatTimeoutError,
    ConnectionLostError,
    ErrorCode,
    LocalProtocolError,
    LoginRefusedError,
    NotSupportedError,
    ProtocolError,
    RemoteProtocolError,
    RequestRefusedError,
)

# Literally from protocol.md, section 3.
CODES = [
    "MALFORMED",
    "UNSUPPORTED_VERSION",
    "UNSUPPORTED_COMMAND",
    "LINE_TOO_LONG",
    "BAD_NAME",
    "NAME_RESERVED",
    "NAME_IN_USE",
    "NOT_LOGGED_IN",
    "WRONG_DIRECTION",
    "TRUNCATED",
    "NO_SUCH_USER",
    "NO_SUCH_GROUP",
    "GROUP_EXISTS",
    "NOT_A_MEMBER",
    "TOO_MANY",
    "AUTH_FAILED",
    "SLOW_CONSUMER",
    "SHUTTING_DOWN",
]


def test_every_code_of_the_protocol_is_a_member_with_its_name() -> None:
    assert set(CODES) <= set(ErrorCode.__members__)
    assert all(member.value == name for name, member in ErrorCode.__members__.items())


def test_a_code_is_one_ascii_word() -> None:
    assert all(code.isascii() and " " not in code and code for code in ErrorCode)


def test_local_and_remote_faults_have_different_types() -> None:
    assert LocalProtocolError.__bases__ == (ProtocolError,)
    assert RemoteProtocolError.__bases__ == (ProtocolError,)
    assert ProtocolError.__bases__ == (ChatProtocolError,)
    assert ChatProtocolError.__bases__ == (Exception,)


@pytest.mark.parametrize("kind", [LocalProtocolError, RemoteProtocolError])
def test_an_error_has_a_code_and_a_text(kind: type[ProtocolError]) -> None:
    error = kind(ErrorCode.BAD_NAME, "a name is too long")
    assert error.code is ErrorCode.BAD_NAME
    assert error.text == "a name is too long"
    assert str(error) == "BAD_NAME: a name is too long"


def test_a_lost_connection_has_the_code_of_the_servers_notice() -> None:
    error = ConnectionLostError("the server has closed the connection", ErrorCode.SHUTTING_DOWN)
    assert error.text == str(error) == "the server has closed the connection"
    assert error.code is ErrorCode.SHUTTING_DOWN
    assert ConnectionLostError("cable cut").code == ""


def test_a_refused_login_has_the_servers_code_and_text() -> None:
    error = LoginRefusedError(ErrorCode.NAME_IN_USE, "bob is logged in already")
    assert (error.code, error.text) == (ErrorCode.NAME_IN_USE, "bob is logged in already")
    assert str(error) == "NAME_IN_USE: bob is logged in already"


def test_a_refused_request_has_the_servers_code_and_a_text() -> None:
    error = RequestRefusedError(ErrorCode.NOT_ALLOWED, "this server does not let you")
    assert (error.code, error.text) == (ErrorCode.NOT_ALLOWED, "this server does not let you")
    assert str(error) == "NOT_ALLOWED: this server does not let you"


def test_a_refused_login_without_a_code_shows_its_text_only() -> None:
    assert str(LoginRefusedError("", "the server did not say why")) == "the server did not say why"


def test_the_errors_of_clients_are_no_protocol_errors() -> None:
    for kind in (ConnectionLostError, LoginRefusedError, NotSupportedError, RequestRefusedError):
        assert kind.__bases__ == (ChatProtocolError,)
    # `except TimeoutError` catches it too.
    assert ChatTimeoutError.__bases__ == (ChatProtocolError, TimeoutError)


ERRORS: list[ChatProtocolError] = [
    ChatProtocolError("anything"),
    LocalProtocolError(ErrorCode.BAD_NAME, "a name is too long"),
    RemoteProtocolError(ErrorCode.TRUNCATED, "half a line"),
    ConnectionLostError("cable cut"),
    ConnectionLostError("the server has closed the connection", "NEW_CODE"),
    LoginRefusedError(ErrorCode.NAME_IN_USE, "bob is logged in already"),
    RequestRefusedError(ErrorCode.NO_SUCH_GROUP, "there is no group tea"),
    NotSupportedError("this server does not answer"),
    ChatTimeoutError("it took longer than 30 s"),
]


def contents(error: BaseException) -> tuple[object, ...]:
    return type(error), error.args, vars(error), str(error)


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_every_error_can_be_pickled_and_copied(error: ChatProtocolError) -> None:
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert contents(twin) == contents(error)


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_a_copy_of_an_error_is_another_object(error: ChatProtocolError) -> None:
    twin = error.copy()
    assert twin is not error
    assert contents(twin) == contents(error)
    assert twin.__cause__ is None


def test_a_copy_of_an_error_has_the_same_cause_and_no_traceback() -> None:
    cause = ConnectionResetError("reset by peer")
    error = ConnectionLostError("cable cut")
    with pytest.raises(ConnectionLostError):
        raise error from cause
    assert error.__traceback__ is not None
    twin = error.copy()
    assert twin.__cause__ is cause
    assert twin.__traceback__ is None
