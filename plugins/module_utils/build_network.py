"""Explain failures of git and of the package index."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ansible_collections.decanter.stack.plugins.module_utils.build_failure import (
    REQUIREMENT,
    Explanation,
    Failure,
    search,
)

UNREACHABLE = (
    (
        r"dns error|Could not resolve host|Name or service not known|name resolution",
        "its name does not resolve",
    ),
    (r"Connection refused|Couldn't connect to server", "connection refused"),
    (r"invalid peer certificate|certificate verif|SSL certificate", "its TLS certificate is not trusted"),
    (r"timed out|Timeout", "timeout"),
    (
        r"Network is unreachable|No route to host|error sending request|Could not read from remote",
        "no connection",
    ),
)
REFUSED = (
    r"Authentication failed|could not read (?:Username|Password)|Permission denied \(|[aA]ccess denied"
    r"|returned error: 40[13]"
)
NETWORK = (
    "check the address and the host's network; with `build_outbound: false` a build reaches no other host"
)
CERTIFICATE = "add the CA to /usr/local/share/ca-certificates on the host and run update-ca-certificates"


def unreachable(text: str) -> str:
    return next((reason for pattern, reason in UNREACHABLE if re.search(pattern, text)), "")


def git(failure: Failure, python: str, packages: Mapping[str, str]) -> Explanation | None:
    if "Git operation failed" not in failure.causes:
        return None
    text = f"{failure.chain}\n{failure.output}"
    name = failure.subject or "a git requirement"
    if "Git executable not found" in text:
        return (
            f"{name} is in a git repository, and the host has no git",
            f"add `packages: [{packages.get('git', 'git')}]`",
        )
    if "Host key verification failed" in text:
        return (
            f"{name}: the host key of the git server is unknown",
            "use an https URL, or add the server's key to known_hosts",
        )
    if re.search(REFUSED, text):
        return (
            f"{name}: the git server refuses access without valid credentials",
            "check the URL, and put the credentials of a private repository into `build_secrets`",
        )
    if re.search(
        r"repository '[^'\n]{1,300}' not found|Repository not found|not appear to be a git repository", text
    ):
        return (
            f"{name}: the git repository was not found",
            "check the URL; a private repository requires credentials",
        )
    if re.search(r"couldn't find remote ref|not our ref|did not match any|unknown revision", text):
        wanted = search(r"failed to fetch ([^`\n]{0,40}`[^`\n]{1,200}`)", text).replace("`", "") or "revision"
        return (
            f"{name}: the git repository has no {wanted}",
            "push that branch, tag or commit, or correct the requirement",
        )
    if reason := unreachable(text):
        remedy = CERTIFICATE if "certificate" in reason else NETWORK
        return f"{name}: the git server cannot be reached: {reason}", remedy
    return (
        f"{name}: git failed: {search(r'^(?:fatal|error): (.{1,200})', failure.output)}",
        "see the end of the log",
    )


# --- The index ---------------------------------------------------------------------------------


def index(failure: Failure, python: str, packages: Mapping[str, str]) -> Explanation | None:
    hints, chain = "\n".join(failure.hints), failure.chain
    wanted = search(rf"you require ({REQUIREMENT})", chain) or failure.subject
    purpose = f" to build {failure.subject}" if failure.subject not in ("", wanted) else ""
    needed = f" ({wanted} is required{purpose})" if wanted else ""
    # The host, without the path: a log of another organisation's index may be shown to many.
    url = search(
        r"(?:fetch: |for url \(|index URL \(|index \()(\w{2,8}://[^\s/)]{1,200})", f"{chain}\n{hints}"
    )
    code = search(r"\(?\b(401 Unauthorized|403 Forbidden|407 [\w ]{1,40})", f"{chain}\n{hints}")
    if code:
        return (
            f"the package index {url} rejects the credentials: {code}{needed}",
            "check the user and token in `indexes`, and that each variable in an index URL, such as "
            "${TOKEN}, has a value in `build_secrets`: an empty token is rejected, too",
        )
    if "network was disabled" in hints or "not found in the cache" in chain:
        return (
            f"the build has no network, and {wanted or 'a requirement'} is not in the site's cache",
            "set `build_outbound: true`, or commit wheels and use `--no-index` with `--find-links ./wheels`",
        )
    if variable := search(r"\$\{([A-Za-z_]\w{0,60})\}", chain):
        return (
            f"the variable ${{{variable.upper()}}} in a URL has no value{needed}",
            "add it to `build_secrets` or `env`",
        )
    if "Failed to fetch" not in chain:
        return None
    if not wanted and (project := search(r"Failed to fetch: \S{1,300}/([\w.-]{1,100})/$", chain)):
        needed = f" ({project} is required)"
    if status := search(r"\((\d{3} [A-Za-z ]{1,40})\)", chain):
        if status.startswith("404"):
            return f"{wanted or url}: the file was not found: {status}", "correct the URL of the requirement"
        return f"the package index {url} fails: {status}{needed}", "try again later, or use another index"
    reason = unreachable(chain) or "no connection"
    return (
        f"the package index {url} cannot be reached: {reason}{needed}",
        CERTIFICATE if "certificate" in reason else NETWORK,
    )
