"""What a server has done and what it holds, in numbers."""

from collections import Counter
from dataclasses import dataclass, field

from ..wire.errors import ErrorCode
from .close_reason import CloseReason
from .lag import LagHistogram


@dataclass(slots=True)
class Counters:
    """What has happened since the broker was made, and what there is now."""

    connections: int = 0
    """Connections now."""

    users: int = 0
    """Names that are logged in now."""

    groups: int = 0
    """Groups now."""

    queued: int = 0
    """Bytes kept now: send queues, and what waiting connections have sent."""

    waiting: int = 0
    """Senders that wait now because a queue is full."""

    accepted: int = 0
    """Connections accepted."""

    logins: int = 0
    """LOGINs executed."""

    messages: int = 0
    """SENDs to others and BROADCASTs, if they had a recipient. A SEND to the sender's own name, as
    clients use it to see whether the server answers, is only one of the deliveries."""

    deliveries: int = 0
    """Messages added to recipients' queues. A broadcast counts once for each recipient."""

    paused: int = 0
    """Times that a connection had to wait because of `Limits.rate`."""

    bytes_received: int = 0
    """Bytes read."""

    bytes_sent: int = 0
    """Bytes written."""

    refusals: Counter[ErrorCode] = field(default_factory=Counter)
    """Lines refused, by code, whether or not a notice was sent."""

    closes: Counter[CloseReason] = field(default_factory=Counter)
    """Connections ended, by reason."""

    lag: LagHistogram = field(default_factory=LagHistogram)
    """For how long no further connection was served, as `ChatBroker.note_lag` was told."""
