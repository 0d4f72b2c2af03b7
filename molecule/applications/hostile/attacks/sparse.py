"""Create a sparse file that is larger than the disk."""

from tools import ENVIRONMENT


def run():
    with open(ENVIRONMENT / "sparse", "wb") as file:
        file.truncate(1 << 42)
