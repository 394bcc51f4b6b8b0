"""Each source from a real server of its kind to a completed import."""
