"""The live source that the action fleet_publish puts in a bucket."""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.action import fleet_publish
from fleet_store import looks, publish


def test_manifest_is_published_last_and_changes_once(store, parameters):
    assert publish(store, parameters, dry=True) and store.put == [], "expected a check to publish nothing"
    assert publish(store, parameters)
    assert store.put[-1] == "decanter/live.json", store.put
    assert not publish(store, parameters) and len(store.put) == 5, store.put


def test_archive_has_one_inventory_and_no_application(store, parameters):
    publish(store, parameters)
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
    assert others == [], f"expected one inventory, and neither an application nor .git, got {others}"


def test_different_live_releases_are_rejected(store, parameters, app):
    parameters["looks"] = looks(app, web1=parameters["live"], web2="20261120T000000Z-0123456789ab")
    with pytest.raises(
        fleet_publish.PublishError, match=r"plain: found 20261120\S+ on web2 and .* on web1, expected one"
    ):
        publish(store, parameters)
    assert store.put == []


def test_source_changed_after_the_deploy_is_rejected(store, parameters, app):
    Path(app["path"], "app.py").write_text("app = 2\n")
    with pytest.raises(fleet_publish.PublishError, match="make deploy SITE=plain"):
        publish(store, parameters)
    assert "decanter/live.json" not in store.objects


def test_rollback_uses_the_published_source(store, parameters, app):
    publish(store, parameters)
    Path(app["path"], "app.py").write_text("app = 2\n")
    # The live release is the published one, so the source on the controller is not read.
    assert not publish(store, parameters)


@pytest.mark.parametrize("path", ["../outside", "nowhere"])
def test_invalid_path_of_a_fleet_file_is_rejected(store, parameters, path):
    parameters["files"] = [path]
    with pytest.raises(fleet_publish.PublishError, match=rf'fleet_files: found "{path}"'):
        publish(store, parameters)
