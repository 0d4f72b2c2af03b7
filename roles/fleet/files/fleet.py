"""Makes this machine a web host of its environment, as the last deploy has left it, and keeps it so.

    fleet.py join    what an instance's user data runs: it serves and is in service, or it is given up
    fleet.py look    each minute: what was published since is taken, if no deploy has brought it already

A deploy publishes what it has put live in the environment's bucket, and the note of it, live.json, last. That
note is read again before this host is in service, and each minute after: what goes live meanwhile, and is
brought by a deploy that does not know this host yet, is found.

Reads /etc/decanter/fleet.json: bucket, prefix, region, hook, vault_parameter. Python and boto3 are the
distribution's; the instance's role is who asks.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import boto3

CONFIGURATION = Path("/etc/decanter/fleet.json")
STATE = Path("/var/lib/decanter/fleet")
# Memory, not disk: it is gone with the run.
RUN = Path("/run/decanter-fleet")
SITES = Path("/srv")
METADATA = "http://169.254.169.254/latest"
# The collection in what was published.
COLLECTION = "ansible_collections/decanter/stack"
# How often what is live may change while a host is made, before it is given up.
ROUNDS = 5


def say(text: str) -> None:
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}", flush=True)


def metadata(path: str) -> str:
    """What the instance metadata service says, asked as IMDSv2 wants it."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    request = urllib.request.Request(f"{METADATA}/api/token", method="PUT", headers=headers)
    token = opener.open(request, timeout=5).read().decode()
    headers = {"X-aws-ec2-metadata-token": token}
    request = urllib.request.Request(f"{METADATA}/meta-data/{path}", headers=headers)
    return opener.open(request, timeout=5).read().decode()


class Bucket:
    """What deploys have published."""

    def __init__(self, told: dict[str, str]) -> None:
        self.client, self.told = client(told, "s3"), told

    def get(self, name: str) -> bytes:
        key = f"{self.told['prefix']}/{name}"
        return self.client.get_object(Bucket=self.told["bucket"], Key=key)["Body"].read()

    def live(self) -> dict[str, Any]:
        return json.loads(self.get("live.json"))

    def unpacked(self, packed: dict[str, str], target: Path) -> Path:
        """A tree that was published: whole under its name, and what the note says it is, or refused."""
        if target.is_dir():
            return target
        content = self.get(packed["key"])
        if (found := hashlib.sha256(content).hexdigest()) != packed["sha256"]:
            raise RuntimeError(f"{packed['key']}: found SHA-256 {found}, expected {packed['sha256']}")
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            archive, tree = Path(folder, "archive"), Path(folder, "tree")
            archive.write_bytes(content)
            with tarfile.open(archive) as tar:
                tar.extractall(tree)
            tree.rename(target)
        return target


def client(told: dict[str, str], service: str) -> Any:
    # An endpoint of its own is for tests: older boto3 reads none from its environment.
    return boto3.client(service, region_name=told["region"], endpoint_url=told.get("endpoint") or None)


def run(*command: str | Path, **options: Any) -> None:
    subprocess.run([str(part) for part in command], check=True, stdin=subprocess.DEVNULL, **options)


def vault_password(told: dict[str, str]) -> dict[str, str]:
    """Ansible's environment, with the file that the vault's password is in; there is none without a vault."""
    if not (name := told.get("vault_parameter")):
        return {}
    answer = client(told, "ssm").get_parameter(Name=name, WithDecryption=True)
    RUN.mkdir(mode=0o700, exist_ok=True)
    file = RUN / "vault-password"
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(answer["Parameter"]["Value"])
    return {"ANSIBLE_VAULT_PASSWORD_FILE": str(file)}


def ansible(tree: Path) -> Path:
    """The environment that Ansible runs in, of the lock file that was published with the playbooks."""
    lock = tree / COLLECTION / "roles/fleet/files/ansible.txt"
    target = STATE / "ansible" / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    if not (target / ".complete").exists():
        say(f"Installing {lock.name}")
        shutil.rmtree(target, ignore_errors=True)
        run(sys.executable, "-m", "venv", target)
        pip = (target / "bin/pip", "install", "--quiet", "--disable-pip-version-check")
        run(*pip, "--require-hashes", "--only-binary=:all:", "-r", lock)
        (target / ".complete").touch()
    return target / "bin"


def source(bucket: Bucket, name: str, site: dict[str, Any]) -> str:
    """A site's source, as it was packed: every file of it is one that git would track."""
    tree = bucket.unpacked(site["source"], STATE / "sources" / name / site["id"])
    if not (tree / ".git").exists():
        run("git", "-C", tree, "init", "--quiet")
        run("git", "-C", tree, "add", "--force", "--all")
    return str(tree)


def inventory(tree: Path, told: dict[str, str]) -> Path:
    """This host alone, with the variables of its environment."""
    target = STATE / "inventory"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o700, parents=True)
    shutil.copytree(tree / "inventory/group_vars", target / "group_vars")
    variables = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
    variables |= {
        "ansible_host": address(),
        **({"ec2_instance_id": told["instance"]} if told["instance"] else {}),
    }
    groups: dict[str, Any] = {group: {"hosts": {told["name"]: {}}} for group in ("web", "database")}
    hosts = {"all": {"hosts": {told["name"]: variables}, "children": groups}}
    (target / "hosts.yml").write_text(json.dumps(hosts, indent=2))
    return target


def address() -> str:
    """The address by which others reach this host: that from which it would reach them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent
        return probe.getsockname()[0]


def make(bucket: Bucket, live: dict[str, Any], told: dict[str, str]) -> None:
    """Run what was published on this host, until it serves what is live."""
    tree = bucket.unpacked(live["repository"], STATE / "repository" / live["repository"]["sha256"][:16])
    collections = bucket.unpacked(
        live["collections"], STATE / "collections" / live["collections"]["sha256"][:16]
    )
    sources = {name: {"path": source(bucket, name, site)} for name, site in live["sites"].items()}
    file = STATE / "variables.json"
    file.write_text(json.dumps(variables(live, sources, told)))
    environment = os.environ | {
        "ANSIBLE_COLLECTIONS_PATH": f"{tree}:{collections}",
        "ANSIBLE_NOCOLOR": "1",
        "HOME": "/root",
    }
    environment |= {"LC_ALL": "C.UTF-8"}
    try:
        environment |= vault_password(told)
        hosts = inventory(tree, told)
        command = (ansible(tree) / "ansible-playbook", "-i", hosts, "-e", f"@{file}", "decanter.stack.join")
        # Who is let into the database is not for a host to say that may know a password of yesterday.
        run(*command, "--skip-tags", "mysql", cwd=tree, env=environment)
    finally:
        shutil.rmtree(RUN, ignore_errors=True)
    for kept in (tree, collections):
        clear(kept)


def variables(live: dict[str, Any], sources: dict[str, Any], told: dict[str, str]) -> dict[str, Any]:
    """What this host is told beyond its environment's variables."""
    return {
        "release_live": {
            name: {key: site[key] for key in ("id", "pinned")} for name, site in live["sites"].items()
        },
        "release_sources": sources,
        # Nobody is sent to it yet, and what it follows later is switched as anywhere.
        "release_balanced": False,
        "verify_address": "127.0.0.1",
        # It knows of no other host, and would take itself for the first of them.
        "first_web_host": bool(told["instance"]) and live["first"] == told["instance"],
    }


def clear(kept: Path) -> None:
    """Remove what was published before it."""
    for other in kept.parent.iterdir():
        if other != kept:
            shutil.rmtree(other)


def here(site: str) -> str:
    """The release of a site that is live on this host."""
    link = SITES / site / "current"
    return link.readlink().name if link.is_symlink() else ""


def handled() -> dict[str, Any]:
    file = STATE / "live.json"
    return json.loads(file.read_text()) if file.exists() else {}


def note(live: dict[str, Any]) -> None:
    new = STATE / "live.json.new"
    new.write_text(json.dumps(live))
    new.rename(STATE / "live.json")


def current(live: dict[str, Any]) -> bool:
    """Whether this host has it: it was brought by a deploy, or taken from here before."""
    known = handled()
    return known.get("repository") == live["repository"] and all(
        here(name) == site["id"] for name, site in live["sites"].items()
    )


def take(bucket: Bucket, told: dict[str, str]) -> None:
    """Make this host what is live, and once more while that changes under its hands."""
    for _ in range(ROUNDS):
        live = bucket.live()
        if live != handled():
            if not current(live):
                say(f"Taking {', '.join(site['id'] for site in live['sites'].values())}")
                make(bucket, live, told)
            note(live)
        if bucket.live() == live:
            return
    raise RuntimeError(f"what is live has changed {ROUNDS} times while this host was made")


def in_service(told: dict[str, str], result: str) -> None:
    """Tell the Auto Scaling group, if one waits for this host: CONTINUE, or ABANDON, which ends it."""
    if not told.get("hook"):
        return
    scaling = client(told, "autoscaling")
    answer = scaling.describe_auto_scaling_instances(InstanceIds=[told["instance"]])
    for one in answer["AutoScalingInstances"]:
        if one["LifecycleState"].startswith("Pending"):
            scaling.complete_lifecycle_action(
                LifecycleHookName=told["hook"],
                AutoScalingGroupName=one["AutoScalingGroupName"],
                LifecycleActionResult=result,
                InstanceId=told["instance"],
            )
            say(f"Told {one['AutoScalingGroupName']}: {result}")


def who(told: dict[str, str]) -> dict[str, str]:
    """The instance, and the name that its logs and this run know it by."""
    instance = metadata("instance-id") if told.get("hook") else ""
    return told | {"instance": instance, "name": instance or socket.gethostname()}


def main(what: str) -> int:
    told = who(json.loads(CONFIGURATION.read_text()))
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    # What changes the umask of a root shell is no business of a site's files.
    os.umask(0o022)
    with open(STATE / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (fcntl.LOCK_NB if what == "look" else 0))
        except BlockingIOError:
            return 0
        try:
            take(Bucket(told), told)
        except Exception as error:
            say(f"This host does not serve what is live: {error}")
            if what == "join":
                in_service(told, "ABANDON")
            return 1
        if what == "join":
            in_service(told, "CONTINUE")
            say("This host serves what is live")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
