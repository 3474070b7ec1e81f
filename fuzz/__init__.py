"""Random worlds against the broker, and an oracle that knows what each connection has to get.

Like `benchmarks`, no part of the packages: it imports `chatproto` and the standard library.
"""
