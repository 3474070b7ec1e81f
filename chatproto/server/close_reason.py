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
    """The bound is `Limits.bad_lines`."""

    REPLACED = "replaced"
    """Another connection has taken the name over (`DuplicateLogin.REPLACE`)."""

    SLOW_CONSUMER = "slow consumer"
    """The bound is `Limits.queue_age`."""

    FULL_QUEUE = "slow consumer, its queue is full"
    """The bound is `Limits.queue_bytes`."""

    FULL_QUEUES = "slow consumer, all queues together are full"
    """The bound is `Limits.total_queue_bytes`."""

    SHUTTING_DOWN = "shutting down"
    """The server shuts down."""

    TOO_MANY_CONNECTIONS = "too many connections"
    """The bound is `Limits.max_connections`."""

    TOO_MANY_FROM_ADDRESS = "too many connections from one address"
    """The bound is `Limits.max_connections_per_address`."""

    HANDSHAKE_TIMEOUT = "no TLS handshake in time"
    """The bound is `Limits.handshake_timeout`."""

    HANDSHAKE_FAILED = "TLS handshake failed"
    """The log says why, in OpenSSL's words."""

    PLAINTEXT = "CHAT/1.0 without TLS, on a port with TLS"
    """The client has to use TLS. The log tells of it as of a handshake that failed."""

    TOO_MANY_HANDSHAKES = "too many unfinished TLS handshakes"
    """The bound is `Limits.max_handshakes`."""

    LOGIN_TIMEOUT = "no login in time"
    """The bound is `Limits.login_timeout`."""

    HTTP = "HTTP, not CHAT/1.0"
    """A web page, or a program that looks for web servers. See `foreign`."""

    TLS = "TLS on a port without TLS"
    """The client begins a TLS handshake, and the server has no certificate."""

    SSH = "SSH, not CHAT/1.0"
    """A program that looks for SSH servers, or a wrong port."""

    PROXY = "a PROXY header that is not expected"
    """A balancer sends it, and the server is not told to expect it from there."""

    PROXY_HEADER_TIMEOUT = "no PROXY header in time"
    """A balancer, or somebody else in its network, has not sent one. The bound is
    `Limits.handshake_timeout`."""

    BAD_PROXY_HEADER = "bad PROXY header"
    """A balancer, or somebody else in its network, does not begin as it has to. The log says what
    is wrong."""

    FOREIGN = "another protocol, not CHAT/1.0"
    """Any other protocol that can be made to carry lines."""
