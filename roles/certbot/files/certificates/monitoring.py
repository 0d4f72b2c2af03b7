"""Monitor all certificates: alarms, the list of the command `list`, and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.certificate import DAY
from shared.files import write_file
from shared.journal import iso
from state import Site, State

# After so many failed orders, or after a day without success, an operator is needed.
FAILURES = 3
REMEDIES = {
    "acme": "The reason is in the lines above.",
    "provided": "Provide another certificate.",
    "self-signed": "Converge the host.",
    "ca": "Converge the host.",
}
METRICS = {
    "decanter_certificate_not_after_seconds": "When the served certificate expires.",
    "decanter_certificate_alarm": "Whether the certificate expires soon, or renewals fail.",
    "decanter_certificate_failures": "Number of consecutive failures to issue a certificate.",
}


def keeps_failing(note: Mapping[str, Any], now: float) -> bool:
    """Return whether failures are too many, or last too long, to pass without an operator."""
    times = note.get("failed", {}).get("times", 0)
    return "failing" in note and (times >= FAILURES or now - note["failing"] >= DAY)


def faults(state: State, now: float) -> list[str]:
    """Return what is wrong with the served certificates, whatever their mode."""
    found = []
    for site in state.sites:
        try:
            served = state.served(site)
        except (ValueError, OSError) as error:
            found.append(f"{site.name}: {error}")
            continue
        remedy, note = REMEDIES[site.mode], state.note(site)
        if now >= served.ends:
            found.append(f"{site.name}: its certificate expired {iso(served.ends)}. {remedy}")
        elif now >= served.last_third:
            left = f"in {(served.ends - now) / DAY:.1f} days"
            found.append(f"{site.name}: its certificate expires {iso(served.ends)}, {left}. {remedy}")
        elif keeps_failing(note, now):
            found.append(f"{site.name}: renewals have failed since {iso(note['failing'])}. {remedy}")
    return found


def rows(state: State, now: float) -> list[dict[str, Any]]:
    """Return each certificate for `make certs`."""
    return [row(state, site, now) for site in state.sites]


def row(state: State, site: Site, now: float) -> dict[str, Any]:
    basis = {"name": site.name, "mode": site.mode, "server_names": list(site.server_names)}
    try:
        served = state.served(site)
    except (ValueError, OSError) as error:
        return basis | {"error": str(error)}
    note = state.note(site)
    issued = state.issued(site) if site.mode == "acme" else None
    return basis | {
        "names": sorted(served.names),
        "issuer": "itself" if served.self_issued else served.issuer,
        "key_type": served.key_type,
        "profile": note.get("got", {}).get("profile", ""),
        "ends": iso(served.ends),
        "days": round((served.ends - now) / DAY, 1),
        # The CA may suggest another time.
        "renewal": iso(issued.renewal) if issued else "",
        "alarm": now >= served.last_third,
        "failing": iso(note["failing"]) if keeps_failing(note, now) else "",
        "error": note.get("error", ""),
    }


def write_metrics(state: State, now: float, errors: Mapping[str, str], clock_fault: str) -> None:
    """Write a file for node_exporter's textfile collector. `errors` are those of this run, by site."""
    if not state.configuration["metrics"]:
        return
    lines = []
    measured = {site.name: measure(state, site, now, errors.get(site.name, "")) for site in state.sites}
    for index, (metric, description) in enumerate(METRICS.items()):
        values = [f'{metric}{{site="{name}"}} {values[index]}' for name, values in measured.items()]
        lines += [*header(metric, description), *values]
    lines += header("decanter_certificates_last_run_seconds", "When this file was written.")
    lines.append(f"decanter_certificates_last_run_seconds {now:.0f}")
    lines += header("decanter_clock_wrong", "Whether this host's clock differs from the CA's.")
    lines.append(f"decanter_clock_wrong {int(bool(clock_fault))}")
    path = Path(state.configuration["metrics"])
    if not path.parent.exists():  # node_exporter's folder has an owner of its own
        path.parent.mkdir()
        path.parent.chmod(0o755)
    write_file(path, "\n".join(lines) + "\n")


def measure(state: State, site: Site, now: float, error: str) -> tuple[str, int, int]:
    """Return the values of METRICS for a site."""
    note = state.note(site)
    failures = note.get("failed", {}).get("times", 0) or int(bool(error))
    try:
        served = state.served(site)
    except (ValueError, OSError):
        return "0", 1, failures
    return f"{served.ends:.0f}", int(now >= served.last_third or keeps_failing(note, now)), failures


def header(metric: str, description: str) -> list[str]:
    return [f"# HELP {metric} {description}", f"# TYPE {metric} gauge"]
