"""`chatproto.testing.link`: one connection in memory, and what bounds it."""

import pytest

from chatproto.testing.link import CAPACITY, Link


@pytest.fixture
def link() -> Link:
    return Link("here", lambda: None)


def test_both_directions_are_bounded(link: Link) -> None:
    data = b"x" * CAPACITY
    assert (link.can_send, link.can_receive) == (True, False)
    assert (link.send(data[:-1]), link.write(data[:-1])) == (CAPACITY - 1, CAPACITY - 1)
    assert (link.send(b"ab"), link.write(b"ab")) == (1, 1)
    assert (link.send(b"b"), link.write(b"b")) == (0, 0)
    assert (link.can_send, link.can_receive) == (False, True)
    assert link.receive(10) == b"x" * 10
    assert (link.send(b"b"), link.write(b"b")) == (0, 1)


@pytest.mark.parametrize(("speed", "per_second"), [(0, 0), (0.5, 0.5), (100, 100)])
def test_a_client_takes_so_much_a_second(link: Link, speed: float, per_second: float) -> None:
    link.set_speed(speed)
    taken = 0
    for _ in range(100):
        taken += link.write(b"x" * 50)
        link.pass_time(0.1)
    assert taken == pytest.approx(10 * per_second, abs=per_second / 5 + 1)
    # What is not taken in one second can't be taken later in addition.
    link.pass_time(100)
    assert link.write(b"x" * 1000) <= max(per_second, 1)


def test_the_end_comes_after_all_that_was_written(link: Link) -> None:
    link.write(b"last")
    link.server_closed = True
    assert (link.receive(2), link.receive(9), link.receive(9)) == (b"la", b"st", b"")
    assert link.send(b"nobody reads it") == 15
    assert not link.to_server


def test_the_end_does_not_arrive_where_nothing_does(link: Link) -> None:
    link.set_speed(0)
    link.server_closed = True
    assert (link.can_receive, link.receive(9)) == (False, None)


def test_nobody_reads_what_comes_after_a_close(link: Link) -> None:
    link.write(b"unread")
    link.close()
    assert link.write(b"x" * (2 * CAPACITY)) == 2 * CAPACITY
    assert not link.to_client


def test_a_loss_takes_everything_with_it(link: Link) -> None:
    link.write(b"unread")
    link.send(b"unread")
    link.lose()
    assert not link.to_server
    assert not link.to_client
    assert (link.can_receive, link.can_send) == (True, True)
    for operation in (lambda: link.receive(9), lambda: link.send(b"more")):
        with pytest.raises(ConnectionResetError):
            operation()
