"""The conformance table of protocol.md as transcripts, and the code that replays them."""
