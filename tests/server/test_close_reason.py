"""chatproto.server.close_reason: the values are fit for a log."""

from chatproto import CloseReason


def test_every_reason_has_its_own_words() -> None:
    """Two names of one value would be one reason, and be counted as one."""
    assert len(CloseReason) == len(CloseReason.__members__)
    assert all(reason.isprintable() and reason for reason in CloseReason)
