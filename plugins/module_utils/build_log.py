"""Explain why a build failed, from the log of uv 0.13 and the result of the build's unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ansible_collections.decanter.stack.plugins.module_utils.build_backend import backend, resources
from ansible_collections.decanter.stack.plugins.module_utils.build_failure import Explanation, Failure, parse
from ansible_collections.decanter.stack.plugins.module_utils.build_network import git, index
from ansible_collections.decanter.stack.plugins.module_utils.build_requirements import requirements, solution
from ansible_collections.decanter.stack.plugins.module_utils.debian_packages import PACKAGES
from ansible_collections.decanter.stack.plugins.module_utils.log_text import clean, cut, end

LONGEST_FAULT = 400
# uv's advice about its own options does not apply: the operator does not run uv.
USELESS = ("hint: Build failures usually indicate a problem",)
Rule = Callable[[Failure, str, Mapping[str, str]], "Explanation | None"]
RULES: tuple[Rule, ...] = (resources, git, index, requirements, solution, backend)


def explain(log: str, python: str, packages: Mapping[str, str] = PACKAGES) -> str:
    """Return the fault in one line, then `Remedy: ...`, then the end of the log.

    `python` is the version of the build's interpreter, `packages` the Debian package of each program,
    header and library. The log is untrusted: setup code of dependencies writes to it.
    """
    text = clean(log)
    failure = parse(text)
    for rule in RULES:
        if explanation := rule(failure, python, packages):
            break
    else:
        explanation = unknown(failure)
    fault, remedy = (cut(" ".join(part.split()), LONGEST_FAULT) for part in explanation)
    kept = "\n".join(line for line in text.split("\n") if not line.startswith(USELESS))
    return f"{fault}\nRemedy: {remedy}\nThe log ends:\n{end(kept)}"


def unknown(failure: Failure) -> Explanation:
    """Return the message of uv for a failure that no rule covers."""
    message = ": ".join(filter(None, (failure.error, failure.causes[-1] if failure.causes else "")))
    return f"the build failed: {message or 'the log contains no error of uv'}", "see the end of the log"


def unit_fault(result: str, limits: Mapping[str, str]) -> str:
    """Return in one line why a build's unit ended, or "" where its log explains it.

    `result` is systemd's Result= of the unit, or `disk`; `limits` has the limit that leads to each result.
    """
    limit = f" (limit {limits[result]})" if limits.get(result) else ""
    faults = {
        "oom-kill": (
            f"the build ran out of memory{limit}",
            "raise `python_app_build_memory_mb`, or use versions with wheels",
        ),
        "timeout": (
            f"the build took too long{limit}",
            "raise `python_app_build_seconds`, or use versions with wheels",
        ),
        "signal": ("a signal killed the build", "see `journalctl -k` on the host, then deploy again"),
        "core-dump": ("the build crashed", "see `coredumpctl` on the host"),
        "resources": (
            "systemd could not start the build: the host lacks resources",
            "free memory and disk space on the host",
        ),
        "disk": (
            f"the build wrote more than {limits.get('disk') or 'its disk limit'}",
            "raise `python_app_build_disk_mb`, or remove large requirements",
        ),
    }
    if result in ("", "success", "exit-code"):
        return ""
    fault, remedy = faults.get(
        result, (f"the build's unit failed: {cut(clean(result), 40)}", "see its journal")
    )
    return f"{fault}. Remedy: {remedy}."
