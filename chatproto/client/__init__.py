"""All that a client decides: logins, pings, messages, notices, and when to connect again.

May import: `routing` and `wire`. Imported by: the adapters' clients.
"""
