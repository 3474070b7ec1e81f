"""chatproto.server.work: the counts of a turn and of a round."""

from chatproto.server.work import ROUND, TURN, Work


def test_work_is_charged_to_the_turn_and_the_round() -> None:
    work = Work()
    work.charge(3)
    work.turn = 0
    work.charge(2)
    assert (work.turn, work.round) == (2, 5)


def test_a_round_has_room_for_several_turns() -> None:
    """Or one connection could keep all others from resuming, round after round."""
    assert ROUND >= 2 * TURN
