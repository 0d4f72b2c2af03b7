"""What each role needs of `sites`: the one dictionary, cut to the roles' own variables.

Each takes the whole of `sites`, with its defaults filled in, and returns a list; playbooks/group_vars
says which role's variable it becomes. Paths on the host are said here once.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible.errors import AnsibleFilterError
from ansible_collections.decanter.stack.plugins.module_utils.shared.addresses import parse_address
from ansible_collections.decanter.stack.plugins.module_utils.site import SERVICES

SOCKETS = {"mysql": "/run/mysqld/mysqld.sock"}
# What a URL adds beside the authority, so that a driver verifies that and the server's name. PyMySQL needs
# no more; sites_check.py refuses the drivers that a URL cannot tell.
VERIFIED = {
    "mysql+pymysql": "",
    "mysql": "&ssl_mode=VERIFY_IDENTITY",
    "mysql+mysqldb": "&ssl_mode=VERIFY_IDENTITY",
    "mysql+mysqlconnector": "&use_pure=true&ssl_verify_cert=true&ssl_verify_identity=true",
}
# The distributions that provide the driver of a scheme, the usual one first.
DRIVERS = {
    "mysql": ("mysqlclient",),
    "mysql+mysqldb": ("mysqlclient",),
    "mysql+pymysql": ("pymysql",),
    "mysql+mysqlconnector": ("mysql-connector-python", "mysql-connector"),
    "mysql+aiomysql": ("aiomysql",),
    "mysql+asyncmy": ("asyncmy",),
    "mysql+cymysql": ("cymysql",),
}
TLS = "/etc/decanter/tls"
AUTHORITY = "/etc/decanter/balancer-authority.pem"
# How the value of a secret begins that is a parameter's path, or what a key of KMS has encrypted.
FETCHED = ("ssm:", "kms:")
# Where it is while the host runs: in memory, root's alone.
FETCHED_FOLDER = "/run/decanter-credentials/{}"
# The placeholder for the folder of a release in variables and commands.
RELEASE = "{release}"
# Where a Python is looked for: the distribution's first, which has its security updates. The last one is
# managed: the module managed_python installs it where the host has no other.
PYTHONS = (
    "/usr/bin/python{}",
    "/usr/local/bin/python{}",
    "/opt/python*/bin/python{}",
    "/opt/decanter/python/bin/python{}",
)


def _sites(sites: dict[str, Any]) -> list[dict[str, Any]]:
    """Each site that is served, with its name."""
    return [{"name": name, **site} for name, site in sites.items() if site["state"] == "present"]


def absent_sites(sites: dict[str, Any]) -> list[str]:
    """The names of those that are no longer served."""
    return [name for name, site in sites.items() if site["state"] == "absent"]


def site_names(sites: dict[str, Any]) -> list[str]:
    """The names of those that are served."""
    return [site["name"] for site in _sites(sites)]


def site_packages(sites: dict[str, Any]) -> list[str]:
    """Return the native packages that the sites and their services need."""
    return sorted(
        {
            package
            for site in _sites(sites)
            for package in (*site["packages"], *(SERVICES[name].package for name in site["services"]))
        }
    )


def _pythons(site: dict[str, Any]) -> list[str]:
    """Where a site's interpreter may be; nothing where it is the distribution's own."""
    wanted = site.get("python", "")
    return [wanted] if wanted.startswith("/") else [path.format(wanted) for path in PYTHONS if wanted]


def _package(site: dict[str, Any]) -> str:
    """The distribution's package of a site's Python; nothing where the site names a path, or no Python."""
    return f"python{site['python']}" if len(_pythons(site)) > 1 else ""


def base_pythons(sites: dict[str, Any], pins: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each site's interpreter: its paths, its package, machines that can download it, and a refusal.

    The pins are the builds that hosts may download, as in roles/python_app/files/pythons.json.
    """
    pythons = []
    for site in _sites(sites):
        if not (paths := _pythons(site)):
            continue
        package, expected, machines = _package(site), "expected one there", []
        if package:
            builds = [(f"{pin['major']}.{pin['minor']}", pin["arch"]["family"]) for pin in pins.values()]
            versions = sorted(
                {version for version, _ in builds}, key=lambda each: [*map(int, each.split("."))]
            )
            machines = sorted({machine for version, machine in builds if version == site["python"]})
            expected += f", the package {package}, or a version that can be downloaded: {', '.join(versions)}"
        found = f"found no Python at {', '.join(paths)}"
        refusal = f"sites.{site['name']}.python: {found}, {expected}"
        pythons.append({"paths": paths, "package": package, "machines": machines, "refusal": refusal})
    return pythons


def _pick(site: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: site[key] for key in keys if key in site}


def database_pieces(site: dict[str, Any], server: dict[str, Any]) -> dict[str, str]:
    """What an application may be told of its database, by the words that `variables` has for it.

    The server has a `host`, which is empty where it is this host's own, a `port`, and the file of its
    authority, `ca`.
    """
    database = site["database"]
    pieces = {"name": database["name"], "user": site["name"]}
    if database["auth"] == "socket":
        pieces |= {"host": "localhost", "socket": SOCKETS[database["engine"]]}
    else:
        # Not localhost, which many a driver takes for a socket.
        pieces |= {"host": server["host"] or "127.0.0.1", "port": str(server["port"])}
        pieces |= {"password": database["password"]} | ({"ca": server["ca"]} if server["host"] else {})
    return pieces | {"url": _database_url(database["scheme"], pieces)}


def _fetched(secrets: dict[str, str]) -> dict[str, str]:
    """Those of which only says where it is, which the host fetches itself."""
    return {name: value for name, value in secrets.items() if value.startswith(FETCHED)}


def fetching_sites(sites: dict[str, Any]) -> list[str]:
    """The names of those that have such a secret."""
    return [site["name"] for site in _sites(sites) if _fetched(site["secrets"])]


def _timers(site: dict[str, Any], first: bool) -> dict[str, dict[str, str]]:
    """The timers of a host: those of one host are the first one's."""
    return {name: timer for name, timer in sorted(site["timers"].items()) if first or timer["on"] == "all"}


def _database_url(scheme: str, pieces: dict[str, str]) -> str:
    """The address of a database, as SQLAlchemy and most others read it."""
    password = f":{quote(pieces['password'], safe='')}" if "password" in pieces else ""
    port = f":{pieces['port']}" if "port" in pieces else ""
    query = "charset=utf8mb4"
    if "socket" in pieces:
        query = f"unix_socket={quote(pieces['socket'], safe='/')}&{query}"
    if "ca" in pieces:
        query = f"ssl_ca={quote(pieces['ca'], safe='/')}{VERIFIED.get(scheme, '')}&{query}"
    return f"{scheme}://{pieces['user']}{password}@{url_host(pieces['host'])}{port}/{pieces['name']}?{query}"


def python_app_sites(
    sites: dict[str, Any], server: dict[str, Any], first: bool = True
) -> list[dict[str, Any]]:
    """All sites, with what each is told of its database on this server."""
    result = []
    for site in _sites(sites):
        app = _pick(site, "name", "wsgi", "packages", "sandbox")
        if package := _package(site):
            # Not the first, which the package has to complete, and not the managed one, which it replaces.
            app["python"] = {"version": site["python"], "package": package, "instead": _pythons(site)[1:-1]}
        app["build_outbound"] = site["build_outbound"]
        app["outbound"], app["networks"] = bool(site["outbound"]), []
        if isinstance(site["outbound"], dict):
            app["networks"] = [
                {"name": name, **network} for name, network in sorted(site["outbound"].items())
            ]
        env, secrets = dict(site["env"]), dict(site["secrets"])
        if "database" in site:
            pieces = database_pieces(site, server)
            for name, piece in site["database"]["variables"].items():
                secret = piece in ("url", "password") and "password" in pieces
                if name not in env and name not in secrets:  # the site's own wins over the default
                    (secrets if secret else env)[name] = pieces[piece]
            if server["host"]:
                app["database"] = _pick(pieces, "host", "port", "user", "password", "ca")
        app["after"] = [f"{service}@{site['name']}.service" for service in sorted(site["services"])]
        for service in (SERVICES[name] for name in sorted(site["services"])):
            if service.variable not in secrets:
                env.setdefault(service.variable, service.address.format(site["name"]))
        app["env"] = {name: value for name, value in env.items() if RELEASE not in value}
        app["release_env"] = _release_env(site)
        app["fetched"] = _fetched(secrets)
        kept = {name: value for name, value in secrets.items() if name not in app["fetched"]}
        app["secret_delivery"] = site["secret_delivery"]
        app["secret_env" if site["secret_delivery"] == "environment" else "credentials"] = kept
        app["instance_role"] = site["instance_role"]
        app["processes"] = [
            {"name": name, "command": command} for name, command in sorted(site["processes"].items())
        ]
        app["timers"] = [
            {"name": name, **_pick(timer, "command", "calendar")}
            for name, timer in _timers(site, first).items()
        ]
        result.append(app)
    return result


def service_instances(sites: dict[str, Any]) -> list[dict[str, str]]:
    """Return the instances of services that sites have."""
    return [
        {"service": service, "name": site["name"]}
        for service in SERVICES
        for site in _sites(sites)
        if service in site["services"]
    ]


def absent_service_instances(units: list[str], instances: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the instances of services among a host's units, such as redis@myproject, that no site has."""
    pairs = [unit.split("@", 1) for unit in units]
    found = [{"service": service, "name": name} for service, name in pairs if service in SERVICES]
    return [instance for instance in found if instance not in instances]


def gunicorn_sites(sites: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        _pick(site, "name", "wsgi") | site["gunicorn"] | {"release_env": _release_env(site)}
        for site in _sites(sites)
    ]


def _release_env(site: dict[str, Any]) -> dict[str, str]:
    """Return the variables that contain the folder of a release, which differs by unit."""
    return {name: value for name, value in site["env"].items() if RELEASE in value}


def python_literal(value: Any) -> str:
    """A value of YAML as Python reads it."""
    return repr(str(value) if isinstance(value, str) else value)


def release_sources(sites: dict[str, Any], source_root: str) -> dict[str, dict[str, str]]:
    """Where each site's code comes from. A relative path starts at source_root."""
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


def with_sources(sites: dict[str, Any], sources: dict[str, Any]) -> dict[str, Any]:
    """The sites, whose code comes from elsewhere than they say; that of one that is absent from nowhere."""
    return {name: {**site, "source": sources.get(name, {"path": "."})} for name, site in sites.items()}


def release_sites(sites: dict[str, Any], only: str = "", first: bool = True) -> list[dict[str, Any]]:
    """All sites, or the one of a name, as the first host that serves them has them, or another.

    Raises AnsibleFilterError when there is none of that name.
    """
    names = [site["name"] for site in _sites(sites)]
    if only and only not in names:
        raise AnsibleFilterError(f"SITE: found {only}, expected one of: {', '.join(names)}")
    return [
        {
            **_pick(site, "name", "packages", "migrate", "migration_check", "setup", "health", "static"),
            **_pick(site, "build", "uploads", "install"),
            "requirements": site.get("requirements", ""),
            "driver": _driver(site),
            "indexes": [_pick(index, "name", "url", "default") for index in site["indexes"]],
            "python": _pythons(site),
            "host": site["server_names"][0],
            "worker_class": site["gunicorn"]["worker_class"],
            "database": site.get("database", {}).get("name", ""),
            "processes": sorted(site["processes"]),
            "timers": list(_timers(site, first)),
            # What its units read beside their own files.
            "reads": [
                f"/etc/decanter/{site['name']}/{name}"
                for name in ("environment", "credentials", "secrets.env", "fetched.json", "gunicorn.conf.py")
            ]
            + ([FETCHED_FOLDER.format(site["name"])] if _fetched(site["secrets"]) else []),
            "fetches": bool(_fetched(site["secrets"])),
        }
        for site in _sites(sites)
        if only in ("", site["name"])
    ]


def _driver(site: dict[str, Any]) -> dict[str, Any]:
    """Return the driver that the URL of the site's database names, and its distributions."""
    database = site.get("database", {})
    distributions = DRIVERS.get(database.get("scheme", ""))
    if not distributions or "url" not in database["variables"].values():
        return {}
    return {"scheme": database["scheme"], "any_of": list(distributions)}


def release_secrets(sites: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return the environment variables with the package indexes of each site and their credentials."""
    return {site["name"]: _index_variables(site["indexes"]) | site["build_secrets"] for site in _sites(sites)}


def _index_variables(indexes: list[dict[str, Any]]) -> dict[str, str]:
    variables = {
        "UV_DEFAULT_INDEX": [f"{index['name']}={index['url']}" for index in indexes if index["default"]],
        "UV_INDEX": [f"{index['name']}={index['url']}" for index in indexes if not index["default"]],
    }
    found = {name: " ".join(values) for name, values in variables.items() if values}
    for index in indexes:
        for key in ("username", "password"):
            if key in index:
                found[f"UV_INDEX_{index['name'].upper().replace('-', '_')}_{key.upper()}"] = index[key]
    return found


def release_files(sites: dict[str, Any], source_root: str) -> dict[str, dict[str, dict[str, str]]]:
    """Return each site's files by their paths in a release, with absolute paths on the controller."""
    return {
        site["name"]: {
            path: {
                key: str(_here(value, source_root)) if key in ("path", "template") else value
                for key, value in file.items()
            }
            for path, file in site["files"].items()
        }
        for site in _sites(sites)
    }


def release_site(sites: dict[str, Any], only: str, first: bool = True) -> dict[str, Any]:
    """The one site that is meant. Raises AnsibleFilterError where nobody knows which."""
    found = release_sites(sites, only, first)
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


# A path that can stand in nginx's configuration, and is not the page that visitors come for.
OWN_PATH = re.compile(r"/[\w.~+@:,/-]+", re.ASCII)


def nginx_sites(sites: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            **_pick(site, "name", "server_names"),
            **_door(site["nginx"]),
            "basic_auth": "basic_auth" in site["nginx"],
            "health": path if OWN_PATH.fullmatch(path := site["health"]["path"].split("?")[0]) else "",
            "upstream": f"/run/decanter/{site['name']}/live.sock",
            "certificate": f"{TLS}/{site['name']}/fullchain.pem",
            "key": f"{TLS}/{site['name']}/privkey.pem",
            "client_max_body_size": site["nginx"]["client_max_body_size"],
            "timeout": site["gunicorn"]["timeout"],
            "static": [
                {"url": folder["url"], "directory": f"/srv/{site['name']}/assets/{folder['url'].strip('/')}"}
                for folder in site["static"]
            ],
        }
        for site in _sites(sites)
    ]


def _door(nginx: dict[str, Any]) -> dict[str, Any]:
    """A site's headers, by the names that the defaults have; its limits and its cache where it has them."""
    headers = {name.title(): value for name, value in nginx["headers"].items()}
    door = {"headers": headers, "hsts": nginx["hsts"]}
    if nginx["limits"]:
        door["limits"] = nginx["limits"]
    if nginx["cache"]:
        given = nginx["cache"] if isinstance(nginx["cache"], dict) else {}
        door["cache"] = {"seconds": 1, "harmless_cookies": [], "except": []} | given
    return door


def nginx_cookie(name: str) -> str:
    """The expression for a cookie's name; one that ends with * stands for all that begin so."""
    return re.escape(name.removesuffix("*")) + (r"[\w.-]*" if name.endswith("*") else "")


def site_passwords(sites: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The users of each site that asks for a password, and theirs."""
    return {
        site["name"]: site["nginx"]["basic_auth"] for site in _sites(sites) if "basic_auth" in site["nginx"]
    }


def nginx_balanced_sites(
    sites: dict[str, Any], members: list[dict[str, str]], authority: str
) -> list[dict[str, Any]]:
    """What nginx on a balancer has to know of each; an authority may vouch for the members."""
    balanced = {site["name"]: site for site in balancer_sites(sites, authority)}
    return [
        {
            **_pick(site, "name", "server_names", "certificate", "key", "client_max_body_size", "timeout"),
            **_pick(site, "headers", "hsts", "limits", "health"),
            # Web hosts ask for passwords and keep pages, each its own.
            "basic_auth": False,
            "static": [],
            "balanced": {
                "sockets": [
                    f"/run/decanter/balancer/{site['name']}/{member['name']}.sock" for member in members
                ],
                "name": balanced[site["name"]]["tls_name"],
                "authority": AUTHORITY if balanced[site["name"]]["verified"] else "",
            },
        }
        for site in nginx_sites(sites)
    ]


def balancer_sites(sites: dict[str, Any], authority: str) -> list[dict[str, Any]]:
    """What a balancer asks the web hosts for, and whether their certificates can be verified."""
    result = []
    for site in _sites(sites):
        names = [name for name in site["server_names"] if not (parse_address(name) or is_wildcard(name))]
        result.append(
            {
                **_pick(site, "name", "server_names"),
                # A handshake can name neither an address nor a wildcard, nor nginx verify one.
                "tls_name": [*names, site["server_names"][0]][0],
                "verified": bool(authority and names and site["tls"]["mode"] == "ca"),
                "path": site["health"]["path"],
            }
        )
    return result


def host_addresses(names: list[str], hostvars: dict[str, Any]) -> list[dict[str, str]]:
    """The hosts, each with the address by which web hosts and balancers know it."""
    return [{"name": name, "address": host_address(name, hostvars[name])} for name in names]


def host_address(name: str, variables: dict[str, Any]) -> str:
    return str(variables.get("balancer_address", variables.get("ansible_host", name)))


def challenge_peers(sites: dict[str, Any], names: list[str], hostvars: dict[str, Any]) -> list[str]:
    """The addresses at which others are asked for a proof; none where nobody will ask for one."""
    tls = [site["tls"] for site in _sites(sites)]
    if all(each["mode"] != "acme" or each.get("challenge") == "route53" for each in tls):
        return []
    return [host["address"] for host in host_addresses(names, hostvars)]


def certbot_sites(
    sites: dict[str, Any], source_root: str, behind_balancers: bool = False
) -> list[dict[str, Any]]:
    """Who vouches for each. Behind balancers where TLS ends, sites of an ACME server vouch for themselves."""
    return [
        {
            **_pick(site, "name"),
            "server_names": certified_names(site["server_names"]),
            **_pick(site["tls"], "challenge", "profile", "key_type"),
            "mode": "self-signed"
            if behind_balancers and site["tls"]["mode"] == "acme"
            else site["tls"]["mode"],
            **{
                key: _pem(site["tls"][key], source_root)
                for key in ("certificate", "key")
                if key in site["tls"]
            },
        }
        for site in _sites(sites)
    ]


def certified_names(names: list[str]) -> list[str]:
    """The names of a certificate: authorities refuse one beside the wildcard that covers it."""
    return [name for name in names if is_wildcard(name) or f"*.{name.partition('.')[2]}" not in names]


def _pem(value: str, source_root: str) -> str:
    """PEM text, whether it was given as such or as the path of a file on the controller."""
    return value if "-----BEGIN" in value else _here(value, source_root).read_text()


def _here(path: str, source_root: str) -> Path:
    """A path on the controller, where ~/ is somebody's home."""
    return Path(source_root) / (Path(path).expanduser() if path.startswith("~/") else path)


def certificate_files(certbot_sites: list[dict[str, Any]], directory: str) -> list[dict[str, Any]]:
    """Each site's folder, and the chain and the key of those that provide theirs."""
    files: list[dict[str, Any]] = [
        # A balancer has nothing else there.
        {"path": str(Path(directory).parent), "state": "directory"},
        {"path": directory, "state": "directory", "mode": "0700"},
    ]
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
        _pick(site, "name", "server_names")
        | {"authority": authority if site["mode"] == "ca" else "", "stands_in": site["mode"] == "acme"}
        for site in certbot_sites
    ]


def certificates_kept(
    certbot_sites: list[dict[str, Any]], profile: str, key_type: str
) -> list[dict[str, Any]]:
    """What a host's own program has to know of each: it renews those of an ACME server and watches all."""
    return [
        {"challenge": "http", "profile": profile, "key_type": key_type}
        | _pick(site, "name", "server_names", "mode", "challenge", "profile", "key_type")
        for site in certbot_sites
    ]


def mysql_databases(sites: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": site["database"]["name"]} for site in _sites(sites) if "database" in site]


def mysql_users(sites: dict[str, Any], server: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": site["name"],
            **_pick(site["database"], "auth", "password"),
            "databases": [site["database"]["name"]],
            # From anywhere: web hosts come and go, and behind a gateway have addresses that nobody here
            # knows. The password, TLS and the network around the server decide.
            **({"host": "%"} if server["host"] else {}),
        }
        for site in _sites(sites)
        if "database" in site
    ]


def credential_files(python_app_sites: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What root alone reads of each site: its folder of credentials, which has nothing else in it, and a file
    for each of them; those that are environment variables; and how its database elsewhere is dumped."""
    files: list[dict[str, Any]] = []
    for site in python_app_sites:
        folder = f"/etc/decanter/{site['name']}/credentials"
        files.append({"path": folder, "state": "directory", "mode": "0700", "exclusive": True})
        for name, key, text in (
            ("secrets.env", "secret_env", secret_environment),
            ("database.cnf", "database", client_options),
        ):
            file = {"path": f"/etc/decanter/{site['name']}/{name}", "mode": "0600"}
            files.append(file | ({"content": text(site[key])} if site.get(key) else {"state": "absent"}))
        file = {"path": f"/etc/decanter/{site['name']}/fetched.json", "mode": "0600"}
        if fetched := site.get("fetched"):
            told = {"as": site["secret_delivery"], "values": fetched}
            files.append(file | {"content": json.dumps(told, indent=2, sort_keys=True) + "\n"})
        else:
            files.append(file | {"state": "absent"})
            files.append({"path": FETCHED_FOLDER.format(site["name"]), "state": "absent"})
        files += [
            {"path": f"{folder}/{name}", "content": value, "mode": "0600"}
            for name, value in sorted(site.get("credentials", {}).items())
        ]
    return files


def secret_environment(secrets: dict[str, str]) -> str:
    """Environment variables as systemd reads them from a file. In double quotes it keeps lines and blanks;
    what a shell would take for its own there has a backslash."""
    lines = [
        "# Ansible managed. Read by systemd, for an application that takes its secrets in no other way.\n"
    ]
    for name, value in sorted(secrets.items()):
        escaped = re.sub(r'([\\"`$])', r"\\\1", value)
        lines.append(f'{name}="{escaped}"\n')
    return "".join(lines)


def client_options(login: dict[str, str]) -> str:
    """How root's client logs in to a site's database elsewhere, as MariaDB's and MySQL's clients read it."""
    lines = ["# Ansible managed. For what a deploy does as root: it reads the schema, and dumps.\n[client]\n"]
    for name, option in (("host",) * 2, ("port",) * 2, ("user",) * 2, ("password",) * 2, ("ca", "ssl-ca")):
        escaped = login[name].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        lines.append(f'{option}="{escaped}"\n')
    return "".join(lines)


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


def acme_sites(sites: dict[str, Any], only: str = "") -> list[dict[str, Any]]:
    """Those with a certificate of an ACME server, or one of them, and for what names that is."""
    return [
        {
            "name": site["name"],
            # Nobody visits a wildcard, which is in the certificate of the first.
            "server_names": [name for name in site["server_names"] if not is_wildcard(name)],
        }
        for site in _sites(sites)
        if site["tls"]["mode"] == "acme" and only in ("", site["name"])
    ]


def is_wildcard(name: str) -> bool:
    return name.startswith("*.")


def with_address(sites: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are asked for by an address, too."""
    return [site for site in sites if any(parse_address(name) for name in site["server_names"])]


def subject_alternative_names(names: list[str]) -> list[str]:
    return [f"{'IP' if parse_address(name) else 'DNS'}:{name}" for name in names]


def url_host(name: str) -> str:
    """A name as it stands in a URL or an nginx configuration: an IPv6 address in brackets."""
    return f"[{name}]" if parse_address(name) and ":" in name else name


class FilterModule:
    def filters(self) -> dict[str, Any]:
        functions = (
            *(absent_sites, site_names, base_pythons, site_packages, fetching_sites),
            *(python_app_sites, gunicorn_sites, python_literal),
            *(certbot_sites, nginx_sites, nginx_balanced_sites, balancer_sites, host_addresses),
            *(
                release_sites,
                release_site,
                release_sources,
                release_secrets,
                release_files,
                with_sources,
                companion_units,
                service_instances,
                absent_service_instances,
            ),
            *(mysql_databases, mysql_users, credential_files),
            *(certificate_files, certificates_made, certificates_kept, subject_alternative_names),
            *(site_urls, acme_sites, with_address, url_host, challenge_peers, nginx_cookie, site_passwords),
        )
        return {function.__name__: function for function in functions}
