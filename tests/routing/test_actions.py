"""chatproto.routing.actions: actions are values."""

from chatproto import Action, Deliver, Disconnect, ErrorCode, Receive, Refuse

MESSAGE = Receive("alice", b"hi")


def test_actions_are_compared_by_value() -> None:
    assert Deliver((1, 2), MESSAGE) == Deliver((1, 2), MESSAGE) != Deliver((2, 1), MESSAGE)
    refusal = Refuse(1, ErrorCode.NO_SUCH_USER, "who?")
    assert refusal == Refuse(1, ErrorCode.NO_SUCH_USER, "who?") != Refuse(2, *astuple(refusal))
    assert Disconnect(1, None) == Disconnect(1, None) != Disconnect(1, ErrorCode.NAME_IN_USE)


def astuple(refusal: Refuse[int]) -> tuple[ErrorCode, str]:
    return refusal.code, refusal.text


def test_the_type_of_the_id_may_be_given() -> None:
    actions: list[Action[int]] = [
        Deliver[int]((1,), MESSAGE),
        Refuse[int](1, ErrorCode.BAD_NAME, "no"),
        Disconnect[int](1, None),
    ]
    assert actions == [
        Deliver((1,), MESSAGE),
        Refuse(1, ErrorCode.BAD_NAME, "no"),
        Disconnect(1, None),
    ]
