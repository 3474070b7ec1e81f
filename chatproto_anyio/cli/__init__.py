"""The command `chatproto`.

May import: everything, and click. Imported by: `chatproto.__main__`.
"""
