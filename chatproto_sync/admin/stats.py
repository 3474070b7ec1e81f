"""Numbers about a server, for those who run it."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from chatproto import ClusterCounters, Counters, Health, __version__


def stats_of(
    counters: Counters, health: Health, cluster: ClusterCounters | None
) -> Mapping[str, Any]:
    """What a server has done and what it holds, ready for JSON.

    Args:
        counters: Its counters.
        health: Whether it listens, shuts down or hangs.
        cluster: The counters of the cluster; None without one.

    Returns:
        Texts, numbers, and mappings of such by name.
    """
    found: dict[str, Any] = {"version": __version__, "status": health.status.value}
    for each in fields(counters):
        value = getattr(counters, each.name)
        if isinstance(value, int):
            found[each.name] = value
    found["refusals"] = {code.value: count for code, count in sorted(counters.refusals.items())}
    found["closes"] = {reason.value: count for reason, count in sorted(counters.closes.items())}
    if cluster is not None:
        found["cluster"] = {
            each.name: getattr(cluster, each.name)
            for each in fields(cluster)
            if isinstance(getattr(cluster, each.name), str | int | float)
        }
    return found
