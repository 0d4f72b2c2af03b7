"""An empty AWS account of moto's server, and clients of boto3 for it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

REGION = "eu-west-1"


def environment(endpoint: str) -> dict[str, str]:
    """Return the environment of Ansible, plugins and boto3, without this machine's own AWS credentials."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ANSIBLE_"))}
    key = {"AWS_ACCESS_KEY_ID": "AKIALABONLY000000000", "AWS_SECRET_ACCESS_KEY": "of-the-lab-alone"}
    no_other_source = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null"}
    no_retries = {"AWS_MAX_ATTEMPTS": "1", "AWS_DEFAULT_REGION": REGION}
    return {
        **others,
        **key,
        **no_other_source,
        **no_retries,
        "AWS_ENDPOINT_URL": endpoint,
        "no_proxy": "127.0.0.1",
    }


def needed(package: str) -> None:
    """Skip the test if a package is not installed, or fail if DECANTER_REQUIRE_TOOLS is 1."""
    if importlib.util.find_spec(package):
        return
    if os.environ.get("DECANTER_REQUIRE_TOOLS") == "1":
        pytest.fail(f"{package} is not installed, and DECANTER_REQUIRE_TOOLS requires it")
    pytest.skip(f"{package} is not installed here: bin/setup moto")


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@contextlib.contextmanager
def account() -> Iterator[str]:
    """Yield the address of an empty account. Skip the test if moto is not installed."""
    needed("moto")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and server.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()  # moto has no data to save
        server.wait()


def client(service: str, endpoint: str) -> Any:
    import boto3

    variables = environment(endpoint)
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )
