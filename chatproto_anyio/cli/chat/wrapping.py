"""Wrap texts to the width of a terminal, with the rows after the first one indented."""

from collections.abc import Callable


def wrap(text: str, width: int, head: int, indent: int, columns_of: Callable[[str], int]) -> str:
    """Wrap a text at spaces, and words that are too long anywhere.

    Args:
        text: The text, without control characters.
        width: The columns of the terminal.
        head: The columns that are taken in the first row.
        indent: The columns that stay free in the other rows; at most `head`.
        columns_of: How many columns a text takes.

    Returns:
        The text with line breaks and the spaces after them.
    """
    room = width - head
    rows = [""]
    # The columns of the last row that are in use, and how much of it goes no further than a space.
    used = end = 0
    # Whether the word at the beginning of the last row has more room in the next one.
    is_short = head > indent
    for character in text:
        columns = columns_of(character)
        while character != " " and used + columns > room and (used or is_short):
            row = rows[-1]
            rows[-1], rest = (row[:end], row[end:]) if end or is_short else (row, "")
            rows.append(rest)
            used, end = columns_of(rest), 0
            room, is_short = width - indent, False
        rows[-1] += character
        used += columns
        if character == " ":
            end = len(rows[-1])
    *full, last = rows
    return ("\n" + " " * indent).join([*(row.rstrip(" ") for row in full), last])
