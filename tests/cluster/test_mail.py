"""Mails as their reader gets them. Private names."""

import pytest

from chatproto.cluster.mail import Kick, Messages, Returned, Signal, parse_mail


def test_all_frames() -> None:
    mail = parse_mail(
        b"a#1 3 2 17\n17 3\nhi\n17,18 3 5\nhi\n4 3 * tea\nhi\nF 1\nR 2\nS 3\nB 6 7\nK 8 3\nbye"
    )
    assert (mail.node, mail.seq, mail.ack, mail.position) == ("a#1", 3, 2, 17)
    assert mail.frames == [
        Messages([b"17"], b"", "", b"hi\n"),
        Messages([b"17", b"18"], b"5", "", b"hi\n"),
        Messages([b"4"], b"", "tea", b"hi\n"),
        Signal(b"F", 1),
        Signal(b"R", 2),
        Signal(b"S", 3),
        Returned(6, 7),
        Kick(8, "bye"),
    ]


@pytest.mark.parametrize(
    "entry",
    [b"", b"a#1 1 0 0", b"a#1 1 0\n", b"a#1 x 0 0\n", b"a#1 1 0 0\nx\n", b"a#1 1 0 0\n1 x\n"],
)
def test_mails_that_are_none(entry: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words depend on the mail
        parse_mail(entry)
