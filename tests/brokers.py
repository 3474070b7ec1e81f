"""A broker with people on it, for tests."""

from chatproto import ChatBroker, Limits, Policy

# The least that there may be.
TIGHT = Limits(max_line=512, queue_bytes=512)


def login(broker: ChatBroker[int], cid: int, name: str) -> None:
    broker.connect(cid, f"peer-{cid}")
    say(broker, cid, f"LOGIN {name}")


def broker_of(*names: str, policy: Policy = Policy(), limits: Limits = Limits()) -> ChatBroker[int]:
    """A broker with connections 1, 2, … logged in under these names, and nothing to report."""
    broker: ChatBroker[int] = ChatBroker(policy=policy, limits=limits)
    for cid, name in enumerate(names, 1):
        login(broker, cid, name)
    broker.take_records()
    assert broker.take_ready() == []
    return broker


def say(broker: ChatBroker[int], cid: int, *commands: str) -> None:
    for command in commands:
        broker.receive(cid, f"CHAT/1.0 {command}\n".encode())


def heard(broker: ChatBroker[int], cid: int) -> list[str]:
    """Write all that is queued for a connection."""
    octets = bytes(broker.outgoing(cid))
    broker.sent(cid, len(octets))
    assert not octets or octets.endswith(b"\n")
    return octets.decode().replace("CHAT/1.0 RECEIVE ", "").splitlines()


def leaves(broker: ChatBroker[int], cid: int) -> bool:
    """Whether a connection is to close now. A polite peer closes as soon as the server does."""
    if broker.take_half_close(cid):
        broker.receive_eof(cid)
    return broker.finished(cid)


def log(broker: ChatBroker[int]) -> list[str]:
    return [str(record) for record in broker.take_records()]
