"""chatproto._errors: codes and exceptions."""

import copy
import pickle

import pytest

from chatproto import (
    ChatProtocolError,
    ErrorCode,
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
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


def test_every_code_of_the_protocol_is_there_under_its_own_name() -> None:
    assert set(CODES) <= set(ErrorCode.__members__)
    assert all(member.value == name for name, member in ErrorCode.__members__.items())


def test_a_code_is_one_word_that_a_notice_can_hold() -> None:
    assert all(code.isascii() and " " not in code and code for code in ErrorCode)


def test_local_and_remote_faults_are_told_apart() -> None:
    assert LocalProtocolError.__bases__ == (ProtocolError,)
    assert RemoteProtocolError.__bases__ == (ProtocolError,)
    assert ProtocolError.__bases__ == (ChatProtocolError,)
    assert ChatProtocolError.__bases__ == (Exception,)


@pytest.mark.parametrize("kind", [LocalProtocolError, RemoteProtocolError])
def test_an_error_tells_its_code_and_its_words(kind: type[ProtocolError]) -> None:
    error = kind(ErrorCode.BAD_NAME, "a name is too long")
    assert error.code is ErrorCode.BAD_NAME
    assert error.text == "a name is too long"
    assert str(error) == "BAD_NAME: a name is too long"


@pytest.mark.parametrize("kind", [LocalProtocolError, RemoteProtocolError])
def test_an_error_crosses_process_borders(kind: type[ProtocolError]) -> None:
    error = kind(ErrorCode.TRUNCATED, "half a line")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(twin), twin.code, twin.text) == (kind, error.code, error.text)
