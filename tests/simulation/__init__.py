"""Many clients on one broker, with a clock that runs as fast as it is told to."""
