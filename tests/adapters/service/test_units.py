"""`units`: sizes and times with suffixes."""

import math

import pytest

from chatproto_sync.service.units import SIZE, TIME, Unit


@pytest.mark.parametrize(
    ("unit", "text", "value"),
    [
        (SIZE, "4096", 4096),
        (SIZE, "-1", -1),
        (SIZE, "64k", 65536),
        (SIZE, "64K", 65536),
        (SIZE, "1M", 1 << 20),
        (SIZE, "2g", 1 << 31),
        (TIME, "5", 5.0),
        (TIME, "0.25", 0.25),
        (TIME, "1e3", 1000.0),
        (TIME, "inf", math.inf),
        (TIME, "10s", 10.0),
        (TIME, "5m", 300.0),
        (TIME, "1.5h", 5400.0),
        (TIME, "250ms", 0.25),
    ],
)
def test_values(unit: Unit, text: str, value: float) -> None:
    assert unit.value_of(text) == value
    assert type(unit.value_of(text)) is type(value)


@pytest.mark.parametrize(
    ("unit", "texts", "words"),
    [
        (
            SIZE,
            ["", "k", "64kb", "64 MB", "1.5M", "10s", "1k\n", "a lot"],
            "a size: write a whole number of bytes, or one with k, M or G such as 64k",
        ),
        (
            TIME,
            ["", "s", "10sec", "5M", "1m30s", "10k", "1s\n", "soon"],
            "a time: write a number of seconds, or one with ms, s, m or h such as 10s",
        ),
    ],
)
def test_an_error_says_what_to_write(unit: Unit, texts: list[str], words: str) -> None:
    for text in texts:
        with pytest.raises(ValueError, match=" is not a ") as caught:
            unit.value_of(text)
        assert str(caught.value) == f"{text!r} is not {words}"


@pytest.mark.parametrize(
    ("unit", "texts"),
    [
        (SIZE, ["0", "512", "1000", "1025", "4k", "1M", "256M", "3G"]),
        (TIME, ["0s", "0.25s", "2.5s", "10s", "1m", "90s", "2h", "inf", "1234567.25s"]),
    ],
)
def test_texts_stand_for_their_values(unit: Unit, texts: list[str]) -> None:
    assert [unit.text_of(unit.value_of(text)) for text in texts] == texts
    assert unit.text_of(unit.value_of(unit.example)) == unit.example
