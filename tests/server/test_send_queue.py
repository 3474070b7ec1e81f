"""chatproto.server.send_queue: what to write next of a queue, and what is left after a write."""

import pytest

from chatproto.server.send_queue import PACKED, SMALL, WRITE_SIZE, drop, front, pack


def test_the_front_of_a_short_queue_is_all_of_it() -> None:
    queue = [b"ab", b"c", b"def"]
    assert front(queue) == b"abcdef"
    assert queue == [b"abcdef"]
    assert front(queue) is queue[0]
    assert front([]) == b""


def test_the_front_of_a_long_queue_is_a_part_of_it() -> None:
    queue = [b"x" * 3000] * 40
    part = front(queue)
    assert WRITE_SIZE <= len(part) < WRITE_SIZE + 3000
    assert front(queue) is part
    assert b"".join(queue) == b"x" * 3000 * 40


def test_a_long_queue_is_written_in_parts() -> None:
    queue = [b"%03d" % number * 1000 for number in range(40)]
    whole, stream = b"".join(queue), b""
    while len(part := front(queue)) > 50_000:
        stream += part[:50_000]
        drop(queue, 50_000)
    assert stream + part == whole


def test_a_long_piece_is_not_copied() -> None:
    piece = b"x" * 3 * WRITE_SIZE
    assert front([piece, b"y"]) == piece
    assert front([piece]) is piece


def test_a_write_may_end_inside_any_piece() -> None:
    for size in range(1, 9):
        queue = [b"ab", b"c", b"def", b"ghi"]
        drop(queue, size)
        # A piece that is written is gone.
        assert b"" not in queue
        assert front(queue) == b"abcdefghi"[size:]


@pytest.mark.parametrize(("size", "packed"), [(1, True), (SMALL - 1, True), (SMALL, False)])
def test_small_pieces_at_the_end_are_joined(size: int, packed: bool) -> None:
    queue: list[bytes] = []
    for _ in range(3 * PACKED):
        queue.append(b"x" * size)
        pack(queue)
    assert b"".join(queue) == b"x" * size * 3 * PACKED
    assert (len(queue) < 2 * PACKED) is packed


def test_so_many_pieces_are_joined_at_once() -> None:
    queue = [b"x"] * (PACKED - 1)
    pack(queue)
    assert len(queue) == PACKED - 1
    queue.append(b"y")
    pack(queue)
    assert queue == [b"x" * (PACKED - 1) + b"y"]


def test_long_and_short_pieces_in_turns_are_judged_together() -> None:
    queue: list[bytes] = []
    for _ in range(PACKED):
        queue += [b"x" * 25, b"x" * 130]
        pack(queue)
    assert len(queue) <= PACKED + 1


def test_nothing_is_joined_in_an_empty_queue() -> None:
    queue: list[bytes] = []
    pack(queue)
    assert queue == []
