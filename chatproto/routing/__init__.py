"""Who is who, and who gets what: events of connections in, actions out.

May import: `wire`. Imported by: `server` and the adapters.
"""
