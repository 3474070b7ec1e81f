"""Text of strangers, made safe to show."""


def visible(text: str) -> str:
    r"""Escape what does not print, so that text from a peer is safe for a terminal and for a log.

    Args:
        text: Anything.

    Returns:
        The text with control characters, unusual spaces and backslashes as Python writes them in a
        string: `\x1b`, `\u2028`, `\\`.
    """
    return "".join(
        each if each.isprintable() and each != "\\" else each.encode("unicode_escape").decode()
        for each in text
    )
