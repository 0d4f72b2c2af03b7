"""What each role needs of `sites`: the one dictionary, cut to the roles' own variables.

Each takes the whole of `sites`, with its defaults filled in, and returns a list; playbooks/group_vars
says which role's variable it becomes. Paths on the host are said here once.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible.errors import AnsibleFilterError

SOCKETS = {"mysql": "/run/mysqld/mysqld.sock"}
TLS = "/etc/decanter/tls"
# Where a Python is looked for: the distribution's first, which has its security updates.
PYTHONS = ("/usr/bin/python{}", "/usr/local/bin/python{}", "/opt/python*/bin/python{}")


def _sites(sites: dict[str, Any]) -> list[dict[str, Any]]:
    """Each site that is served, with its name."""
    return [{"name": name, **site} for name, site in sites.items() if site["state"] == "present"]


def absent_sites(sites: dict[str, Any]) -> list[str]:
    """The names of those that are no longer served."""
    return [name for name, site in sites.items() if site["state"] == "absent"]


def site_packages(sites: dict[str, Any]) -> list[str]:
    """The native packages that any of them needs."""
    return sorted({package for site in _sites(sites) for package in site["packages"]})


def _pythons(site: dict[str, Any]) -> list[str]:
    """Where a site's interpreter may be; nothing where it is the distribution's own."""
    wanted = site.get("python", "")
    return [wanted] if wanted.startswith("/") else [path.format(wanted) for path in PYTHONS if wanted]


def base_pythons(sites: dict[str, Any]) -> list[dict[str, Any]]:
    """The interpreters that sites ask for, the package that may bring each, and a refusal's words."""
    pythons = []
    for site in _sites(sites):
        if paths := _pythons(site):
            package = f"python{site['python']}-venv" if len(paths) > 1 else ""
            found = f"found no Python with its venv module at {', '.join(paths)}"
            expected = f"expected one there, or the package {package}" if package else "expected one there"
            refusal = f"sites.{site['name']}.python: {found}, {expected}"
            pythons.append({"paths": paths, "package": package, "refusal": refusal})
    return pythons


def _pick(site: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: site[key] for key in keys if key in site}


def database_url(site: dict[str, Any]) -> str:
    """The address of a site's database, as SQLAlchemy and most others read it."""
    database = site["database"]
    password = f":{quote(database['password'], safe='')}" if database["auth"] == "password" else ""
    socket = quote(SOCKETS[database["engine"]], safe="/")
    return f"mysql+pymysql://{site['name']}{password}@localhost/{database['name']}?unix_socket={socket}&charset=utf8mb4"


def python_app_sites(sites: dict[str, Any]) -> list[dict[str, Any]]:
    result = []
    for site in _sites(sites):
        app = _pick(site, "name", "wsgi", "packages", "outbound")
        if len(pythons := _pythons(site)) > 1:
            app["python"] = {"package": f"python{site['python']}-venv", "instead": pythons[1:]}
        app["env"], app["credentials"] = dict(site["env"]), dict(site["secrets"])
        if "database" in site:
            secret = site["database"]["auth"] == "password"
            app["credentials" if secret else "env"].setdefault("DATABASE_URL", database_url(site))
        app["processes"] = [
            {"name": name, "command": command} for name, command in sorted(site["processes"].items())
        ]
        app["timers"] = [{"name": name, **timer} for name, timer in sorted(site["timers"].items())]
        result.append(app)
    return result


def gunicorn_sites(sites: dict[str, Any]) -> list[dict[str, Any]]:
    return [_pick(site, "name", "wsgi") | site["gunicorn"] for site in _sites(sites)]


def release_sources(sites: dict[str, Any], source_root: str) -> dict[str, dict[str, str]]:
    """Where each site's code comes from. A relative path starts where the playbooks are, as Ansible's do."""
    sources = {}
    for site in _sites(sites):
        source = dict(site["source"])
        if "path" in source:
            source["path"] = str(_here(source["path"], source_root))
        else:
            source.setdefault("version", "main")
        if "key" in source and "-----BEGIN" not in source["key"]:
            source["key"] = str(_here(source["key"], source_root))
        sources[site["name"]] = source
    return sources


def release_sites(sites: dict[str, Any], only: str = "") -> list[dict[str, Any]]:
    """All sites, or the one of a name. Raises AnsibleFilterError when there is none of it."""
    names = [site["name"] for site in _sites(sites)]
    if only and only not in names:
        raise AnsibleFilterError(f"SITE: found {only}, expected one of: {', '.join(names)}")
    return [
        {
            **_pick(site, "name", "packages", "migrate", "migrated", "once", "health", "static"),
            **_pick(site, "requirements", "build", "uploads"),
            "python": _pythons(site),
            "host": site["server_names"][0],
            "database": site.get("database", {}).get("name", ""),
            "processes": sorted(site["processes"]),
            "timers": sorted(site["timers"]),
            # What its units read beside their own files.
            "reads": [
                f"/etc/decanter/{site['name']}/{name}"
                for name in ("environment", "credentials", "gunicorn.conf.py")
            ],
        }
        for site in _sites(sites)
        if only in ("", site["name"])
    ]


def release_site(sites: dict[str, Any], only: str) -> dict[str, Any]:
    """The one site that is meant. Raises AnsibleFilterError where nobody knows which."""
    found = release_sites(sites, only)
    if len(found) != 1:
        names = ", ".join(site["name"] for site in found)
        raise AnsibleFilterError(f"SITE: found nothing, expected one of: {names}")
    return found[0]


def companion_units(python_app_sites: list[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    """Each process or timer of each site, by the name of its unit, and the site that it is `of`."""
    return [
        {**companion, "name": f"{site['name']}.{companion['name']}", "of": site}
        for site in python_app_sites
        for kind in kinds
        for companion in site[kind]
    ]


def nginx_sites(sites: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            **_pick(site, "name", "server_names"),
            "upstream": f"/run/decanter/{site['name']}/live.sock",
            "certificate": f"{TLS}/{site['name']}/fullchain.pem",
            "key": f"{TLS}/{site['name']}/privkey.pem",
            "body_size": site["nginx"]["body_size"],
            "timeout": site["gunicorn"]["timeout"],
            "static": [
                {"url": folder["url"], "directory": f"/srv/{site['name']}/assets/{folder['url'].strip('/')}"}
                for folder in site["static"]
            ],
        }
        for site in _sites(sites)
    ]


def certbot_sites(sites: dict[str, Any], source_root: str) -> list[dict[str, Any]]:
    return [
        {
            **_pick(site, "name", "server_names"),
            "mode": site["tls"]["mode"],
            **{
                key: _pem(site["tls"][key], source_root)
                for key in ("certificate", "key")
                if key in site["tls"]
            },
        }
        for site in _sites(sites)
    ]


def _pem(value: str, source_root: str) -> str:
    """PEM text, whether it was given as such or as the path of a file on the controller."""
    return value if "-----BEGIN" in value else _here(value, source_root).read_text()


def _here(path: str, source_root: str) -> Path:
    """A path on the controller, where ~/ is somebody's home."""
    return Path(source_root) / (Path(path).expanduser() if path.startswith("~/") else path)


def certificate_files(certbot_sites: list[dict[str, Any]], directory: str) -> list[dict[str, Any]]:
    """Each site's folder, and the chain and the key of those that provide theirs."""
    files: list[dict[str, Any]] = [{"path": directory, "state": "directory", "mode": "0700"}]
    for site in certbot_sites:
        folder = f"{directory}/{site['name']}"
        files.append({"path": folder, "state": "directory", "mode": "0700"})
        if site["mode"] == "provided":
            files += [
                {"path": f"{folder}/{name}.pem", "content": site[key], "mode": "0600"}
                for name, key in (("privkey", "key"), ("fullchain", "certificate"))
            ]
    return files


def certificates_made(certbot_sites: list[dict[str, Any]], authority: str) -> list[dict[str, Any]]:
    """What module certificates_due has to know of each site."""
    return [
        _pick(site, "name", "server_names") | {"authority": authority if site["mode"] == "ca" else ""}
        for site in certbot_sites
    ]


def mysql_databases(sites: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": site["database"]["name"]} for site in _sites(sites) if "database" in site]


def mysql_users(sites: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": site["name"],
            **_pick(site["database"], "auth", "password"),
            "databases": [site["database"]["name"]],
        }
        for site in _sites(sites)
        if "database" in site
    ]


def credential_files(python_app_sites: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each site's folder of credentials, which has nothing else in it, and a file for each of them."""
    files: list[dict[str, Any]] = []
    for site in python_app_sites:
        folder = f"/etc/decanter/{site['name']}/credentials"
        files.append({"path": folder, "state": "directory", "mode": "0700", "exclusive": True})
        files += [
            {"path": f"{folder}/{name}", "content": value, "mode": "0600"}
            for name, value in sorted(site.get("credentials", {}).items())
        ]
    return files


def site_urls(sites: dict[str, Any], port: int, only: str = "") -> list[dict[str, str]]:
    """The canonical address of each site, or of one; where it is asked for its health; who vouches for it."""
    suffix = "" if int(port) == 443 else f":{port}"
    return [
        {
            "name": site["name"],
            "url": f"https://{url_host(site['server_names'][0])}{suffix}/",
            "probe": f"https://{url_host(site['server_names'][0])}{suffix}{site['health']['path']}",
            "mode": site["tls"]["mode"],
        }
        for site in _sites(sites)
        if only in ("", site["name"])
    ]


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def with_address(sites: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are asked for by an address, too."""
    return [site for site in sites if any(is_address(name) for name in site["server_names"])]


def subject_alternative_names(names: list[str]) -> list[str]:
    return [f"{'IP' if is_address(name) else 'DNS'}:{name}" for name in names]


def url_host(name: str) -> str:
    """A name as it stands in a URL or an nginx configuration: an IPv6 address in brackets."""
    return f"[{name}]" if is_address(name) and ":" in name else name


class FilterModule:
    def filters(self) -> dict[str, Any]:
        functions = (
            *(
                absent_sites,
                base_pythons,
                site_packages,
                python_app_sites,
                gunicorn_sites,
                certbot_sites,
                nginx_sites,
            ),
            *(release_sites, release_site, release_sources, companion_units),
            *(mysql_databases, mysql_users, credential_files),
            *(certificate_files, certificates_made, subject_alternative_names),
            *(site_urls, with_address, url_host),
        )
        return {function.__name__: function for function in functions}
