"""The state of HAProxy's servers that is saved for the next process."""

from __future__ import annotations

import pytest
from ansible_collections.decanter.stack.plugins.module_utils.shared import haproxy

HEADER = "# be_id be_name srv_id srv_name srv_admin_state srv_port srvrecord srv_use_ssl srv_check_port"
STATE = f"1\n{HEADER}\n4 shop 1 web1 0 443 - {{0}} 0\n4 shop 2 web2 5 443 - {{0}} 0\n"


@pytest.mark.parametrize(
    ("mode", "running", "expected"),
    [("passthrough", "1", "0"), ("web", "0", "1"), ("passthrough", "0", "0"), ("web", "1", "1")],
)
def test_saved_state_has_the_tls_of_the_configuration(monkeypatch, tmp_path, mode, running, expected):
    (tmp_path / "haproxy.cfg").write_text(f"global\n\nfrontend https from {mode}\n    bind :443\n")
    monkeypatch.setattr(haproxy, "CONFIGURATION", tmp_path)
    monkeypatch.setattr(haproxy, "STATE", tmp_path / "state")
    monkeypatch.setattr(haproxy, "run", lambda command: STATE.format(running).strip())
    haproxy.save_state()
    assert (tmp_path / "state").read_text() == STATE.format(expected)
