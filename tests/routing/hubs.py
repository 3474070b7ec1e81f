"""A hub with connections that are logged in, and what the tests do with it."""

from chatproto import (
    Action,
    ChatHub,
    Deliver,
    DuplicateLogin,
    ErrorCode,
    Event,
    Limits,
    Login,
    NameRule,
    Policy,
    Receive,
    Refuse,
)

SHARE = Policy()
REJECT = Policy(duplicate_login=DuplicateLogin.REJECT)
REPLACE = Policy(duplicate_login=DuplicateLogin.REPLACE)
DISTINCT = Policy(names=NameRule.DISTINCT)
POLICIES = [DISTINCT, SHARE, REJECT, REPLACE, Policy.reference()]


def hub_of(*names: str, policy: Policy = SHARE, limits: Limits = Limits()) -> ChatHub[int]:
    """A hub with connections 1, 2, … logged in under these names."""
    hub: ChatHub[int] = ChatHub(policy, limits)
    for cid, name in enumerate(names, 1):
        hub.connect(cid)
        assert hub.handle(cid, Login(name)) == []
    return hub


def delivery(sender: str, data: bytes, *to: int, group: str = "") -> list[Action[int]]:
    """The actions that deliver one message."""
    return [Deliver(to, Receive(sender, data), group)]


def refused(hub: ChatHub[int], cid: int, event: Event) -> ErrorCode:
    """Handle an event that the hub refuses.

    Returns:
        The code of the refusal.
    """
    [action] = hub.handle(cid, event)
    assert isinstance(action, Refuse)
    assert action.cid == cid
    assert action.text
    return action.code
