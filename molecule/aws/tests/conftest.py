"""The account of the scenario, which the tests of an environment's life share in the order of their files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cloud import Cloud
from environment import counted


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path_factory.mktemp("aws"))
    cloud.start()
    cloud.empty = counted(cloud)
    yield cloud
    cloud.stop()
    print("", "What each run took:", *cloud.figures, sep="\n")
