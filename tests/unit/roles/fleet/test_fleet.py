"""A host of a fleet activates the published releases, and completes its lifecycle action."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.filter.release_plan import release_plan
from fleet_store import Store, content, publish
from repository import ROOT


@pytest.fixture
def fleet(tmp_path, monkeypatch) -> ModuleType:
    """Return the program of the role fleet, with folders of the test."""
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
def host(fleet, store, parameters, monkeypatch) -> list[str]:
    """A host that reads the published releases. Return the list of the releases that it activates."""
    activated: list[str] = []

    def converge(bucket: Any, manifest: dict[str, Any], _: Any) -> None:
        activated.append(manifest["sites"]["plain"]["id"])
        serve(fleet, "plain", manifest["sites"]["plain"]["id"])

    monkeypatch.setattr(fleet, "client", lambda *_: store)
    monkeypatch.setattr(fleet, "converge", converge)
    publish(store, parameters)
    return activated


def update(fleet: ModuleType) -> None:
    settings = json.loads(fleet.CONFIGURATION.read_text())
    fleet.update(fleet.Bucket(settings), settings)


def go_live(store: Store, release: str) -> None:
    """Publish another release, as the end of a deploy does."""
    body, metadata = store.objects["decanter/live.json"]
    manifest = json.loads(body)
    manifest["sites"]["plain"]["id"] = release
    store.objects["decanter/live.json"] = (json.dumps(manifest).encode(), metadata)


def test_host_activates_published_release_once(fleet, host, parameters):
    update(fleet)
    update(fleet)
    assert host == [parameters["live"]]


def test_release_published_during_converge_is_activated(fleet, host, store, parameters, monkeypatch):
    converge = fleet.converge

    def converge_during_deploy(*arguments: Any) -> None:
        converge(*arguments)
        if len(host) == 1:
            go_live(store, "42")

    monkeypatch.setattr(fleet, "converge", converge_during_deploy)
    update(fleet)
    assert host == [parameters["live"], "42"] and fleet.live_release("plain") == "42"


def test_release_of_unfinished_deploy_is_kept(fleet, host, store, parameters):
    update(fleet)
    serve(fleet, "plain", "42")  # the deploy has activated it here, but not yet on all hosts
    update(fleet)
    assert fleet.live_release("plain") == "42" and host == [parameters["live"]], host
    go_live(store, "42")
    update(fleet)
    assert host == [parameters["live"]], f"expected no second activation, got {host}"


def test_release_that_deploy_missed_is_activated(fleet, host, store, parameters):
    update(fleet)
    go_live(store, "42")
    update(fleet)
    assert host == [parameters["live"], "42"]


def test_update_fails_if_manifest_keeps_changing(fleet, host, store, monkeypatch):
    converge = fleet.converge
    monkeypatch.setattr(
        fleet, "converge", lambda *arguments: (converge(*arguments), go_live(store, str(len(host))))
    )
    with pytest.raises(RuntimeError, match="changed 5 times"):
        update(fleet)


def test_archive_with_wrong_checksum_is_rejected(fleet, host, store, tmp_path):
    store.objects["decanter/fleet.py"] = (b"another", {})
    settings = json.loads(fleet.CONFIGURATION.read_text())
    with pytest.raises(RuntimeError, match=r"fleet\.py: found SHA-256 \w+, expected 0000"):
        fleet.Bucket(settings).unpack({"key": "fleet.py", "sha256": "0000"}, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_unpacked_source_has_the_packed_content(fleet, host, store, app):
    manifest = json.loads(store.objects["decanter/live.json"][0])
    settings = json.loads(fleet.CONFIGURATION.read_text())
    tree = fleet.unpack_source(fleet.Bucket(settings), "plain", manifest["sites"]["plain"])
    assert content({"path": tree}) == content(app), (
        "expected equal contents, because the hash names the release"
    )
    assert not Path(tree, "secret.log").exists()


@pytest.mark.parametrize(("instance", "expected"), [("i-1", True), ("i-2", False), ("", False)])
def test_only_one_instance_is_the_first_web_host(fleet, host, store, parameters, instance, expected):
    """It runs the timers that run on one host."""
    live = json.loads(store.objects["decanter/live.json"][0])
    if not instance:
        live["first"] = ""
    got = fleet.variables(live, {}, {"instance": instance})
    assert got["first_web_host"] is expected, got
    assert got["release_live"] == {"plain": {"id": parameters["live"], "pinned": False}}, got


def test_joining_host_does_not_set_database_users(fleet, store, parameters, monkeypatch):
    """The published vault may contain an old password."""
    publish(store, parameters)
    monkeypatch.setattr(fleet, "client", lambda *_: store)
    monkeypatch.setattr(fleet, "install_ansible", lambda tree: Path("/bin"))
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(fleet, "run", lambda *command, **_: commands.append(tuple(map(str, command))))
    bucket = fleet.Bucket(json.loads(fleet.CONFIGURATION.read_text()))
    fleet.converge(bucket, bucket.manifest(), {"instance": "i-2", "name": "i-2"})
    assert commands[-1][-3:] == ("decanter.stack.join", "--skip-tags", "mysql"), commands[-1]
    site = (ROOT / "playbooks/site.yml").read_text()
    assert "{role: decanter.stack.mysql, tags: mysql}" in site and "ansible_skip_tags | length == 0" in site


class Scaling:
    """A stub of the Auto Scaling API, with an instance in a lifecycle state."""

    def __init__(self, state: str) -> None:
        self.state, self.results = state, []

    def describe_auto_scaling_instances(self, InstanceIds: list[str]) -> dict[str, Any]:
        return {"AutoScalingInstances": [{"AutoScalingGroupName": "web", "LifecycleState": self.state}]}

    def complete_lifecycle_action(self, LifecycleActionResult: str, **_: str) -> None:
        self.results.append(LifecycleActionResult)


@pytest.mark.parametrize(
    ("state", "succeeds", "expected"),
    [
        ("Pending:Wait", True, ["CONTINUE"]),
        ("Pending:Wait", False, ["ABANDON"]),
        ("InService", True, []),  # a second run
        ("InService", False, []),
    ],
)
def test_join_completes_the_lifecycle_action_once(fleet, monkeypatch, capsys, state, succeeds, expected):
    scaling = Scaling(state)
    fleet.CONFIGURATION.write_text(json.dumps({"region": "eu-west-1", "hook": "ready"}))
    monkeypatch.setattr(fleet, "client", lambda *_: scaling)
    monkeypatch.setattr(fleet, "metadata", lambda _: "i-1")

    def update(*_: Any) -> None:
        if not succeeds:
            raise RuntimeError("the migration is missing")

    monkeypatch.setattr(fleet, "update", update)
    assert fleet.main("join") == (0 if succeeds else 1)
    assert scaling.results == expected
    expected_line = "does not serve the live releases: the migration is missing"
    if succeeds:
        expected_line = "This host serves the live releases"
    assert expected_line in capsys.readouterr().out


def test_look_does_not_complete_the_lifecycle_action(fleet, monkeypatch):
    scaling = Scaling("Pending:Wait")
    fleet.CONFIGURATION.write_text(json.dumps({"region": "eu-west-1", "hook": "ready"}))
    monkeypatch.setattr(fleet, "client", lambda *_: scaling)
    monkeypatch.setattr(fleet, "metadata", lambda _: "i-1")
    monkeypatch.setattr(fleet, "update", lambda *_: 1 / 0)
    assert fleet.main("look") == 1 and scaling.results == []


# --- The release of a host that joins ------------------------------------------------------------


def release_state(**more: Any) -> dict[str, Any]:
    item = {"name": "plain", "setup": ["seed"], "migrate": "flask db upgrade"}
    return {
        "item": item,
        "current": False,
        "content": "0123456789ab",
        "id": "",
        "commit": "",
        "pin": {},
    } | more


def test_joining_host_takes_the_live_release_without_migration():
    live = {"plain": {"id": "20261121T000000Z-0123456789ab", "pinned": False}}
    plan = release_plan({"web9": [release_state()]}, "web9", True, ["web1"], live)["plain"]
    assert (plan["id"], plan["made"]) == (live["plain"]["id"], False)
    assert (plan["migrates"], plan["setup"], plan["elsewhere"]) == (False, [], True)
    live["plain"]["pinned"] = True
    assert (
        release_plan({"web9": [release_state()]}, "web9", True, [], live)["plain"]["pin"]["release"]
        == plan["id"]
    )
    live["plain"]["id"] = "20261121T000000Z-ba9876543210"
    fault = release_plan({"web9": [release_state()]}, "web9", True, [], live)["plain"]["fault"]
    assert fault.startswith("plain: found a source with the hash 0123456789ab, exp"), fault
