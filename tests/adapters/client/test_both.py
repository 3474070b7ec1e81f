"""The clients of both packages (`client`) have the same methods with the same parameters."""

import inspect

import chatproto_anyio
import chatproto_sync


def parameters(client: type) -> dict[str, list[str]]:
    """The parameters of each public method; none for what is no method."""
    return {
        name: list(inspect.signature(member).parameters) if callable(member) else []
        for name, member in vars(client).items()
        if not name.startswith("_")
    }


def test_both_clients_have_the_same_methods() -> None:
    blocking = parameters(chatproto_sync.Client)
    assert "reply" in blocking
    assert parameters(chatproto_anyio.Client) == blocking
