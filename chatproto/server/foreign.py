"""Other protocols: clients that speak one of them, and may carry CHAT/1.0 without knowing it.

Theory of operation
===================

A browser sends what a web page says to any address that the browser can reach, such as a server on
the same machine: a form's POST needs nobody's permission. Its body can hold whole lines of
CHAT/1.0, and the lines of its header before that are only a few bad lines. The same holds for other
protocols in which somebody else chooses a part of what a program sends: names in a TLS handshake,
requests to media servers, credentials for a relay of calls, queries to a database.

Each of these protocols begins in its own way. So before the first LOGIN, the server looks at each
bad line, and at the beginning of an unfinished one. If the line belongs to another protocol, the
server ends the connection. It executes nothing behind that line, and writes nothing that a page
could read.
"""

import re
from typing import Final

from .close_reason import CloseReason

BEGINNING: Final = 64
"""How many bytes of an unfinished line are enough to tell its protocol."""

_BEGINNINGS: Final = tuple(
    (re.compile(pattern, re.DOTALL), reason)
    for pattern, reason in (
        # A request (RFC 9112, section 3) or a line of a header (section 5). Other methods need
        # the permission of a server, which a browser asks for with OPTIONS.
        (rb"(GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI) \S", CloseReason.HTTP),
        (rb"(?!CHAT/)[!-~]+ \S+ HTTP/\d", CloseReason.HTTP),
        (rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:", CloseReason.HTTP),
        # A record of TLS with a handshake in it (RFC 8446, section 5.1).
        (rb"\x16\x03", CloseReason.TLS),
        # RFC 4253, section 4.2.
        (rb"SSH-", CloseReason.SSH),
        # Version 1 of the PROXY protocol. Version 2 begins with lines, and this is its third one.
        (rb"PROXY (TCP|UNKNOWN)|\x00\n", CloseReason.PROXY),
        # RTSP, SIP, ICAP and other protocols that are built like HTTP.
        (rb"(?!CHAT/)[!-~]+ \S+ (?!CHAT/)[A-Z]+/\d", CloseReason.FOREIGN),
        # A zero byte near the beginning, where lengths and versions are: STUN and TURN, with a
        # length in front or without (RFC 8489, section 5; RFC 4571); PostgreSQL and most other
        # databases; AMQP, MQTT, RPC, SMB. Nobody types one.
        (rb"(?!CHAT/).{0,15}\x00[^\r]", CloseReason.FOREIGN),
        # The cookie of STUN, and a bind to LDAP (RFC 4511, section 4.2), which may lack a zero.
        (rb".{4}(.{2})?\x21\x12\xa4\x42|0.{1,5}\x02\x01.\x60", CloseReason.FOREIGN),
        # Redis, memcached, git, and what curl sends for dict://.
        (rb"[*$]\d+\n", CloseReason.FOREIGN),
        (rb"(set|add|replace|append|prepend|cas) \S+ \d+ \d+ \d+", CloseReason.FOREIGN),
        (rb"[0-9a-f]{4}git-|CLIENT libcurl ", CloseReason.FOREIGN),
    )
)


def foreign_protocol(line: bytes) -> CloseReason | None:
    """Which other protocol a bad line belongs to. The line may be unfinished.

    Args:
        line: The line, with its LF if it is whole. It is no command of CHAT/1.0.

    Returns:
        The reason to close the connection; None when it may be somebody's mistake.
    """
    for pattern, reason in _BEGINNINGS:
        if pattern.match(line):
            return reason
    return None
