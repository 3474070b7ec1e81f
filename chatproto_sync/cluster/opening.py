"""Making a server one node of a chat of many, as the parameters of `Server` say."""

import os
import secrets
import socket
from typing import TYPE_CHECKING

from chatproto import Cluster, ClusterError

from .url import RedisURL, parse_redis_url

if TYPE_CHECKING:
    from .transport import RedisTransport


def check_cluster(
    cluster: str | None,
    password: str | None,
    sentinel_password: str | None,
    node: str | None,
    node_timeout: float,
    patience: float,
    state: str | os.PathLike[str] | None,
) -> RedisURL | None:
    """Check the parameters of `Server` that concern the cluster.

    Returns:
        Where its Redis is; None for a server without a cluster.

    Raises:
        ValueError: They make no sense.
    """
    if cluster is None:
        given = {
            "node": node,
            "cluster_password": password,
            "sentinel_password": sentinel_password,
        }
        for name, value in given.items():
            if value is not None:
                raise ValueError(f"{name} has no use without cluster")
        return None
    # The condition is written so that NaN fails it.
    if not (node_timeout > 0 and patience > 0):
        raise ValueError("node_timeout and patience are more than 0 seconds")
    if state is not None:
        raise ValueError(
            "state and cluster exclude each other: a cluster keeps its groups in Redis"
        )
    return parse_redis_url(cluster, password, sentinel_password)


def default_node(port: int) -> str:
    """A name for a node that has none: the host and the TCP port.

    Args:
        port: The port; 0 if it is not known yet or there is none. Then the id of the process is in
            its place.
    """
    return f"{socket.gethostname()}:{port or os.getpid()}"


def make_transport(
    url: RedisURL, node: str, node_timeout: float, patience: float
) -> "RedisTransport":
    """Make a cluster of this node, and what connects it to Redis. Its `join` connects.

    Args:
        url: Where Redis is, and which chat is meant.
        node: The name of the node.
        node_timeout: See `Cluster`.
        patience: See `Cluster`.

    Raises:
        ClusterError: hiredis is not installed.
        ValueError: There can't be a node of that name.
    """
    try:
        # Imported here, because a server without a cluster does not need hiredis.
        from .transport import RedisTransport
    except ModuleNotFoundError as error:
        if error.name != "hiredis":
            raise
        raise ClusterError(
            "a cluster needs the package hiredis: pip install 'chatproto-sansio[cluster]', or"
            " '.[cluster]' in a checkout"
        ) from None
    cluster = Cluster(
        node, token=secrets.token_hex(8), node_timeout=node_timeout, patience=patience
    )
    return RedisTransport(cluster, url, node_timeout)
