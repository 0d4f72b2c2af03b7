"""Filters that the role aws applies to its settings and to the resources of an environment.

The parameter `resources` is `made` in the result of the module aws_resources: lists of resources by kind.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


def aws_subnet(network: str, part: int) -> str:
    """Return one of the sixteen equal subnets of a network, counted from 0."""
    return str(list(ipaddress.ip_network(network).subnets(prefixlen_diff=4))[part])


def aws_subscriptions(addresses: list[str]) -> list[dict[str, str]]:
    """Return mail addresses as subscriptions of an SNS topic."""
    return [{"protocol": "email", "endpoint": address} for address in addresses]


def aws_groups(roles: list[str], name: str, groups: list[dict[str, str]]) -> list[str]:
    """Return the roles that have a security group."""
    existing = {group["name"] for group in groups}
    return [role for role in roles if f"{name}-{role}" in existing]


def aws_records(
    records: list[dict[str, Any]], names: list[str], resources: dict[str, list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Return the A records of these names that point to an address or load balancer of the environment."""
    addresses = {address["id"] for address in resources["addresses"]}
    aliased = [*resources["balancer"], *resources["edge"]]
    balancers = {each["name"].lower() for each in aliased if each["name"]}

    def points_here(record: dict[str, Any]) -> bool:
        alias = ((record["alias"] or {}).get("DNSName") or "").rstrip(".").lower().removeprefix("dualstack.")
        return bool(addresses & set(record["values"] or []) or alias in balancers)

    wanted = {f"{name}." for name in names}
    return [each for each in records if each["type"] == "A" and each["id"] in wanted and points_here(each)]


@dataclass(frozen=True)
class Part:
    """A part of an environment, as a plan shows it."""

    kind: str  # as in the result of aws_resources
    description: str
    dollars: float | None  # a month in us-east-1; None if the table has no price
    details: dict[str, Any] = field(default_factory=dict)


SIZES = ("small", "standard", "scaled")


def aws_size_errors(settings: dict[str, Any], resources: dict[str, Any]) -> list[str]:
    """Return an error for each resource that is larger than the settings, because no run shrinks it."""
    size, lines = settings["size"], []
    for larger, kinds in {"scaled": ("scaling", "balancer", "redis"), "standard": ("database",)}.items():
        existing = [f"{kind} {each['id']}" for kind in kinds for each in resources[kind]]
        if existing and SIZES.index(size) < SIZES.index(larger):
            expected = " or ".join(SIZES[SIZES.index(larger) :])
            lines.append(
                f'aws.size: found "{size}", expected {expected}, because the environment has '
                f"{' and '.join(existing)}. An environment cannot shrink."
            )
            break
    for database in resources["database"] if size != "small" else []:
        existing, wanted = database["details"], settings["database"]
        if wanted["storage"] < existing["storage"]:
            lines.append(
                f"aws.database.storage: found {wanted['storage']}, expected {existing['storage']} or more, "
                "because the storage of an RDS instance cannot shrink"
            )
        if not f"{existing['version']}.".startswith(f"{wanted['version']}."):
            lines.append(
                f'aws.database.version: found "{wanted["version"]}", expected the version of the database, '
                f"{existing['version']}. Decanter does not upgrade it."
            )
    return lines


def parts(settings: dict[str, Any], prices: dict[str, Any], alarms: list[dict[str, Any]]) -> Iterator[Part]:
    """Yield the parts of an environment with these settings."""
    hours, web, size = prices["hours"], settings["web"], settings["size"]

    def hourly(table: str, name: str, count: int = 1) -> float | None:
        price = prices[table].get(name)
        return None if price is None else price * hours * count

    def plus(price: float | None, more: float) -> float | None:
        return None if price is None else price + more

    address, disk = prices["address_hour"] * hours, prices["disk_gib"] * web["disk"]
    yield Part("network", f"network {settings['network']}, security groups, role", 0)
    yield Part("key", "KMS key, rotated each year", prices["key"])
    yield Part("bucket", "S3 bucket for media and backups (10 GiB counted)", prices["bucket_gib"] * 10)
    yield Part("repository", "ECR repository", 0)
    yield Part("logs", "CloudWatch logs (2 GiB counted)", prices["logs_gib"] * 2)
    yield Part("topic", "SNS topic", 0)
    count = web["minimum"] if size == "scaled" else 1
    # AWS's own metrics are free.
    written = {alarm["metric"] for alarm in alarms if not alarm["namespace"].startswith("AWS/")}
    yield Part(
        "alarms",
        f"{len(alarms)} CloudWatch alarms, {len(written)} metrics of each host",
        prices["alarm"] * len(alarms) + prices["metric"] * len(written) * count,
    )
    host = plus(hourly("instance_hour", web["type"]), disk)
    machine = f"{web['type']}, {web['disk']} GiB"
    if size == "scaled":
        details = {"minimum": web["minimum"], "maximum": web["maximum"]}
        all_hosts = None if host is None else (host + address) * count
        yield Part(
            "scaling",
            f"{count} to {web['maximum']} web hosts ({machine}); {count} counted",
            all_hosts,
            details,
        )
        units = (prices["balancer_hour"] + prices["balancer_unit_hour"]) * hours
        yield Part("balancer", "load balancer, in two zones", units + 2 * address)
        yield Part("firewall", "WAF, three rules", prices["firewall"])
        yield Part("certificate", "certificate", 0)
        if settings["edge"]:
            yield Part("edge", "CloudFront, with a certificate and a firewall", prices["edge"])
        redis = settings["redis"]
        nodes = redis["replicas"] + 1
        price = hourly("redis_hour", redis["type"], nodes)
        details = {"type": redis["type"], "nodes": nodes}
        yield Part("redis", f"Redis ({redis['type']} x {nodes})", price, details)
    else:
        yield Part("instances", f"web host ({machine})", host, {"type": web["type"]})
        yield Part("addresses", "its address", address)
    if size != "small":
        database = settings["database"]
        zones = 2 if database["multi_az"] else 1
        price = hourly("database_hour", database["class"], zones)
        details = {key: database[key] for key in ("class", "storage", "multi_az")}
        price = plus(price, prices["database_gib"] * database["storage"] * zones)
        machine = f"{database['class']}, {database['storage']} GiB, {zones} zone(s)"
        yield Part("database", f"RDS for MySQL {database['version']} ({machine})", price, details)


def unchanged(settings: dict[str, Any], resources: dict[str, Any], resize: bool) -> Iterator[str]:
    """Yield the resources that differ from the settings and that a run does not change."""
    size, web = settings["size"], settings["web"]["type"]
    scaled = size == "scaled"
    for stack in resources["edge"] if not settings.get("edge") else []:
        yield f"CloudFormation stack {stack['id']} in us-east-1, which no DNS record uses"
    for host in resources["instances"]:
        found = host["details"]["type"]
        if scaled and not host["group"]:
            yield f"instance {host['id']}, which size {size} does not use: docs/aws.md"
        elif found != web and scaled:
            yield f"instance {host['id']}, {found}; the Auto Scaling group replaces it with {web}"
        elif found != web and not resize:
            yield f"instance {host['id']}, {found}; RESIZE=1 stops it and changes it to {web}"
    for address in resources["addresses"] if scaled else []:
        yield f"address {address['id']}, which size {size} does not use: docs/aws.md"


def aws_plan(
    settings: dict[str, Any],
    resources: dict[str, Any],
    prices: dict[str, Any],
    alarms: list[dict[str, Any]],
    resize: bool = False,
) -> list[str]:
    """Return a table of the parts that a run creates, changes, keeps or leaves, with prices per month."""
    factor = prices["regions"].get(settings["region"])
    lines, total, unpriced = [], 0.0, False
    leave = list(unchanged(settings, resources, resize))
    hosts = [each["details"]["type"] for each in resources["instances"] if not each["group"]]
    if hosts and not resize and settings["size"] != "scaled":
        # The price is that of the existing type, which this run does not change.
        settings = settings | {"web": settings["web"] | {"type": hosts[0]}}
    for part in parts(settings, prices, alarms):
        found = [each for each in resources[part.kind] if not each.get("group")]
        changes = [
            f"{key} {found[0]['details'][key]} to {value}"
            for key, value in part.details.items()
            if found and str(found[0]["details"].get(key)) != str(value)
        ]
        action = "create" if not found else "change" if changes else "keep"
        dollars = None if part.dollars is None else part.dollars * (factor or 1)
        total, unpriced = total + (dollars or 0), unpriced or dollars is None
        price = "price unknown" if dollars is None else f"{dollars:8.2f} USD"
        if changes and part.kind == "instances":
            changes.append("with a stop of the instance")
        detail = f": {', '.join(changes)}" if changes else ""
        lines.append(f"{action:8}{price:>14}  {part.description}{detail}")
    lines += [f"{'leave':8}{'':14}  {each}" for each in leave]
    region = settings["region"]
    where = f"in {region}" if factor else f"as in us-east-1, because the table has no {region}"
    table = f"prices of {prices['date']}{', plus parts without a price' if unpriced else ''}"
    lines.append(f"{'a month':8}{total:10.2f} USD  {where}, {table}; traffic costs extra")
    return lines


KEPT = ("bucket", "key", "snapshots")


def aws_farewell(resources: dict[str, Any], keep: bool) -> list[str]:
    """Return a table of the resources that a teardown would destroy, and of those that it would keep."""
    lines = []
    for kind, found in resources.items():
        kept = keep and kind in KEPT
        lines += [f"{'keep' if kept else 'destroy':8}{kind.replace('_', ' ')} {each['id']}" for each in found]
    if keep and resources["database"]:
        lines.append(f"{'keep':8}a final snapshot of the database")
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
