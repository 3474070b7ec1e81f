"""chatproto_anyio.cli.chat.vocabulary: what Tab completes."""

import pytest

from chatproto_anyio.cli.chat.parsing import USAGES
from chatproto_anyio.cli.chat.vocabulary import MAX_NAMES, Vocabulary


@pytest.fixture
def vocabulary() -> Vocabulary:
    vocabulary = Vocabulary()
    for name in ("bob", "carol", "ben"):
        vocabulary.users.add(name)
    vocabulary.groups.add("board")
    return vocabulary


@pytest.mark.parametrize(
    ("text", "word", "words"),
    [
        ("/g", "/g", ["/group", "/groups"]),
        ("/re", "/re", ["/reply"]),
        ("/reply c", "c", ["carol"]),
        ("/reply hi c", "c", ["carol"]),
        ("/add b", "b", ["board"]),
        ("/add board b", "b", ["ben", "bob"]),
        ("/add board ben b", "b", []),
        ("/names b", "b", ["board"]),
        ("/names board b", "b", []),
        ("/groups b", "b", []),
        ("/to", "/to", ["/to", "/to-group"]),
        ("/", "/", list(USAGES)),
        ("/x", "/x", []),
        ("/msg ", "", ["ben", "carol", "bob"]),
        ("/msg b", "b", ["ben", "bob"]),
        ("/msg  b", "b", ["ben", "bob"]),
        ("/msg bob c", "c", ["carol"]),
        ("/msg bob hi c", "c", ["carol"]),
        ("/to c", "c", ["carol"]),
        ("/to carol b", "b", []),
        ("/say b", "b", ["board"]),
        ("/say board b", "b", ["ben", "bob"]),
        ("/to-group b", "b", ["board"]),
        ("/group b", "b", ["board"]),
        ("/group board b", "b", ["ben", "bob"]),
        ("/group board ben bob c", "c", ["carol"]),
        ("/leave b", "b", ["board"]),
        ("/nick b", "b", []),
        ("/ping b", "b", []),
        ("/x b", "b", []),
        ("ask b", "b", ["ben", "bob"]),
        ("", "", ["ben", "carol", "bob"]),
        ("//x b", "b", ["ben", "bob"]),
    ],
)
def test_completions(vocabulary: Vocabulary, text: str, word: str, words: list[str]) -> None:
    assert vocabulary.complete(text) == (word, words)


def test_the_most_recent_name_comes_first(vocabulary: Vocabulary) -> None:
    vocabulary.users.add("bob")
    assert vocabulary.users.starting_with("") == ["bob", "ben", "carol"]


def test_it_forgets_the_oldest_names(vocabulary: Vocabulary) -> None:
    for number in range(MAX_NAMES):
        vocabulary.users.add(f"eve{number}")
        vocabulary.users.add("bob")
    assert len(vocabulary.users) == MAX_NAMES
    assert vocabulary.users.starting_with("b") == ["bob"]


def test_names_of_a_list_take_only_the_room_that_is_left(vocabulary: Vocabulary) -> None:
    names = [f"eve{number}" for number in range(MAX_NAMES)]
    vocabulary.users.fill(["bob", *names])
    assert len(vocabulary.users) == MAX_NAMES
    assert vocabulary.users.starting_with("b") == ["ben", "bob"]
    assert vocabulary.users.starting_with("eve0") == ["eve0"]
