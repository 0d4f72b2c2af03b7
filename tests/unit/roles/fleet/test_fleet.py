"""What is live is published, and a host makes itself of it: packed, found, refused, taken again, told."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.decanter.stack.plugins.action import fleet_publish
from ansible_collections.decanter.stack.plugins.filter.release_plan import release_plan
from repository import ROOT


class Store:
    """A bucket's objects, as boto3's client has them."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.put: list[str] = []

    def put_object(self, Bucket: str, Key: str, Body: bytes, Metadata: dict[str, str]) -> None:
        self.objects[Key] = (Body, Metadata)
        self.put.append(Key)

    def head_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        if Key not in self.objects:
            from botocore.exceptions import ClientError

            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")
        return {"Metadata": self.objects[Key][1]}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        return {"Body": io.BytesIO(self.objects[Key][0])}


def bucket(store: Store, dry: bool = False) -> Any:
    return fleet_publish.Bucket(store, "media", "decanter", dry)


@pytest.fixture
def store() -> Store:
    pytest.importorskip("boto3", reason="requirements-aws.txt is not installed")
    return Store()


@pytest.fixture
def app(tmp_path) -> dict[str, str]:
    """A site's source: an ignored file that is tracked nowhere, one that runs, and a link."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "app.py").write_text("app = 1\n")
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    (folder / "link").symlink_to("app.py")
    (folder / ".gitignore").write_text("*.log\n")
    (folder / "secret.log").write_text("no\n")
    return {"path": str(folder)}


def content(source: dict[str, str]) -> str:
    folder = Path(source["path"])
    return fleet_publish.release.content_hash(folder, fleet_publish.release.tracked(folder))


def looks(app: dict[str, str], **of_host: str) -> dict[str, Any]:
    """What module releases has found of one site on each host."""
    return {
        host: [{"item": {"name": "plain"}, "live": live, "pin": {}, "releases": [{"id": live, "commit": ""}]}]
        for host, live in of_host.items()
    }


@pytest.fixture
def told(app, tmp_path, monkeypatch) -> dict[str, Any]:
    monkeypatch.setattr(fleet_publish, "collections", lambda: ("v1", [(ROOT / "LICENSE", "LICENSE")]))
    (tmp_path / "inventory/group_vars/all").mkdir(parents=True)
    (tmp_path / "inventory/group_vars/all/sites.yml").write_text("sites: {}\n")
    (tmp_path / "inventory/hosts.yml").write_text("all:\n")
    live = f"20261121T000000Z-{content(app)}"
    return {
        "inventory": str(tmp_path / "inventory"),
        "files": ["LICENSE"],
        "first": "i-1",
        "sources": {"plain": app},
        "looks": looks(app, web1=live, web2=live),
        "live": live,
    }


def publish(store: Store, told: dict[str, Any], dry: bool = False) -> bool:
    one = bucket(store, dry)
    fleet_publish.ActionModule.publish(None, one, told)
    return one.changed


def test_the_note_comes_last_and_a_second_time_nothing_is_published(store, told):
    assert publish(store, told, dry=True) and store.put == [], "expected a check to publish nothing"
    assert publish(store, told)
    assert store.put[-1] == "decanter/live.json", store.put
    assert not publish(store, told) and len(store.put) == 5, store.put


def test_what_is_published_is_of_one_environment_and_has_no_repository(store, told):
    publish(store, told)
    (key,) = (key for key in store.objects if "/repositories/" in key)
    with tarfile.open(fileobj=io.BytesIO(store.objects[key][0])) as tar:
        names = tar.getnames()
    assert {
        f"{fleet_publish.NAME}/playbooks/join.yml",
        f"{fleet_publish.NAME}/vars/platform/Debian-13.yml",
        "LICENSE",
        "inventory/group_vars/all/sites.yml",
        "ansible.cfg",
    } < set(names)
    others = [name for name in names if re.match(r"inventories/|app/|\.git/|inventory/hosts|\.vault", name)]
    assert others == [], f"expected no other environment's, no application and no repository, got {others}"


def test_hosts_that_disagree_are_not_published(store, told, app):
    told["looks"] = looks(app, web1=told["live"], web2="20261120T000000Z-0123456789ab")
    with pytest.raises(
        fleet_publish.PublishError, match=r"plain: found 20261120\S+ on web2 and .* on web1, expected one"
    ):
        publish(store, told)
    assert store.put == []


def test_a_source_that_has_changed_since_is_not_taken_for_what_is_live(store, told, app):
    Path(app["path"], "app.py").write_text("app = 2\n")
    with pytest.raises(fleet_publish.PublishError, match="make deploy SITE=plain ends that"):
        publish(store, told)
    assert "decanter/live.json" not in store.objects


def test_after_a_rollback_the_earlier_source_is_found(store, told, app):
    publish(store, told)
    Path(app["path"], "app.py").write_text("app = 2\n")
    # The site went back to what was published: the source here is not asked.
    assert not publish(store, told)


@pytest.mark.parametrize("path", ["../outside", "nowhere"])
def test_a_file_that_is_none_of_the_repository_is_refused(store, told, path):
    told["files"] = [path]
    with pytest.raises(fleet_publish.PublishError, match=rf'fleet_files: found "{path}"'):
        publish(store, told)


# --- The host ----------------------------------------------------------------------------------


@pytest.fixture
def fleet(tmp_path, monkeypatch) -> ModuleType:
    """Its program, whose playbook is a test's."""
    pytest.importorskip("boto3", reason="requirements-aws.txt is not installed")
    import importlib.util

    spec = importlib.util.spec_from_file_location("fleet_program", ROOT / "roles/fleet/files/fleet.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("STATE", "SITES", "RUN"):
        monkeypatch.setattr(module, name, tmp_path / name.lower())
        (tmp_path / name.lower()).mkdir()
    monkeypatch.setattr(module, "CONFIGURATION", tmp_path / "fleet.json")
    module.CONFIGURATION.write_text(
        json.dumps({"bucket": "media", "prefix": "decanter", "region": "eu-west-1"})
    )
    return module


def serve(fleet: ModuleType, site: str, release: str) -> None:
    link = fleet.SITES / site / "current"
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(f"releases/{release}")


@pytest.fixture
def host(fleet, store, told, monkeypatch) -> list[str]:
    """A host that reads the published releases. Return the list of the releases that it activates."""
    activated: list[str] = []

    def converge(bucket: Any, manifest: dict[str, Any], _: Any) -> None:
        activated.append(manifest["sites"]["plain"]["id"])
        serve(fleet, "plain", manifest["sites"]["plain"]["id"])

    monkeypatch.setattr(fleet, "client", lambda *_: store)
    monkeypatch.setattr(fleet, "converge", converge)
    publish(store, told)
    return activated


def update(fleet: ModuleType) -> None:
    settings = json.loads(fleet.CONFIGURATION.read_text())
    fleet.update(fleet.Bucket(settings), settings)


def go_live(store: Store, release: str) -> None:
    """A deploy ends."""
    body, told = store.objects["decanter/live.json"]
    note = json.loads(body)
    note["sites"]["plain"]["id"] = release
    store.objects["decanter/live.json"] = (json.dumps(note).encode(), told)


def test_host_activates_published_release_once(fleet, host, told):
    update(fleet)
    update(fleet)
    assert host == [told["live"]]


def test_release_published_during_converge_is_activated(fleet, host, store, told, monkeypatch):
    converge = fleet.converge

    def converge_during_deploy(*arguments: Any) -> None:
        converge(*arguments)
        if len(host) == 1:
            go_live(store, "42")

    monkeypatch.setattr(fleet, "converge", converge_during_deploy)
    update(fleet)
    assert host == [told["live"], "42"] and fleet.live_release("plain") == "42"


def test_release_of_unfinished_deploy_is_kept(fleet, host, store, told):
    update(fleet)
    serve(fleet, "plain", "42")  # this host's turn came, others' are to come
    update(fleet)
    assert fleet.live_release("plain") == "42" and host == [told["live"]], host
    go_live(store, "42")
    update(fleet)
    assert host == [told["live"]], f"expected nothing to be made of what is here, got {host}"


def test_release_that_deploy_missed_is_activated(fleet, host, store, told):
    update(fleet)
    go_live(store, "42")
    update(fleet)
    assert host == [told["live"], "42"]


def test_update_fails_if_manifest_keeps_changing(fleet, host, store, monkeypatch):
    converge = fleet.converge
    monkeypatch.setattr(
        fleet, "converge", lambda *arguments: (converge(*arguments), go_live(store, str(len(host))))
    )
    with pytest.raises(RuntimeError, match="changed 5 times"):
        update(fleet)


def test_archive_with_wrong_checksum_is_rejected(fleet, host, store, tmp_path):
    store.objects["decanter/fleet.py"] = (b"another", {})
    told = json.loads(fleet.CONFIGURATION.read_text())
    with pytest.raises(RuntimeError, match=r"fleet\.py: found SHA-256 \w+, expected 0000"):
        fleet.Bucket(told).unpack({"key": "fleet.py", "sha256": "0000"}, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_unpacked_source_has_the_packed_content(fleet, host, store, told, app):
    note = json.loads(store.objects["decanter/live.json"][0])
    told = json.loads(fleet.CONFIGURATION.read_text())
    tree = fleet.unpack_source(fleet.Bucket(told), "plain", note["sites"]["plain"])
    assert content({"path": tree}) == content(app), "expected one content, for it names the release"
    assert not Path(tree, "secret.log").exists()


@pytest.mark.parametrize(("instance", "expected"), [("i-1", True), ("i-2", False), ("", False)])
def test_only_one_instance_is_the_first_web_host(fleet, host, store, told, instance, expected):
    """On which timers of one host run."""
    live = json.loads(store.objects["decanter/live.json"][0])
    if not instance:
        live["first"] = ""
    got = fleet.variables(live, {}, {"instance": instance})
    assert got["first_web_host"] is expected, got
    assert got["release_live"] == {"plain": {"id": told["live"], "pinned": False}}, got


def test_joining_host_does_not_set_database_users(fleet, store, told, monkeypatch):
    """It may have been published before a password was replaced, and would put the old one back."""
    publish(store, told)
    monkeypatch.setattr(fleet, "client", lambda *_: store)
    monkeypatch.setattr(fleet, "install_ansible", lambda tree: Path("/bin"))
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(fleet, "run", lambda *command, **_: ran.append(tuple(map(str, command))))
    bucket = fleet.Bucket(json.loads(fleet.CONFIGURATION.read_text()))
    fleet.converge(bucket, bucket.manifest(), {"instance": "i-2", "name": "i-2"})
    assert ran[-1][-3:] == ("decanter.stack.join", "--skip-tags", "mysql"), ran[-1]
    site = (ROOT / "playbooks/site.yml").read_text()
    assert "{role: decanter.stack.mysql, tags: mysql}" in site and "ansible_skip_tags | length == 0" in site


class Scaling:
    """An Auto Scaling group that waits for an instance, or has it."""

    def __init__(self, state: str) -> None:
        self.state, self.told = state, []

    def describe_auto_scaling_instances(self, InstanceIds: list[str]) -> dict[str, Any]:
        return {"AutoScalingInstances": [{"AutoScalingGroupName": "web", "LifecycleState": self.state}]}

    def complete_lifecycle_action(self, LifecycleActionResult: str, **_: str) -> None:
        self.told.append(LifecycleActionResult)


@pytest.mark.parametrize(
    ("state", "works", "expected"),
    [
        ("Pending:Wait", True, ["CONTINUE"]),
        ("Pending:Wait", False, ["ABANDON"]),
        ("InService", True, []),  # it was run again
        ("InService", False, []),
    ],
)
def test_join_completes_the_lifecycle_action_once(fleet, monkeypatch, capsys, state, works, expected):
    scaling = Scaling(state)
    fleet.CONFIGURATION.write_text(json.dumps({"region": "eu-west-1", "hook": "ready"}))
    monkeypatch.setattr(fleet, "client", lambda *_: scaling)
    monkeypatch.setattr(fleet, "metadata", lambda _: "i-1")

    def update(*_: Any) -> None:
        if not works:
            raise RuntimeError("the migration is missing")

    monkeypatch.setattr(fleet, "update", update)
    assert fleet.main("join") == (0 if works else 1)
    assert scaling.told == expected
    expected_line = "does not serve the live releases: the migration is missing"
    if works:
        expected_line = "This host serves the live releases"
    assert expected_line in capsys.readouterr().out


def test_look_does_not_complete_the_lifecycle_action(fleet, monkeypatch):
    scaling = Scaling("Pending:Wait")
    fleet.CONFIGURATION.write_text(json.dumps({"region": "eu-west-1", "hook": "ready"}))
    monkeypatch.setattr(fleet, "client", lambda *_: scaling)
    monkeypatch.setattr(fleet, "metadata", lambda _: "i-1")
    monkeypatch.setattr(fleet, "update", lambda *_: 1 / 0)
    assert fleet.main("look") == 1 and scaling.told == []


# --- The release of a host that joins ------------------------------------------------------------


def look(**more: Any) -> dict[str, Any]:
    item = {"name": "plain", "setup": ["seed"], "migrate": "flask db upgrade"}
    return {
        "item": item,
        "current": False,
        "content": "0123456789ab",
        "id": "",
        "commit": "",
        "pin": {},
    } | more


def test_a_host_that_joins_takes_the_others_release_and_runs_nothing_again():
    live = {"plain": {"id": "20261121T000000Z-0123456789ab", "pinned": False}}
    plan = release_plan({"web9": [look()]}, "web9", True, ["web1"], live)["plain"]
    assert (plan["id"], plan["made"]) == (live["plain"]["id"], False)
    assert (plan["migrates"], plan["setup"], plan["elsewhere"]) == (False, [], True)
    live["plain"]["pinned"] = True
    assert release_plan({"web9": [look()]}, "web9", True, [], live)["plain"]["pin"]["release"] == plan["id"]
    live["plain"]["id"] = "20261121T000000Z-ba9876543210"
    fault = release_plan({"web9": [look()]}, "web9", True, [], live)["plain"]["fault"]
    assert fault.startswith("plain: found a source of content 0123456789ab, exp"), fault


# --- What an instance runs when it boots -----------------------------------------------------------

FLEET = {
    "bucket": "staging-media",
    "prefix": "decanter",
    "region": "eu-west-1",
    "hook": "ready",
    "vault_parameter": "/decanter/staging/vault-password",
}


@pytest.fixture(scope="module")
def user_data() -> str:
    path = ROOT / "roles/aws/templates/user_data.sh.j2"
    templar = Templar(DataLoader(), {"aws_fleet": FLEET, "ansible_managed": "Ansible managed"})
    return str(templar.template(trust_as_template(path.read_text()), escape_backslashes=False))


def test_user_data_is_a_script_of_a_size_that_aws_takes(user_data):
    assert user_data.startswith("#!/bin/bash\n")
    assert len(user_data.encode()) < 16384, f"expected less than 16 KB, got {len(user_data)}"
    done = subprocess.run(["bash", "-n"], input=user_data, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    (program,) = re.findall(r"<<'PYTHON'\n(.*?)\nPYTHON\n", user_data, re.S)
    compile(program, "user_data", "exec")
    (told,) = re.findall(r"<<'JSON'\n(.*?)\nJSON\n", user_data, re.S)
    assert json.loads(told) == FLEET


def test_units_of_user_data_are_right(user_data, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not here")
    for name, text in re.findall(r"system/(\S+) <<'UNIT'\n(.*?)\nUNIT\n", user_data, re.S):
        (tmp_path / name).write_text(f"{text}\n")
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, tmp_path.iterdir())], capture_output=True, text=True
    )
    lines = [line for line in done.stderr.splitlines() if "decanter-fleet" in line]
    assert not lines, lines


def test_what_the_plugins_import_is_in_the_lock():
    """A playbook that runs on the controller runs on a host, which has nothing else."""
    known = {*sys.stdlib_module_names, "ansible", "ansible_collections", "jinja2", "yaml"}
    lock = (ROOT / "roles/fleet/files/ansible.txt").read_text()
    for kind in ("action", "callback", "filter"):
        for path in sorted((ROOT / "plugins" / kind).glob("*.py")):
            # What is imported inside of a function is what only the controller calls.
            found = re.findall(r"^(?:import|from) (\w+)", path.read_text(), re.M)
            missing = [name for name in found if name not in known and f"\n{name}==" not in f"\n{lock}"]
            assert not missing, f"{path.name}: expected {missing} in roles/fleet/files/ansible.in"


def test_the_lock_of_hosts_is_part_of_the_controller_s():
    """What the controller runs, hosts run: bin/lock takes requirements.txt as its limit."""
    ours = (ROOT / "roles/fleet/files/ansible.txt").read_text()
    pinned = set(re.findall(r"^\S+==\S+", ours, re.M))
    assert "ansible-core" in {pin.split("==")[0] for pin in pinned} and sys.version_info >= (3, 11)
    missing = pinned - set(re.findall(r"^\S+==\S+", (ROOT / "requirements.txt").read_text(), re.M))
    assert not missing, f"expected them to be the controller's, got {missing}"
