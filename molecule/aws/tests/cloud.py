"""moto's server as the stub of AWS, and playbooks that use it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from tools.library import ACCELERATED, ROOT

SCENARIO = Path(__file__).parents[1]

REGION = "eu-west-1"
ZONE = "town.test"
# Ansible masks the secret in every output, so no name may contain it.
SECRET = "secret-of-the-stub"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@dataclass
class Cloud:
    folder: Path
    port: int = field(default_factory=free_port)
    server: subprocess.Popen[bytes] | None = None
    # The resources of the account before the first run.
    empty: dict[str, list[str]] = field(default_factory=dict)
    # Tasks and seconds of each run.
    figures: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment variables that direct every call to the stub."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        return (
            inherited
            | ACCELERATED
            | {
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": SECRET,
                "AWS_DEFAULT_REGION": REGION,
                "AWS_EC2_METADATA_DISABLED": "true",
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "MOTO_AMIS_PATH": str(SCENARIO / "images.json"),
            }
        )

    def start(self) -> None:
        command = [sys.executable, SCENARIO / "moto_aws.py", "-H", "127.0.0.1", "-p", str(self.port)]
        with (self.folder / "moto.log").open("ab") as log:
            self.server = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        end = time.monotonic() + 120
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    break
            time.sleep(0.2)
        else:
            raise AssertionError(
                f"expected moto to start within 120 s, got {(self.folder / 'moto.log').read_text()}"
            )
        self.client("route53").create_hosted_zone(Name=ZONE, CallerReference="test")

    def stop(self) -> None:
        if self.server:
            self.server.terminate()
            self.server.wait(20)
            self.server = None

    def client(self, service: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": SECRET, "region_name": REGION}
        return boto3.client(service, endpoint_url=f"http://127.0.0.1:{self.port}", **keys)

    def inventory(self, size: str) -> Path:
        """Return a copy of the size's inventory, because a run writes to it."""
        folder = self.folder / size
        if not folder.exists():
            shutil.copytree(SCENARIO / "inventories" / size, folder)
        return folder

    def begin(self, playbook: str, size: str, *options: str) -> Run:
        command = [
            Path(sys.executable).parent / "ansible-playbook",
            *("-i", "localhost,", ROOT / f"playbooks/{playbook}.yml"),
            *("-e", f"inventory={self.inventory(size)}", "-e", "yes=true", "-e", f"confirm={size}", *options),
        ]
        path = self.folder / f"{playbook}-{size}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        return Run(f"{playbook} {size}", process, path, time.monotonic(), self.figures)

    def ansible(self, program: str, *arguments: str) -> str:
        """Return the output of one of Ansible's programs."""
        command = [Path(sys.executable).parent / program, *arguments]
        return subprocess.run(
            command, env=self.environment, check=True, capture_output=True, text=True
        ).stdout

    def all_sizes(self, playbook: str, sizes: list[str], *options: str) -> dict[str, Run]:
        """Run a playbook for each size, in parallel on the idle processors."""

        def run(size: str) -> Run:
            return self.begin(playbook, size, *options).wait()

        idle = max(1, (os.cpu_count() or 1) - int(os.getloadavg()[0]))
        with ThreadPoolExecutor(idle) as pool:
            return dict(zip(sizes, pool.map(run, sizes), strict=True))


@dataclass
class Run:
    name: str
    process: subprocess.Popen[bytes]
    log: Path
    start: float
    figures: list[str]
    seconds: float = 0.0

    @property
    def output(self) -> str:
        return self.log.read_text()

    def wait(self, limit: float = 900) -> Run:
        self.process.wait(limit)
        self.seconds = time.monotonic() - self.start
        return self

    def count(self, word: str) -> int:
        found = re.search(rf"localhost +:.*\b{word}=(\d+)", self.output)
        return int(found[1]) if found else -1

    def assert_success(self, label: str) -> Run:
        assert self.process.returncode == 0, (
            f"{self.name}: expected exit status 0, got\n{self.output[-6000:]}"
        )
        tasks = self.count("ok")
        self.figures.append(f"{label:24} {self.name:20} {tasks:4} tasks {self.seconds:6.1f} s")
        return self
