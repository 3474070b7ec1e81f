"""Many nodes as one chat, the pure part: ledger, mail, liveness, snapshots.

May import: `server`, `routing` and `wire`. Imported by: the adapters that reach Redis.
"""
