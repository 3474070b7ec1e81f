"""What type checkers infer for users. mypy and pyright check these files; nothing runs them.

`# type: ignore` marks calls that are wrong: mypy complains about one that it does not need.
"""
