"""What the role aws makes of its settings."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


def aws_subnet(network: str, part: int) -> str:
    """One of the sixteen parts of a network, from 0."""
    return str(list(ipaddress.ip_network(network).subnets(prefixlen_diff=4))[part])


def aws_subscriptions(addresses: list[str]) -> list[dict[str, str]]:
    """Mail addresses, as a topic of SNS is told them."""
    return [{"protocol": "email", "endpoint": address} for address in addresses]


def aws_groups(roles: list[str], name: str, groups: list[dict[str, str]]) -> list[str]:
    """Those of the roles that there is a security group for."""
    there = {group["name"] for group in groups}
    return [role for role in roles if f"{name}-{role}" in there]


def aws_records(
    records: list[dict[str, Any]], names: list[str], made: dict[str, list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """The records of names that lead to the environment; others are somebody else's."""
    addresses = {address["id"] for address in made["addresses"]}
    balancers = {balancer["name"].lower() for balancer in made["balancer"]}

    def ours(record: dict[str, Any]) -> bool:
        alias = ((record["alias"] or {}).get("DNSName") or "").rstrip(".").lower().removeprefix("dualstack.")
        return bool(addresses & set(record["values"] or []) or alias in balancers)

    wanted = {f"{name}." for name in names}
    return [each for each in records if each["type"] == "A" and each["id"] in wanted and ours(each)]


@dataclass(frozen=True)
class Part:
    """Something that there is to be, as a plan shows it."""

    kind: str  # aws_resources' word
    says: str
    dollars: float | None  # a month in us-east-1; None where the table has no price
    details: dict[str, Any] = field(default_factory=dict)


SIZES = ("small", "standard", "scaled")


def aws_size_errors(settings: dict[str, Any], made: dict[str, Any]) -> list[str]:
    """One line for each thing that is there and that no run makes smaller."""
    size, lines = settings["size"], []
    for larger, kinds in {"scaled": ("scaling", "balancer", "redis"), "standard": ("database",)}.items():
        there = [f"{kind} {each['id']}" for kind in kinds for each in made[kind]]
        if there and SIZES.index(size) < SIZES.index(larger):
            expected = " or ".join(SIZES[SIZES.index(larger) :])
            lines.append(
                f'aws.size: found "{size}", expected {expected}, for {" and ".join(there)} '
                f"{'is' if len(there) == 1 else 'are'} there; a size does not shrink"
            )
            break
    for database in made["database"] if size != "small" else []:
        there, wanted = database["details"], settings["database"]
        if wanted["storage"] < there["storage"]:
            lines.append(
                f"aws.database.storage: found {wanted['storage']}, expected {there['storage']} or more, "
                "which is what the database has; a disk does not shrink"
            )
        if not f"{there['version']}.".startswith(f"{wanted['version']}."):
            lines.append(
                f'aws.database.version: found "{wanted["version"]}", expected that of {there["version"]}, '
                "which the database has; another is for a new one"
            )
    return lines


def parts(settings: dict[str, Any], prices: dict[str, Any], alarms: list[dict[str, Any]]) -> Iterator[Part]:
    """All that an environment of these settings has."""
    hours, web, size = prices["hours"], settings["web"], settings["size"]

    def hourly(table: str, name: str, count: int = 1) -> float | None:
        price = prices[table].get(name)
        return None if price is None else price * hours * count

    def plus(price: float | None, more: float) -> float | None:
        return None if price is None else price + more

    address, disk = prices["address_hour"] * hours, prices["disk_gib"] * web["disk"]
    yield Part("network", f"network {settings['network']}, security groups, role", 0)
    yield Part("key", "KMS key, which is rotated each year", prices["key"])
    yield Part("bucket", "S3 bucket for media and backups (10 GiB counted)", prices["bucket_gib"] * 10)
    yield Part("repository", "ECR repository", 0)
    yield Part("logs", "CloudWatch logs (2 GiB counted)", prices["logs_gib"] * 2)
    yield Part("topic", "SNS topic", 0)
    count = web["minimum"] if size == "scaled" else 1
    # Those of AWS itself cost nothing.
    written = {alarm["metric"] for alarm in alarms if not alarm["namespace"].startswith("AWS/")}
    yield Part(
        "alarms",
        f"{len(alarms)} CloudWatch alarms, {len(written)} metrics of each host",
        prices["alarm"] * len(alarms) + prices["metric"] * len(written) * count,
    )
    host = plus(hourly("instance_hour", web["type"]), disk)
    words = f"{web['type']}, {web['disk']} GiB"
    if size == "scaled":
        details = {"minimum": web["minimum"], "maximum": web["maximum"]}
        all_hosts = None if host is None else (host + address) * count
        yield Part(
            "scaling", f"{count} to {web['maximum']} web hosts ({words}); {count} counted", all_hosts, details
        )
        units = (prices["balancer_hour"] + prices["balancer_unit_hour"]) * hours
        yield Part("balancer", "load balancer, in two zones", units + 2 * address)
        yield Part("firewall", "WAF, three rules", prices["firewall"])
        yield Part("certificate", "certificate", 0)
        redis = settings["redis"]
        nodes = redis["replicas"] + 1
        price = hourly("redis_hour", redis["type"], nodes)
        details = {"type": redis["type"], "nodes": nodes}
        yield Part("redis", f"Redis ({redis['type']} x {nodes})", price, details)
    else:
        yield Part("instances", f"web host ({words})", host, {"type": web["type"]})
        yield Part("addresses", "its address", address)
    if size != "small":
        database = settings["database"]
        zones = 2 if database["multi_az"] else 1
        price = hourly("database_hour", database["class"], zones)
        details = {key: database[key] for key in ("class", "storage", "multi_az")}
        price = plus(price, prices["database_gib"] * database["storage"] * zones)
        words = f"{database['class']}, {database['storage']} GiB, {zones} zone(s)"
        words = f"RDS for MySQL {database['version']} ({words})"
        yield Part("database", words, price, details)


def left(size: str, made: dict[str, Any], web: str, resize: bool) -> Iterator[str]:
    """What is there, is not as the settings say, and stays as it is."""
    scaled = size == "scaled"
    for host in made["instances"]:
        found = host["details"]["type"]
        if scaled and not host["group"]:
            yield f"instance {host['id']}, which {size} has no need of: docs/aws.md"
        elif found != web and scaled:
            yield f"instance {host['id']}, a {found} until it is replaced by a {web}"
        elif found != web and not resize:
            yield f"instance {host['id']}, a {found}; RESIZE=1 stops it and makes it a {web}"
    for address in made["addresses"] if scaled else []:
        yield f"address {address['id']}, which {size} has no need of: docs/aws.md"


def aws_plan(
    settings: dict[str, Any],
    made: dict[str, Any],
    prices: dict[str, Any],
    alarms: list[dict[str, Any]],
    resize: bool = False,
) -> list[str]:
    """Lines that say what a run would create or change, what it leaves, and what each part costs a month."""
    factor = prices["regions"].get(settings["region"])
    lines, total, unpriced = [], 0.0, False
    leave = list(left(settings["size"], made, settings["web"]["type"], resize))
    hosts = [each["details"]["type"] for each in made["instances"] if not each["group"]]
    if hosts and not resize and settings["size"] != "scaled":
        # It costs what it is, not what it was asked to be.
        settings = settings | {"web": settings["web"] | {"type": hosts[0]}}
    for part in parts(settings, prices, alarms):
        found = [each for each in made[part.kind] if not each.get("group")]
        changes = [
            f"{key} {found[0]['details'][key]} to {value}"
            for key, value in part.details.items()
            if found and str(found[0]["details"].get(key)) != str(value)
        ]
        action = "create" if not found else "change" if changes else "keep"
        dollars = None if part.dollars is None else part.dollars * (factor or 1)
        total, unpriced = total + (dollars or 0), unpriced or dollars is None
        price = "no price known" if dollars is None else f"{dollars:8.2f} USD"
        if changes and part.kind == "instances":
            changes.append("for which it is stopped")
        detail = f": {', '.join(changes)}" if changes else ""
        lines.append(f"{action:8}{price:>14}  {part.says}{detail}")
    lines += [f"{'leave':8}{'':14}  {each}" for each in leave]
    region = settings["region"]
    where = f"in {region}" if factor else f"as in us-east-1, for {region} is not in the table"
    table = f"by the table of {prices['date']}{', and what has no price' if unpriced else ''}"
    lines.append(f"{'a month':8}{total:10.2f} USD  {where}, {table}; traffic comes on top")
    return lines


KEPT = ("bucket", "key", "snapshots")


def aws_farewell(made: dict[str, Any], keep: bool) -> list[str]:
    """Lines that say what would be destroyed, and what would be kept."""
    lines = []
    for kind, found in made.items():
        kept = keep and kind in KEPT
        lines += [f"{'keep' if kept else 'destroy':8}{kind.replace('_', ' ')} {each['id']}" for each in found]
    if keep and made["database"]:
        lines.append(f"{'keep':8}a last snapshot of the database")
    return lines


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {
            "aws_farewell": aws_farewell,
            "aws_groups": aws_groups,
            "aws_plan": aws_plan,
            "aws_records": aws_records,
            "aws_size_errors": aws_size_errors,
            "aws_subnet": aws_subnet,
            "aws_subscriptions": aws_subscriptions,
        }
