"""The conformance table as transcripts, and what replays them."""
