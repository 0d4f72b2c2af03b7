"""A configuration that a program rejects never stays in place, so a reboot serves what was served before.

The playbooks receive values that validation does not check: internal variables of roles.
"""

from __future__ import annotations

import json
import re
import subprocess

import pytest

pytestmark = pytest.mark.make_test_hosts()  # it takes 80 s
PAGES = ("https://harbour.test/readyz", "https://mirror.test/healthz")


def with_site(variable: str, site: str, keys: dict) -> dict[str, str]:
    """Return an expression for a variable: the resolved sites with changed keys of one site."""
    changed = (
        f"resolved_sites | selectattr('name', 'equalto', '{site}') | first | combine({keys}, recursive=true)"
    )
    others = f"resolved_sites | rejectattr('name', 'equalto', '{site}') | list"
    return {variable: f"{{{{ {others} + [{changed}] }}}}"}


# gunicorn does not start with it.
INVALID_SETTING = with_site("python_app_sites", "mirror", {"gunicorn": {"settings": {"umask": "plenty"}}})
# The tag, the variables, and words of the message.
REJECTED = {
    "nginx": (
        "nginx",
        {"__nginx_compressed": "text/css; plenty"},
        "/etc/nginx: the new content is invalid. The folder was not changed.",
    ),
    "sshd": (
        "base",
        {"__base_ssh_ports": [22, 70000]},
        "/etc/ssh/sshd_config.d: the new content is invalid. The folder was not changed.",
    ),
    # MariaDB reports it when it starts, MySQL when its configuration is checked.
    "database": (
        "mysql",
        {"__mysql_buffer_pool_mb": "plenty"},
        r"/etc/mysql(: the new content is invalid| has its previous content again, and mariadb)",
    ),
    "unit": (
        "python_app",
        with_site(
            "python_app_sites", "mirror", {"sandbox": {"MemoryMax": {"value": "plenty", "because": "x"}}}
        ),
        "systemd rejects the new unit files. No file was changed.",
    ),
    "site": ("python_app,release", INVALID_SETTING, "it did not go live, .* Still live is"),
}


@pytest.fixture
def converge(play, sites):
    """Return a function that converges with variables of roles, limited to tags."""

    def run(tags: str, **variables: object) -> subprocess.CompletedProcess:
        return play("site.yml", sites, "--tags", tags, "-e", json.dumps(variables))

    return run


def configuration(host) -> str:
    """Return the checksums of all files that the programs read."""
    folders = "/etc/nginx /etc/ssh/sshd_config.d /etc/mysql /etc/systemd/system /etc/decanter"
    with host.sudo():
        return host.check_output(
            f"find {folders} -type f -not -path '*/tls/*' -exec sha256sum {{}} + | sort -k 2"
        )


def copies(host) -> list[str]:
    """Return the copies of folders that a run makes, and that no run leaves."""
    with host.sudo():
        return host.check_output("find /etc -maxdepth 2 -name '.*.new' -o -name '.*.previous*'").split()


def test_rejected_configurations_are_not_served_after_a_reboot(host, visitor, sql, converge, reboot):
    before = configuration(host)
    for program, (tag, variables, words) in REJECTED.items():
        run = converge(tag, **variables)
        output = " ".join(run.stdout.split())
        assert run.returncode != 0 and re.search(words, output), f"expected {words!r}, got {run.stdout}"
        changed = set(before.splitlines()) ^ set(configuration(host).splitlines())
        assert not changed, f"{program}: expected the files of before, got {sorted(changed)}"
    assert not copies(host), f"expected no copies of folders, got {copies(host)}"

    reboot(PAGES[0])
    for page in PAGES:
        status = visitor.get(page).status_code
        assert status == 200, f"expected {page} with 200 after the reboot, got {status}"
    state = host.run("systemctl is-system-running --wait").stdout.strip()
    assert state == "running", f"expected every unit to be active, got {state}"
    assert sql("harbour", "SELECT 1") == "1", "expected the database to answer"


def test_rejected_vhost_is_left_out_and_others_are_served(host, variables, visitor, converge):
    """The vhost of myproject stays, that of mirror changes, and the run ends with an error."""
    frames = with_site("other", "mirror", {"nginx": {"headers": {"X-Frame-Options": "SAMEORIGIN"}}})["other"]
    changes = with_site("nginx_sites", "myproject", {"nginx": {"client_max_body_size": "plenty"}})
    changes = {"nginx_sites": changes["nginx_sites"].replace("resolved_sites", "other"), "other": frames}
    run = converge("nginx,release", **changes)
    output = " ".join(run.stdout.split())
    assert run.returncode != 0 and "Failed sites: myproject." in output, run.stdout
    name = variables["inventory_hostname"]
    for words in (
        f"myproject {name} failed: `nginx -t -q` rejects its new files: ",
        f"mirror {name} unchanged",
        '"client_max_body_size" directive invalid value in /etc/nginx/decanter/myproject/locations.conf:',
    ):
        assert words in output, f"expected {words!r}, got {run.stdout}"
    frames = visitor.get("https://mirror.test/healthz").headers["X-Frame-Options"]
    assert frames == "SAMEORIGIN", f"expected the new vhost of mirror, got the header {frames}"
    page = visitor.get(f"https://{variables['ansible_host']}/")
    assert page.status_code == 200, f"expected myproject with its previous vhost, got {page.status_code}"

    run = converge("nginx")
    assert run.returncode == 0, run.stdout
    frames = visitor.get("https://mirror.test/healthz").headers["X-Frame-Options"]
    assert frames == "DENY", f"expected the vhost of the inventory, got the header {frames}"


def test_run_killed_before_the_reload_is_not_served_after_a_reboot(host, visitor, reboot):
    """The run ended between the exchange of /etc/nginx and the reload of nginx."""
    with host.sudo():
        host.check_output("cp --archive /etc/nginx /etc/.nginx.previous")
        host.check_output("echo 'http { plenty; }' > /etc/nginx/nginx.conf")
    reboot(PAGES[0])
    status = visitor.get(PAGES[1]).status_code
    assert status == 200, f"expected {PAGES[1]} with 200 after the reboot, got {status}"
    assert not copies(host), f"expected no copies of folders, got {copies(host)}"


def test_settings_that_no_release_runs_with_are_not_served_after_a_reboot(host, visitor, converge, reboot):
    """The run ended between the files of a site and the activation of its release."""
    before = configuration(host)
    run = converge("python_app", **INVALID_SETTING)
    assert run.returncode == 0 and configuration(host) != before, f"expected new files, got {run.stdout}"
    reboot(PAGES[0])
    assert configuration(host) == before, "expected the files of before"
    status = visitor.get(PAGES[1]).status_code
    assert status == 200, f"expected {PAGES[1]} with 200 after the reboot, got {status}"
