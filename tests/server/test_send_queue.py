"""chatproto.server.send_queue: what is to be written next of a queue, and what is left of it."""

from chatproto.server.send_queue import WRITE_SIZE, drop, front


def test_all_of_a_short_one_is_written_next() -> None:
    outbox = [b"ab", b"c", b"def"]
    assert front(outbox) == b"abcdef"
    assert outbox == [b"abcdef"]
    assert front(outbox) is outbox[0]
    assert front([]) == b""


def test_not_all_of_a_long_one() -> None:
    outbox = [b"x" * 3000] * 40
    part = front(outbox)
    assert WRITE_SIZE <= len(part) < WRITE_SIZE + 3000
    assert front(outbox) is part
    assert b"".join(outbox) == b"x" * 3000 * 40


def test_a_long_one_is_written_in_parts() -> None:
    outbox = [b"%03d" % number * 1000 for number in range(40)]
    whole, stream = b"".join(outbox), b""
    while len(part := front(outbox)) > 50_000:
        stream += part[:50_000]
        drop(outbox, 50_000)
    assert stream + part == whole


def test_what_is_long_already_is_not_copied() -> None:
    piece = b"x" * 3 * WRITE_SIZE
    assert front([piece, b"y"]) == piece
    assert front([piece]) is piece


def test_what_is_written_may_end_in_any_piece() -> None:
    for size in range(1, 9):
        outbox = [b"ab", b"c", b"def", b"ghi"]
        drop(outbox, size)
        assert front(outbox) == b"abcdefghi"[size:]
