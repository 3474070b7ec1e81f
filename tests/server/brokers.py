"""A broker with people on it, for tests."""

from chatproto import ChatBroker, CloseReason, Limits, Policy

# The least that there may be. A queue with anything in it is full.
TIGHT = Limits(max_line=512, queue_bytes=512)

# With queues that are soon full, from 1001 octets on, and that open again at 500.
NARROW = Limits(max_line=512, high_water=1000, queue_bytes=5000, drain_rate=1000)


def login(broker: ChatBroker[int], cid: int, name: str) -> None:
    broker.connect(cid, f"peer-{cid}")
    say(broker, cid, f"LOGIN {name}")


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


def say(broker: ChatBroker[int], cid: int, *commands: str) -> None:
    for command in commands:
        broker.receive(cid, f"CHAT/1.0 {command}\n".encode())


def message(sender: str, recipient: str, size: int) -> str:
    """A SEND that takes this many octets in its recipient's queue."""
    return f"SEND {recipient} " + "x" * (size - len(f"CHAT/1.0 RECEIVE {sender} \n"))


def fill(broker: ChatBroker[int], cid: int, sender: str, recipient: str, size: int) -> None:
    """Have a connection send what takes so many octets, at 100 each, in one queue."""
    say(broker, cid, *[message(sender, recipient, 100)] * (size // 100))


def answer(broker: ChatBroker[int], *allowed: bool) -> list[str]:
    """Answer the questions that there are.

    Returns:
        The names that they were about.
    """
    questions = broker.take_questions()
    assert len(questions) == len(allowed)
    for question, verdict in zip(questions, allowed, strict=True):
        broker.answer(question.token, allowed=verdict)
    return [question.name for question in questions]


def settle(broker: ChatBroker[int], *slow: int) -> None:
    """Write all that is queued for all but some connections, until there is nothing to do."""
    ready = list(broker._by_id)
    while ready:
        for cid in ready:
            if cid not in slow:
                broker.sent(cid, len(broker.next_step(cid).write))
        ready = broker.take_ready()


def heard(broker: ChatBroker[int], cid: int) -> list[str]:
    """Write all that is queued for a connection."""
    octets = bytes(broker.next_step(cid).write)
    broker.sent(cid, len(octets))
    assert not octets or octets.endswith(b"\n")
    return octets.decode().replace("CHAT/1.0 RECEIVE ", "").splitlines()


def half_close(broker: ChatBroker[int], cid: int) -> bool:
    """Whether to end our half of the stream to a connection; if so, it is done."""
    if not broker.next_step(cid).half_close:
        return False
    broker.half_closed(cid)
    return True


def leaves(broker: ChatBroker[int], cid: int) -> bool:
    """Whether a connection is to close now. A polite peer closes as soon as the server does."""
    if half_close(broker, cid):
        broker.receive_eof(cid)
    return broker.next_step(cid).close


def reason(broker: ChatBroker[int], cid: int) -> CloseReason:
    """Have a connection go that is to close, and say why it was."""
    before = broker.snapshot().closes
    assert broker.next_step(cid).close
    broker.disconnect(cid)
    [why] = broker.snapshot().closes - before
    return why


def log(broker: ChatBroker[int]) -> list[str]:
    return [str(record) for record in broker.take_log_events()]
