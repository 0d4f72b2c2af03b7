"""A library that is in a git repository only."""

SONG = "Stone upon stone"
