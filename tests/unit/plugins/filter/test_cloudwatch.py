"""The configuration of the CloudWatch agent, and the metrics that its statsd receives."""

from __future__ import annotations

import copy
import runpy
import socket
import subprocess
import sys

import jsonschema
import pytest
import yaml
from ansible_collections.decanter.stack.plugins.filter.cloudwatch import cloudwatch_configuration
from repository import ROOT

SCHEMA = yaml.safe_load((ROOT / "tests/unit/support/cloudwatch_schema.yml").read_text())
PROGRAM = ROOT / "roles/cloudwatch/files/metrics.py"
WANTED = {
    "log_group": "/decanter/staging",
    "sites": ["harbour", "plain"],
    "retention_days": 30,
    "namespace": "Decanter",
    "interval": 60,
    "disks": ["/", "/var/lib/mysql"],
    "metrics_directory": "/var/lib/decanter/metrics",
}
LEAST = {"sites": [], "retention_days": 0, "metrics_directory": ""}


@pytest.mark.parametrize("wanted", [WANTED, WANTED | LEAST], ids=["all", "least"])
def test_configuration_matches_the_schema_of_the_agent(wanted):
    jsonschema.Draft4Validator.check_schema(SCHEMA)
    jsonschema.Draft4Validator(SCHEMA).validate(cloudwatch_configuration(wanted))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("agent", "run_as"), "root"),
        (("metrics", "metrics_collected", "disk", "resource"), ["/"]),
        (("logs", "logs_collected", "journald", "collect_list", 0, "priority"), "warn"),
        (("logs", "logs_collected", "files", "collect_list", 0, "retention_in_days"), 31),
    ],
)
def test_schema_rejects_invalid_configurations(path, value):
    configuration = copy.deepcopy(cloudwatch_configuration(WANTED))
    node = configuration
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(SCHEMA).validate(configuration)


def test_each_site_has_its_own_log_stream():
    collected = cloudwatch_configuration(WANTED)["logs"]["logs_collected"]
    got = {
        each["log_stream_name"]: each["matches"][0]["SYSLOG_IDENTIFIER"]
        for each in collected["journald"]["collect_list"]
        if "matches" in each
    }
    expected = {"harbour/{instance_id}": "harbour", "plain/{instance_id}": "plain"}
    assert got == expected, f"expected {expected}, got {got}"


def test_log_groups_are_those_that_provisioning_creates():
    collected = cloudwatch_configuration(WANTED)["logs"]["logs_collected"]
    entries = [each for kind in collected.values() for each in kind["collect_list"]]
    got = {each["log_group_name"].removeprefix("/decanter/staging/") for each in entries}
    expected = {"nginx-access", "nginx-error", "journal", "sites"}
    assert got == expected, f"expected the groups {expected}, got {got}"


def test_agent_reads_the_metrics_of_certificates():
    roles = yaml.safe_load((ROOT / "playbooks/group_vars/all/roles.yml").read_text())
    written, read = (
        yaml.safe_load((ROOT / f"roles/{name}/defaults/main.yml").read_text())[f"{name}_metrics_directory"]
        for name in ("certbot", "cloudwatch")
    )
    assert written == read, f"expected one folder, got {written} and {read}"
    expected = f"{{{{ certbot_metrics_directory | default('{written}') }}}}"
    got = roles["cloudwatch_metrics_directory"]
    assert got == expected, f"expected {expected}, got {got}"


NOW = 1_800_000_000.0
SAMPLES = {
    "# HELP a b\n# TYPE a gauge\n": [],
    'decanter_certificate_alarm{site="plain"} 1\n': ["decanter_certificate_alarm:1|g|#site:plain"],
    "decanter_clock_wrong 0\n": ["decanter_clock_wrong:0|g"],
    f'x_not_after_seconds{{site="a",of="b"}} {NOW + 86400 * 1.5:.0f}\n': [
        "x_not_after_days:1.5|g|#site:a,of:b"
    ],
    f"x_last_run_seconds {NOW - 86400:.0f}\n": ["x_last_run_days:0|g", "x_last_run_days:-1|g"],
    "x_took_seconds 2.5\n": ["x_took_seconds:2.5|g"],
}


@pytest.mark.parametrize(("text", "expected"), SAMPLES.items(), ids=str)
def test_sample_is_converted_to_a_metric(text, expected):
    got = list(runpy.run_path(str(PROGRAM))["lines"](text, NOW))
    assert got == expected, f"expected {expected}, got {got}"


def test_metrics_are_sent_to_the_agent(tmp_path):
    (tmp_path / "certificates.prom").write_text("# TYPE a gauge\na 1\nb 2\n")
    (tmp_path / "other.txt").write_text("c 3\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
        agent.bind(("127.0.0.1", 0))
        agent.settimeout(10)
        subprocess.run([sys.executable, "-I", PROGRAM, tmp_path, str(agent.getsockname()[1])], check=True)
        got = [agent.recv(1000).decode() for _ in range(2)]
    assert got == ["a:1|g", "b:2|g"], got
