"""Why a connection has ended."""

from enum import StrEnum


class CloseReason(StrEnum):
    """Why the server has closed a connection, or found it closed. The value is fit for a log."""

    LOGGED_OUT = "logged out"
    """The client has sent LOGOUT."""

    EOF = "end of stream"
    """The client has closed without LOGOUT."""

    LOST = "connection lost"
    """The transport failed: a reset, or no way to reach the peer."""

    BAD_LINES = "too many bad lines"
    """The client has sent `Limits.bad_lines` bad lines in a row."""

    REPLACED = "replaced"
    """Another connection has taken the name over (`DuplicateLogin.REPLACE`)."""

    SLOW_CONSUMER = "slow consumer"
    """The client has not taken what was queued for it `Limits.queue_age` seconds ago."""

    FULL_QUEUE = "slow consumer, its queue is full"
    """More than `Limits.queue_bytes` bytes were queued for the client."""

    FULL_QUEUES = "slow consumer, all queues together are full"
    """All queues together exceeded `Limits.total_queue_bytes`. This was one of the longest."""

    BANNED = "banned"
    """The server's operators have banned the name, the address or its network."""

    KICKED = "kicked"
    """The server's operators, or one of their rules, have ended the connection."""

    UNAVAILABLE = "cut off from the other servers"
    """The servers of a chat of many could not reach one another, so nobody knows what has become of
    what the client sent last."""

    SHUTTING_DOWN = "shutting down"
    """The server shuts down."""

    TOO_MANY_CONNECTIONS = "too many connections"
    """The server has `Limits.max_connections` connections already."""

    TOO_MANY_FROM_ADDRESS = "too many connections from one address"
    """The client's network has `Limits.max_connections_per_address` connections already."""

    HANDSHAKE_TIMEOUT = "no TLS handshake in time"
    """The TLS handshake took longer than `Limits.handshake_timeout` seconds."""

    HANDSHAKE_FAILED = "TLS handshake failed"
    """The TLS handshake has failed. The log says why, in OpenSSL's words."""

    PLAINTEXT = "CHAT/1.0 without TLS, on a port with TLS"
    """The client speaks CHAT/1.0 without TLS, and has to use TLS. The log tells of it as of a
    handshake that failed."""

    TOO_MANY_HANDSHAKES = "too many unfinished TLS handshakes"
    """There were more than `Limits.max_handshakes` unfinished TLS handshakes."""

    LOGIN_TIMEOUT = "no login in time"
    """The client has not logged in within `Limits.login_timeout` seconds."""

    HTTP = "HTTP, not CHAT/1.0"
    """A web page, or a program that looks for web servers."""

    TLS = "TLS on a port without TLS"
    """The client begins a TLS handshake, and the server has no certificate."""

    SSH = "SSH, not CHAT/1.0"
    """A program that looks for SSH servers, or a wrong port."""

    PROXY = "a PROXY header that is not expected"
    """A balancer sends it, and the server is not told to expect it from there."""

    PROXY_HEADER_TIMEOUT = "no PROXY header in time"
    """A balancer, or somebody else in its network, has sent no PROXY header within
    `Limits.handshake_timeout` seconds."""

    BAD_PROXY_HEADER = "bad PROXY header"
    """A balancer, or somebody else in its network, does not begin as it has to. The log says what
    is wrong."""

    FOREIGN = "another protocol, not CHAT/1.0"
    """Any other protocol that can be made to carry lines."""
