"""Mails as their reader gets them. Private names."""

import pytest

from chatproto.cluster.mail import (
    Kick,
    Messages,
    OutgoingMail,
    Returned,
    Signal,
    Tracked,
    parse_mail,
)


def test_all_frames() -> None:
    mail = parse_mail(
        b"a#1 3 2 17\n17 3\nhi\n17,18 3 5\nhi\n4 3 * tea\nhi\nF 1\nR 2\nS 3\nB 6 7 2\nK 8 3\nbye"
    )
    assert (mail.node, mail.seq, mail.ack, mail.position) == ("a#1", 3, 2, 17)
    assert mail.frames == [
        Messages([b"17"], b"", "", b"hi\n"),
        Messages([b"17", b"18"], b"5", "", b"hi\n"),
        Messages([b"4"], b"", "tea", b"hi\n"),
        Signal(b"F", 1),
        Signal(b"R", 2),
        Signal(b"S", 3),
        Returned(6, 7, 2),
        Kick(8, "bye"),
    ]


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"a#1 1 0 0",
        b"a#1 1 0\n",
        b"a#1 x 0 0\n",
        b"a#1 1 0 0\nx\n",
        b"a#1 1 0 0\n1 x\n",
    ],
)
def test_mails_that_are_none(entry: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words depend on the mail
        parse_mail(entry)


def test_what_has_become_of_messages_is_known_once() -> None:
    mail = OutgoingMail()
    one, two = Tracked("alice", "bob", 1), Tracked("alice", "carol", 2)
    mail.add_messages(b"1", b"hi\n", one)
    mail.add_messages(b"2,3", b"hi\nho\n", two)
    assert len(list(mail.take(b"a#1", 0, 0))) == 1
    assert list(mail.unacknowledged()) == [(one, 1, 1), (two, 2, 2)]
    assert mail.returned(Returned(1, 1, 1)) == (two, 2)
    # The acknowledgement may come later than that.
    assert list(mail.unacknowledged()) == [(one, 1, 1)]
    for frame in (Returned(1, 1, 1), Returned(1, 2, 1), Returned(1, -1, 1), Returned(2, 0, 1)):
        assert mail.returned(frame) is None
