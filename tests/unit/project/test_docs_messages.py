"""Messages that the documentation quotes exist in the code."""

from __future__ import annotations

import pytest
from repository import ROOT

TROUBLESHOOTING = "docs/troubleshooting.md"
CERTIFICATES = "docs/certificates.md"
CERTIFICATE_PROGRAM = "roles/certbot/files/certificates"
# A page, the file that prints the messages, and a part of each.
MESSAGES = {
    (TROUBLESHOOTING, "plugins/action/release.py"): [
        "found no branch, tag or commit",
        "found no such folder in commit",
        "found no file that git would track",
        "pinned to release",
    ],
    (TROUBLESHOOTING, "plugins/action/release_lock.py"): ["locked by"],
    (TROUBLESHOOTING, "plugins/modules/release.py"): ["found no folder"],
    (TROUBLESHOOTING, "plugins/module_utils/activation.py"): ["it did not go live"],
    (TROUBLESHOOTING, "plugins/module_utils/health.py"): ["no response ("],
    (TROUBLESHOOTING, "plugins/module_utils/live.py"): ["it ended", "it was not healthy within"],
    (TROUBLESHOOTING, "plugins/module_utils/start_hint.py"): [
        "No requirement provides the module",
        "The environment variable",
        "is not set",
    ],
    (TROUBLESHOOTING, "plugins/filter/release_plan.py"): [
        "the schema of the database has changed since release"
    ],
    (TROUBLESHOOTING, "roles/release/tasks/unreachable.yml"): ["the host became unreachable or"],
    (TROUBLESHOOTING, f"{CERTIFICATE_PROGRAM}/probe.py"): ["DNS has no address for"],
    (CERTIFICATES, f"{CERTIFICATE_PROGRAM}/probe.py"): [
        "does not reach this host",
        "responds with",
        "DNS has no address for",
    ],
    (CERTIFICATES, f"{CERTIFICATE_PROGRAM}/certbot_client.py"): [
        "issued no certificate",
        "account. certbot registers another",
        "the contact address was not changed",
    ],
    (CERTIFICATES, f"{CERTIFICATE_PROGRAM}/renewal.py"): ["and at most once an hour"],
    (CERTIFICATES, f"{CERTIFICATE_PROGRAM}/monitoring.py"): [
        "renewals have failed since",
        "its certificate expires",
        "Provide another",
    ],
    (CERTIFICATES, f"{CERTIFICATE_PROGRAM}/clock.py"): ["this host's clock is wrong"],
    (CERTIFICATES, f"{CERTIFICATE_PROGRAM}/installation.py"): [
        "still serves the old certificates",
        "is not the key of",
    ],
    (CERTIFICATES, "roles/base/files/alarm.py"): ["no mail could be sent"],
    ("docs/runtime.md", "plugins/module_utils/python_builds.py"): ["found the SHA-256"],
    ("docs/runtime.md", "plugins/module_utils/interpreter.py"): ["found the owner"],
    ("docs/aws-hosts.md", "plugins/plugin_utils/inventory_validation/topology.py"): ["found no instance"],
    ("docs/aws-hosts.md", "roles/credentials/files/credentials.py"): [
        "found no credential",
        "the parameter does not exist",
    ],
}


@pytest.mark.parametrize(
    ("page", "path", "words"), [(*files, words) for files, parts in MESSAGES.items() for words in parts]
)
def test_quoted_message_exists_in_code(page, path, words):
    for name in (page, path):
        assert words in (ROOT / name).read_text(), f"{name}: found no {words!r}, expected the same message"
