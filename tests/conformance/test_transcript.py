"""chatproto.conformance.transcript: how transcripts are read, and their vectors."""

import json
import runpy
from pathlib import Path

import pytest

from chatproto.conformance import MARK, Kind, Side, Step, load, parse_transcript

DOCS = Path(__file__).parents[2] / "docs"


def steps_of(*lines: str) -> list[Step]:
    return list(parse_transcript("name", "row: r\n\n" + "\n".join(lines)).steps)


@pytest.mark.parametrize(
    ("line", "kind", "data"),
    [
        ("alice +", Kind.CONNECT, b""),
        ("alice + alice°", Kind.LOGIN, b"alice" + MARK),
        ("alice = alice°", Kind.WAIT, b"alice" + MARK),
        ("alice ~ alice°", Kind.DISCARD, b"alice" + MARK),
        ("alice > SEND bob°␣␣hi", Kind.WRITE, b"CHAT/1.0 SEND bob%b  hi\n" % MARK),
        (r"alice >> {a\n*2}°\xff\r\n", Kind.WRITE, b"a\na\n%b\xff\r\n" % MARK),
        ("alice >|", Kind.END, b""),
        ("alice >!", Kind.RESET, b""),
        ("alice ||", Kind.PAUSE, b""),
        ("alice < RECEIVE bob° hi", Kind.READ, b"CHAT/1.0 RECEIVE bob%b hi\n" % MARK),
        (r"alice << a\x00\n", Kind.READ, b"a\x00\n"),
        (r"alice <~ {a\n*2}", Kind.UNORDERED, b"a\na\n"),
        ("alice <? BAD_NAME LOGIN", Kind.NOTICE, b"BAD_NAME LOGIN"),
        ("alice <|", Kind.CLOSED, b""),
        ("alice ~|", Kind.DISCARD_CLOSED, b""),
    ],
)
def test_steps(line: str, kind: Kind, data: bytes) -> None:
    assert steps_of(line) == [Step("alice", kind, data, 1, line)]


def test_a_step_many_times() -> None:
    line = r"alice*3 >> x\n"
    assert steps_of(line) == [Step("alice", Kind.WRITE, b"x\n", 3, line)]


def test_header() -> None:
    transcript = parse_transcript("name", "row: a: b\ncase: c\nserver: default\n\nalice +\n")
    assert (transcript.row, transcript.case, transcript.server) == ("a: b", "c", "default")


@pytest.mark.parametrize(
    "line", ["alice", "alice ?? x", "alice >| x", "two words > x", "alice <|x"]
)
def test_not_a_step(line: str) -> None:
    with pytest.raises(ValueError, match="name: not a step: "):
        steps_of(line)


def test_a_header_without_a_row() -> None:
    with pytest.raises(ValueError, match="name: the header has no row"):
        parse_transcript("name", "case: c\n\nalice +\n")


@pytest.mark.parametrize("side", Side)
def test_the_mark_is_in_no_data_by_accident(side: Side) -> None:
    for transcript in load(side).transcripts:
        for step in transcript.steps:
            assert step.data.count(b"-00000") == step.data.count(MARK)
            assert b"sentinel" not in step.data


@pytest.mark.parametrize("side", Side)
def test_vectors_are_up_to_date(side: Side) -> None:
    script = runpy.run_path(str(DOCS / "conformance_vectors.py"))
    path = script["FOLDER"] / f"{side.value}.json"
    assert path.read_text(encoding="utf-8") == script["vectors"](side), (
        "run .venv/bin/python docs/conformance_vectors.py"
    )


def test_vectors_have_everything() -> None:
    suite = load()
    vectors = json.loads(json.dumps(suite.vectors()))
    assert len(vectors["transcripts"]) == len(suite.transcripts)
    for transcript, vector in zip(suite.transcripts, vectors["transcripts"], strict=True):
        for step, (client, kind, data, times) in zip(
            transcript.steps, vector["steps"], strict=True
        ):
            assert (client, Kind(kind)) == (step.client, step.kind)
            assert (data.encode("latin-1"), times) == (step.data, step.times)


def test_script_writes_the_vectors(tmp_path: Path) -> None:
    script = runpy.run_path(str(DOCS / "conformance_vectors.py"))
    script["write"](tmp_path)
    for side in Side:
        path = tmp_path / f"{side.value}.json"
        assert path.read_text(encoding="utf-8") == script["vectors"](side)
