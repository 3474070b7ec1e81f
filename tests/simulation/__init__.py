"""Many clients of one broker, in simulated time."""
