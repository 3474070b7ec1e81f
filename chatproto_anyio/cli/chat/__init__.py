"""`chatproto chat`: chat on a terminal, or over pipes.

May import: everything, and in `terminal` prompt_toolkit. Imported by: `cli`.
"""
