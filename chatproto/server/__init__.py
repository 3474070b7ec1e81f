"""All that a server decides: many connections, one hub, and what stands between them.

May import: `routing` and `wire`. Imported by: the adapters' servers.
"""
