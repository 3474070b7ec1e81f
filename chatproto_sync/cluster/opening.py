"""Making a server one node of a chat of many, as the parameters of `Server` say."""

import os
import socket

from .url import RedisURL, parse_redis_url


def check_cluster(
    cluster: str | None,
    password: str | None,
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
        for name, value in (("node", node), ("cluster_password", password)):
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
    return parse_redis_url(cluster, password)


def default_node(port: int) -> str:
    """A name for a node that has none: the host and the TCP port.

    Args:
        port: The port; 0 if it is not known yet or there is none. Then the id of the process is in
            its place.
    """
    return f"{socket.gethostname()}:{port or os.getpid()}"
