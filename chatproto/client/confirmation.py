"""Commands whose sender wants to know whether the server refuses them."""

from ..wire.errors import ChatProtocolError, NotSupportedError, RequestRefusedError
from ..wire.events import Broadcast, Group, Leave, Send
from .group_requests import GroupRequest
from .messages import Notice
from .ping import Ping


class Confirmation:
    """A command, and what the server says about it.

    CHAT/1.0 tells errors and is silent about success (protocol.md, section 3). What proves success
    is the answer to a later request, with no notice before it. A server that answers requests about
    groups also sends notices.

    Args:
        command: The command.
        request: A request that was sent just after it.
        fence: A ping that was sent just before it: notices that arrive earlier are about other
            commands. None if there are no such commands.
    """

    __slots__ = ("_command", "_fence", "_refusal", "_request")

    def __init__(
        self, command: Send | Broadcast | Group | Leave, request: GroupRequest, fence: Ping | None
    ) -> None:
        self._command = type(command).__name__.upper()
        self._request = request
        self._fence = fence
        self._refusal: ChatProtocolError | None = None

    @property
    def ping(self) -> Ping:
        """When it is done, `check` knows whether the server has refused the command."""
        return self._request.ping

    def receive(self, notice: Notice) -> bool:
        """Take a notice.

        Returns:
            Whether it is about this command.
        """
        if (
            self._refusal is not None
            or notice.command != self._command
            or (self._fence is not None and not self._fence.done)
        ):
            return False
        self._refusal = RequestRefusedError(notice.code, notice.text)
        return True

    def check(self) -> None:
        """Return if the server has executed the command. Call it when the ping is done.

        Raises:
            ConnectionLostError: The connection was lost before the ping came back.
            NotSupportedError: The server does not say what it refuses.
            RequestRefusedError: The server has refused the command.
        """
        if self._refusal is not None:
            raise self._refusal.copy()
        try:
            self._request.result()
        except NotSupportedError:
            text = "this was sent, but this server does not say what it refuses"
            raise NotSupportedError(text) from None
