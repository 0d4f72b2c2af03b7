"""Allocate memory without an end."""


def run():
    held = []
    while True:
        held.append(bytearray(50 << 20))
