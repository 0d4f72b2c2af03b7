"""Secrets that a host fetches from AWS with the role of its instance."""

from __future__ import annotations

import base64
import http.server
import json
import os
import runpy
import threading
from types import SimpleNamespace

import cloud
import pytest
from ansible_collections.decanter.stack.plugins.plugin_utils.sites.environment import environment_file
from repository import ROOT

PROGRAM = ROOT / "roles/credentials/files/credentials.py"
ROLE = {
    "AccessKeyId": "ASIAOFTHEROLE",
    "SecretAccessKey": "x",
    "Token": "t",
    "Expiration": "2099-01-01T00:00:00Z",
}
SECRET = 'it\'s "quoted", $HOME `id` \\ and\nlonger'


class Metadata(http.server.BaseHTTPRequestHandler):
    """A stub of the instance metadata service (IMDSv2), which requires a session token."""

    def do_PUT(self) -> None:
        self.respond("token")

    def do_GET(self) -> None:
        roles = "/latest/meta-data/iam/security-credentials/"
        responses = {
            roles: "web",
            f"{roles}web": json.dumps(ROLE),
            "/latest/meta-data/placement/availability-zone/": "eu-west-1a",
        }
        self.respond(
            responses.get(self.path, "") if self.headers["X-aws-ec2-metadata-token"] == "token" else ""
        )

    def respond(self, text: str) -> None:
        self.send_response(200 if text else 401)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def endpoint():
    cloud.needed("botocore")
    with cloud.account() as address:
        yield address


@pytest.fixture
def metadata():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Return the program's names, with folders of the test. The environment is restored after the test."""
    cloud.needed("botocore")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_EC2_METADATA_V1_DISABLED", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "")
    names = runpy.run_path(str(PROGRAM))
    module = names["fetch"].__globals__
    module["SETTINGS"], module["FETCHED"] = tmp_path / "etc", tmp_path / "run"
    (tmp_path / "etc/plain").mkdir(parents=True)
    (tmp_path / "run/plain").mkdir(parents=True)
    return SimpleNamespace(**module | {"folder": tmp_path / "run/plain", "etc": tmp_path / "etc/plain"})


@pytest.fixture
def fetch(program, endpoint, metadata, monkeypatch):
    """Return a function that fetches secrets and returns the errors."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata)
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    def run(values: dict[str, str], delivery: str = "credentials") -> list[str]:
        (program.etc / "fetched.json").write_text(json.dumps({"as": delivery, "values": values}))
        (program.folder.parent / ".plain").unlink(missing_ok=True)
        return program.fetch("plain")

    return run


def put(endpoint: str, name: str, value: str) -> str:
    parameter = {"Name": name, "Value": value, "Type": "SecureString", "Overwrite": True}
    cloud.client("ssm", endpoint).put_parameter(**parameter)
    return f"ssm:{name}"


def test_ssm_and_kms_secrets_are_fetched(endpoint, fetch, program):
    kms = cloud.client("kms", endpoint)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"opened")["CiphertextBlob"]
    (program.folder / "OLD").write_text("no longer declared")
    sources = {
        "SECRET_KEY": put(endpoint, "/t/a", SECRET),
        "API_KEY": f"kms:{base64.b64encode(blob).decode()}",
    }
    assert fetch(sources) == []
    got = {
        path.name: (path.read_text(), oct(path.stat().st_mode & 0o777)) for path in program.folder.iterdir()
    }
    expected = {"SECRET_KEY": (SECRET, "0o600"), "API_KEY": ("opened", "0o600")}
    assert got == expected, f"expected {expected}, got {got}"


def test_only_the_file_of_a_changed_secret_is_written(endpoint, fetch, program):
    sources = {"A": put(endpoint, "/t/a", "first"), "B": put(endpoint, "/t/b", "same")}
    fetch(sources)
    before = {name: (program.folder / name).stat().st_ctime_ns for name in sources}
    folder = program.folder.stat().st_ctime_ns
    assert fetch(sources) == [] and program.folder.stat().st_ctime_ns == folder, (
        "expected nothing to be written"
    )
    put(endpoint, "/t/a", "second")
    fetch(sources)
    changed = {name for name in sources if (program.folder / name).stat().st_ctime_ns != before[name]}
    assert changed == {"A"} and (program.folder / "A").read_text() == "second", changed


def test_missing_secret_is_reported_and_files_are_kept(endpoint, fetch, program):
    fetch({"A": put(endpoint, "/t/a", "kept")})
    put(endpoint, "/t/a", "newer")
    got = fetch({"A": "ssm:/t/a", "B": "ssm:/t/missing", "C": f"kms:{base64.b64encode(b'x' * 60).decode()}"})
    assert got[0] == "plain: found no credential B at ssm:/t/missing: the parameter does not exist", got
    assert len(got) == 2 and got[1].startswith("plain: found no credential C at kms:eHh4eHh4…: "), got
    assert "newer" not in str(got) and (program.folder / "A").read_text() == "kept", got


def test_environment_file_has_the_syntax_of_systemd(endpoint, fetch, program):
    assert fetch({"SECRET_KEY": put(endpoint, "/t/a", SECRET)}, "environment") == []
    got = (program.folder / "environment").read_text()
    # The controller writes other secrets with environment_file(); systemd reads that file in the lab.
    expected = environment_file({"SECRET_KEY": SECRET}).split("\n", 1)[1]
    assert got == expected, f"expected {expected!r}, got {got!r}"


def test_second_fetch_within_seconds_sends_no_request(endpoint, fetch, program):
    fetch({"A": put(endpoint, "/t/a", "first")})
    put(endpoint, "/t/a", "second")
    assert program.fetch("plain") == [] and (program.folder / "A").read_text() == "first"


def test_instance_without_a_role_is_reported(program, endpoint, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{cloud.free_port()}")
    monkeypatch.setenv("AWS_REGION", cloud.REGION)
    (program.etc / "fetched.json").write_text(json.dumps({"as": "credentials", "values": {"A": "ssm:/t/a"}}))
    expected = [
        "plain: found no credential A at ssm:/t/a: the instance has no role, or its metadata does not answer"
    ]
    assert program.fetch("plain") == expected


def test_denied_access_is_not_reported_as_a_missing_secret(program):
    from botocore.exceptions import ClientError

    store = program.Store()

    def deny(**_: object) -> None:
        message = "User: arn:aws:sts::1:assumed-role/web/i-1 is not authorized to perform: ssm:GetParameter"
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": message}}, "GetParameter")

    store.clients["ssm"] = SimpleNamespace(get_parameter=deny)
    with pytest.raises(program.SecretError, match="the instance's role may not read it"):
        store.secret("ssm:/t/a")
