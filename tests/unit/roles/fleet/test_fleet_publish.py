"""The live source that the action fleet_publish puts in a bucket."""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.action import fleet_publish
from fleet_store import looks, publish


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
    with pytest.raises(fleet_publish.PublishError, match="make deploy SITE=plain"):
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
