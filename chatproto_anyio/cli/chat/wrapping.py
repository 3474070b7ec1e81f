"""Wrap texts to the width of a terminal, with the rows after the first one indented."""

from collections.abc import Callable


def wrap(text: str, width: int, indent: int, columns_of: Callable[[str], int]) -> str:
    """Wrap a text at spaces, and words that are too long anywhere.

    Args:
        text: The text, without control characters.
        width: The columns of the terminal.
        indent: The columns that are taken in the first row, and stay free in the others.
        columns_of: How many columns a text takes.

    Returns:
        The text with line breaks and the spaces after them.
    """
    room = width - indent
    rows = [""]
    # The columns of the last row that are in use, and how much of it goes no further than a space.
    used = end = 0
    for character in text:
        columns = columns_of(character)
        if used + columns > room and character != " ":
            row = rows[-1]
            rows[-1], rest = (row[:end], row[end:]) if end else (row, "")
            rows.append(rest)
            used, end = columns_of(rest), 0
        rows[-1] += character
        used += columns
        if character == " ":
            end = len(rows[-1])
    *full, last = rows
    return ("\n" + " " * indent).join([*(row.rstrip(" ") for row in full), last])
