"""The AWS account of the scenario. All tests share it and run in the order of their files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cloud import Cloud
from environment import resources


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path_factory.mktemp("aws"))
    cloud.start()
    cloud.empty = resources(cloud)
    yield cloud
    cloud.stop()
    print("", "Duration of each run:", *cloud.figures, sep="\n")
