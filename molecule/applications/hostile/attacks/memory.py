"""Allocate memory without an end."""


def run():
    blocks = []
    while True:
        blocks.append(bytearray(50 << 20))
