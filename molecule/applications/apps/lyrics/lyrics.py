"""A library that only a git repository contains."""

SONG = "Stone upon stone"
