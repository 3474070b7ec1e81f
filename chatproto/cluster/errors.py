"""What can go wrong between the nodes of a cluster."""

from ..wire.errors import ChatProtocolError


class ClusterError(ChatProtocolError):
    """A node can't be part of its chat. The words say why, and what to do."""
