"""Bytes to events and back: names, errors, the lines of CHAT/1.0, the states of one connection.

May import: nothing else of this project. Imported by: every other room.
"""
