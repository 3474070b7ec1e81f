"""A broker with clients that are logged in, and what the tests do with it."""

from collections.abc import Collection

from chatproto import ChatBroker, CloseReason, Limits, Policy

# The smallest limits. A queue with anything in it is full.
TIGHT = Limits(max_line=512, queue_bytes=512)

# A queue is full from 1,001 bytes on, until 500 or fewer are left.
NARROW = Limits(max_line=512, high_water=1000, queue_bytes=5000, drain_rate=1000)


def login(broker: ChatBroker[int], cid: int, name: str) -> None:
    """Connect, and send a LOGIN."""
    broker.connect(cid, f"peer-{cid}")
    send(broker, cid, f"LOGIN {name}")


def broker_of(
    *names: str, policy: Policy = Policy(), limits: Limits = Limits(), ask: bool = False
) -> ChatBroker[int]:
    """A broker with connections 1, 2, … logged in under these names, and nothing to report."""
    broker: ChatBroker[int] = ChatBroker(policy=policy, limits=limits, ask=ask)
    for cid, name in enumerate(names, 1):
        login(broker, cid, name)
    if ask:
        answer(broker, *[True] * len(names))
        broker.take_ready()
    broker.take_log_events()
    assert broker.take_ready() == []
    return broker


def send(broker: ChatBroker[int], cid: int, *commands: str) -> None:
    """Let a client send commands, each in a read of its own."""
    for command in commands:
        broker.receive(cid, f"CHAT/1.0 {command}\n".encode())


def message(sender: str, recipient: str, size: int) -> str:
    """A SEND that takes this many bytes in its recipient's queue."""
    return f"SEND {recipient} " + "x" * (size - len(f"CHAT/1.0 RECEIVE {sender} \n"))


def fill(broker: ChatBroker[int], cid: int, sender: str, recipient: str, size: int) -> None:
    """Let a client send messages of 100 bytes, this many bytes in all."""
    send(broker, cid, *[message(sender, recipient, 100)] * (size // 100))


def answer(broker: ChatBroker[int], *allowed: bool) -> list[str]:
    """Answer the open questions.

    Returns:
        The names that they were about.
    """
    questions = broker.take_questions()
    assert len(questions) == len(allowed)
    for question, verdict in zip(questions, allowed, strict=True):
        broker.answer(question.token, allowed=verdict)
    return [question.name for question in questions]


def flush(broker: ChatBroker[int], *, slow: Collection[int] = ()) -> None:
    """Write all queues but those of slow connections, until no other connection is ready."""
    ready = list(broker._by_id)
    while ready:
        for cid in ready:
            if cid not in slow:
                broker.sent(cid, len(broker.next_step(cid).write))
        ready = broker.take_ready()


def received(broker: ChatBroker[int], cid: int) -> list[str]:
    """Write a connection's queue.

    Returns:
        What its client receives: the sender and the data of each message.
    """
    data = bytes(broker.next_step(cid).write)
    broker.sent(cid, len(data))
    assert not data or data.endswith(b"\n")
    return data.decode().replace("CHAT/1.0 RECEIVE ", "").splitlines()


def half_close(broker: ChatBroker[int], cid: int) -> bool:
    """End our half of a stream, if the broker asks for that now.

    Returns:
        Whether it did.
    """
    if not broker.next_step(cid).half_close:
        return False
    broker.half_closed(cid)
    return True


def wants_close(broker: ChatBroker[int], cid: int) -> bool:
    """Whether the broker wants a transport closed, once the peer has ended its half like us."""
    if half_close(broker, cid):
        broker.receive_eof(cid)
    return broker.next_step(cid).close


def close_reason(broker: ChatBroker[int], cid: int) -> CloseReason:
    """Close a transport that the broker wants closed.

    Returns:
        The reason that the broker counts.
    """
    before = broker.snapshot().closes
    assert broker.next_step(cid).close
    broker.disconnect(cid)
    [reason] = broker.snapshot().closes - before
    return reason


def log(broker: ChatBroker[int]) -> list[str]:
    """The lines of the log since the last call."""
    return [str(event) for event in broker.take_log_events()]
