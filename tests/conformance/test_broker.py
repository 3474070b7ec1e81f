"""The transcripts against brokers in memory. All of them pass, and the table has a row for each.

`tests/adapters/check` plays them over sockets, once with each kind of server.
"""

from pathlib import Path

import pytest

from chatproto import ChatBroker
from chatproto.conformance import Kind, Play, Status, Transcript, load

from .worlds import SETTINGS, BrokerWorld, check_in, play_in

SUITE = load()

# What a server without notices can't show: it answers no requests about groups.
NEEDS_NOTICES = {
    each.name
    for each in SUITE.transcripts
    if each.server in ("", "default", "share", "members", "nobody")
    and any(step.kind is Kind.WRITE and b"*groups*" in step.data for step in each.steps)
}


@pytest.mark.parametrize("transcript", SUITE.transcripts, ids=lambda each: each.name)
def test_transcript(transcript: Transcript) -> None:
    """With notices and without, which is the default of none but one setting."""
    for notices in {True, False} - ({False} if transcript.name in NEEDS_NOTICES else set()):
        if transcript.server == "silent" and notices:
            continue
        broker: ChatBroker[str] = ChatBroker(**{**SETTINGS[transcript.server], "notices": notices})
        play = Play(transcript, "abcde", notices=notices)
        clients = play_in(BrokerWorld(broker), play)
        assert play.verdict is not None
        assert play.verdict.passed, play.verdict.reason
        for each in clients:
            broker.disconnect(each)
        assert broker.snapshot().queued == 0
        assert broker.connections == 0
        assert broker.snapshot().users == 0


def test_a_server_that_runs_is_checked_many_times() -> None:
    """Names and groups of earlier plays are still there."""
    world = BrokerWorld()
    for seed in (0, 1000):
        check = check_in(lambda: world, SUITE, seed)
        assert check.passed
        assert check.notices
        assert {each.row.label for each in check.rows if each.status is Status.PASSED} == set("KFP")


def test_rows_are_those_of_the_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "protocol.md"
    sections = page.read_text(encoding="utf-8").partition("## 4. ")[2]
    table = [line.split(" | ") for line in sections.splitlines() if line.startswith("| ")]
    labels = [
        (last.rstrip(" |")[0], first.removeprefix("| "))
        for first, _, last in table
        if first not in ("| input to the reference server", "| input", "| ---")
    ]
    rows = [(each.label, each.text) for each in SUITE.rows]
    assert rows[: len(labels)] == labels
    # What stands elsewhere on the page, and what that server's own tests ask for.
    assert all(
        text.startswith(("section ", "the published ", "a line "))
        for _, text in rows[len(labels) :]
    )


def test_each_row_has_a_transcript_or_a_reason() -> None:
    assert {each.row for each in SUITE.transcripts} == {
        each.text for each in SUITE.rows if not each.unseen
    }
    for transcript in SUITE.transcripts:
        assert transcript.server in SETTINGS
