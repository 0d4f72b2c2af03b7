"""Bootstrap this machine as a web host of its environment, and keep its releases current.

    fleet.py join    bootstrap the host, and complete the lifecycle action of the Auto Scaling group
    fleet.py look    check for newer releases; a timer runs this each minute

A deploy publishes the live releases in the environment's bucket, and finally the manifest live.json. This
program reads the manifest again before the host is in service and then each minute, because a deploy that
began before the host existed does not include it.

Reads /etc/decanter/fleet.json: bucket, prefix, region, hook, vault_parameter. Uses the distribution's Python
and boto3, and the instance's role.
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
# In memory, and deleted after each run.
RUN = Path("/run/decanter-fleet")
SITES = Path("/srv")
METADATA = "http://169.254.169.254/latest"
# The collection in the published repository.
COLLECTION = "ansible_collections/decanter/stack"
# Maximum number of attempts while the manifest changes.
ATTEMPTS = 5


def log(text: str) -> None:
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}", flush=True)


def metadata(path: str) -> str:
    """Return a value of the instance metadata service (IMDSv2)."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    request = urllib.request.Request(f"{METADATA}/api/token", method="PUT", headers=headers)
    token = opener.open(request, timeout=5).read().decode()
    headers = {"X-aws-ec2-metadata-token": token}
    request = urllib.request.Request(f"{METADATA}/meta-data/{path}", headers=headers)
    return opener.open(request, timeout=5).read().decode()


class Bucket:
    """The objects that deploys publish."""

    def __init__(self, settings: dict[str, str]) -> None:
        self.client, self.settings = client(settings, "s3"), settings

    def get(self, name: str) -> bytes:
        key = f"{self.settings['prefix']}/{name}"
        return self.client.get_object(Bucket=self.settings["bucket"], Key=key)["Body"].read()

    def manifest(self) -> dict[str, Any]:
        return json.loads(self.get("live.json"))

    def unpack(self, entry: dict[str, str], target: Path) -> Path:
        """Unpack a published archive atomically. Raise RuntimeError if its SHA-256 is wrong."""
        if target.is_dir():
            return target
        content = self.get(entry["key"])
        if (found := hashlib.sha256(content).hexdigest()) != entry["sha256"]:
            raise RuntimeError(f"{entry['key']}: found SHA-256 {found}, expected {entry['sha256']}")
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            archive, tree = Path(folder, "archive"), Path(folder, "tree")
            archive.write_bytes(content)
            with tarfile.open(archive) as tar:
                tar.extractall(tree)
            tree.rename(target)
        return target


def client(settings: dict[str, str], service: str) -> Any:
    # Tests set an endpoint. Old versions of boto3 do not read it from the environment.
    endpoint = settings.get("endpoint") or None
    return boto3.client(service, region_name=settings["region"], endpoint_url=endpoint)


def run(*command: str | Path, **options: Any) -> None:
    subprocess.run([str(part) for part in command], check=True, stdin=subprocess.DEVNULL, **options)


def vault_password(settings: dict[str, str]) -> dict[str, str]:
    """Write the vault's password to a file, if there is a vault. Return Ansible's variables for it."""
    if not (name := settings.get("vault_parameter")):
        return {}
    response = client(settings, "ssm").get_parameter(Name=name, WithDecryption=True)
    RUN.mkdir(mode=0o700, exist_ok=True)
    file = RUN / "vault-password"
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(response["Parameter"]["Value"])
    return {"ANSIBLE_VAULT_PASSWORD_FILE": str(file)}


def install_ansible(tree: Path) -> Path:
    """Install Ansible with the lock file of the published repository. Return its folder of programs."""
    lock = tree / COLLECTION / "roles/fleet/files/ansible.txt"
    target = STATE / "ansible" / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    if not (target / ".complete").exists():
        log(f"Installing {lock.name}")
        shutil.rmtree(target, ignore_errors=True)
        run(sys.executable, "-m", "venv", target)
        pip = (target / "bin/pip", "install", "--quiet", "--disable-pip-version-check")
        run(*pip, "--require-hashes", "--only-binary=:all:", "-r", lock)
        (target / ".complete").touch()
    return target / "bin"


def unpack_source(bucket: Bucket, name: str, site: dict[str, Any]) -> str:
    """Unpack a site's source into a git repository. Return its path.

    Every file is tracked, because a release contains only tracked files.
    """
    tree = bucket.unpack(site["source"], STATE / "sources" / name / site["id"])
    if not (tree / ".git").exists():
        run("git", "-C", tree, "init", "--quiet")
        run("git", "-C", tree, "add", "--force", "--all")
    return str(tree)


def write_inventory(tree: Path, settings: dict[str, str]) -> Path:
    """Write an inventory with only this host and the environment's group_vars. Return its folder."""
    target = STATE / "inventory"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o700, parents=True)
    shutil.copytree(tree / "inventory/group_vars", target / "group_vars")
    variables = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
    variables |= {
        "ansible_host": address(),
        **({"ec2_instance_id": settings["instance"]} if settings["instance"] else {}),
    }
    groups: dict[str, Any] = {group: {"hosts": {settings["name"]: {}}} for group in ("web", "database")}
    hosts = {"all": {"hosts": {settings["name"]: variables}, "children": groups}}
    (target / "hosts.yml").write_text(json.dumps(hosts, indent=2))
    return target


def address() -> str:
    """Return the source address of this host. connect() of a UDP socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return probe.getsockname()[0]


def converge(bucket: Bucket, manifest: dict[str, Any], settings: dict[str, str]) -> None:
    """Run the published playbook on this host, which then serves the releases of the manifest."""
    repository, collections = manifest["repository"], manifest["collections"]
    tree = bucket.unpack(repository, STATE / "repository" / repository["sha256"][:16])
    collections_tree = bucket.unpack(collections, STATE / "collections" / collections["sha256"][:16])
    sources = {name: {"path": unpack_source(bucket, name, site)} for name, site in manifest["sites"].items()}
    file = STATE / "variables.json"
    file.write_text(json.dumps(variables(manifest, sources, settings)))
    environment = os.environ | {
        "ANSIBLE_COLLECTIONS_PATH": f"{tree}:{collections_tree}",
        "ANSIBLE_NOCOLOR": "1",
        "HOME": "/root",
    }
    environment |= {"LC_ALL": "C.UTF-8"}
    try:
        environment |= vault_password(settings)
        hosts = write_inventory(tree, settings)
        playbook = install_ansible(tree) / "ansible-playbook"
        command = (playbook, "-i", hosts, "-e", f"@{file}", "decanter.stack.join")
        # The published passwords of the database may be outdated, so this host must not set them.
        run(*command, "--skip-tags", "mysql", cwd=tree, env=environment)
    finally:
        shutil.rmtree(RUN, ignore_errors=True)
    for current in (tree, collections_tree):
        delete_others(current)


def variables(manifest: dict[str, Any], sources: dict[str, Any], settings: dict[str, str]) -> dict[str, Any]:
    """Return the variables of the playbook that are not in the environment's group_vars."""
    return {
        "release_live": {
            name: {key: site[key] for key in ("id", "pinned")} for name, site in manifest["sites"].items()
        },
        "release_sources": sources,
        # The load balancer sends no requests to this host yet.
        "release_balanced": False,
        "verify_address": "127.0.0.1",
        # The inventory has only this host, so its first web host would be this one.
        "first_web_host": bool(settings["instance"]) and manifest["first"] == settings["instance"],
    }


def delete_others(current: Path) -> None:
    """Delete the older versions of an unpacked archive."""
    for other in current.parent.iterdir():
        if other != current:
            shutil.rmtree(other)


def live_release(site: str) -> str:
    """Return the id of a site's live release on this host, or an empty string."""
    link = SITES / site / "current"
    return link.readlink().name if link.is_symlink() else ""


def applied_manifest() -> dict[str, Any]:
    """Return the manifest that this host has applied, or an empty one."""
    file = STATE / "live.json"
    return json.loads(file.read_text()) if file.exists() else {}


def record_manifest(manifest: dict[str, Any]) -> None:
    new = STATE / "live.json.new"
    new.write_text(json.dumps(manifest))
    new.rename(STATE / "live.json")


def is_current(manifest: dict[str, Any]) -> bool:
    """Return whether this host serves the releases of the manifest, from a deploy or from an earlier run."""
    return applied_manifest().get("repository") == manifest["repository"] and all(
        live_release(name) == site["id"] for name, site in manifest["sites"].items()
    )


def update(bucket: Bucket, settings: dict[str, str]) -> None:
    """Bring this host to the published releases. Repeat that if the manifest changes meanwhile."""
    for _ in range(ATTEMPTS):
        manifest = bucket.manifest()
        if manifest != applied_manifest():
            if not is_current(manifest):
                log(f"Activating {', '.join(site['id'] for site in manifest['sites'].values())}")
                converge(bucket, manifest, settings)
            record_manifest(manifest)
        if bucket.manifest() == manifest:
            return
    raise RuntimeError(f"the published releases changed {ATTEMPTS} times while this host converged")


def complete_lifecycle(settings: dict[str, str], result: str) -> None:
    """Complete the lifecycle action, if the Auto Scaling group waits for this host.

    CONTINUE puts the instance into service. ABANDON terminates it.
    """
    if not settings.get("hook"):
        return
    scaling = client(settings, "autoscaling")
    response = scaling.describe_auto_scaling_instances(InstanceIds=[settings["instance"]])
    for instance in response["AutoScalingInstances"]:
        if instance["LifecycleState"].startswith("Pending"):
            scaling.complete_lifecycle_action(
                LifecycleHookName=settings["hook"],
                AutoScalingGroupName=instance["AutoScalingGroupName"],
                LifecycleActionResult=result,
                InstanceId=settings["instance"],
            )
            log(f"Completed the lifecycle action of {instance['AutoScalingGroupName']}: {result}")


def with_identity(settings: dict[str, str]) -> dict[str, str]:
    """Return the settings with the id of the instance and the name of the host in the inventory."""
    instance = metadata("instance-id") if settings.get("hook") else ""
    return settings | {"instance": instance, "name": instance or socket.gethostname()}


def main(command: str) -> int:
    """Run a command. Return the exit status."""
    settings = with_identity(json.loads(CONFIGURATION.read_text()))
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The files of sites must not depend on the umask of a root shell.
    os.umask(0o022)
    with open(STATE / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (fcntl.LOCK_NB if command == "look" else 0))
        except BlockingIOError:
            return 0
        try:
            update(Bucket(settings), settings)
        except Exception as error:
            log(f"This host does not serve the live releases: {error}")
            if command == "join":
                complete_lifecycle(settings, "ABANDON")
            return 1
        if command == "join":
            complete_lifecycle(settings, "CONTINUE")
            log("This host serves the live releases")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
