#!/usr/bin/env python3
"""moto_server with the behaviour of AWS that moto 5.2.5 lacks."""

import json
import sys

from moto.acm import models as acm
from moto.autoscaling.models import AutoScalingBackend
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.models.launch_templates import LaunchTemplateVersion
from moto.ec2.responses.launch_templates import LaunchTemplates
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, parse_user_data
from moto.elasticache import models as cache
from moto.elasticache.responses import ElastiCacheResponse
from moto.elbv2 import models as elb
from moto.kms.models import KmsBackend
from moto.logs.models import LogsBackend
from moto.rds import models as rds
from moto.server import main
from moto.wafv2.responses import WAFV2Response


def after(cls, name="__init__"):
    """Return a decorator: call the function after cls.name, with self, the result and the arguments.

    A result of the function other than None replaces the result of cls.name.
    """

    def wrap(hook):
        old = getattr(cls, name)

        def new(self, *args, **kw):
            result = old(self, *args, **kw)
            replacement = hook(self, result, *args, **kw)
            return result if replacement is None else replacement

        setattr(cls, name, new)

    return wrap


def reject(cls, name, problem):
    """Make cls.name raise an error if problem(self, *arguments) returns a message."""
    old = getattr(cls, name)

    def new(self, *args, **kw):
        if message := problem(self, *args, **kw):
            raise rds.InvalidDBInstanceStateFault(message)
        return old(self, *args, **kw)

    setattr(cls, name, new)


EC2_PREFIX_TO_RESOURCE["eipalloc"] = "elastic-ip"


@after(LaunchTemplates, "create_launch_template")
def _(self, out):  # AWS stores the tags of the template outside its data
    data = (
        self.ec2_backend.get_launch_template_by_name(self._get_param("LaunchTemplateName")).versions[0].data
    )
    data["TagSpecifications"] = [
        t for t in data.get("TagSpecifications", []) if t["ResourceType"] != "launch-template"
    ]
    if not data["TagSpecifications"]:
        del data["TagSpecifications"]


# moto returns the user data of the first version only.
LaunchTemplateVersion.user_data = property(
    lambda self: (data := self.data.get("UserData")) and parse_user_data(str(data))
)


def delete_launch_template_versions(self):  # the template is deleted right after its versions
    return ActionResult(
        {f"{outcome}DeletedLaunchTemplateVersions": [] for outcome in ("Successfully", "Unsuccessfully")}
    )


LaunchTemplates.delete_launch_template_versions = delete_launch_template_versions


@after(rds.RDSBackend, "describe_db_parameter_groups")
def _(self, found, filters):
    name = filters.get("db_parameter_group_name")
    if name and not found:
        raise rds.DBParameterGroupNotFoundError(name)


@after(rds.DBParameterGroup)
def _(self, *_, **__):
    self.parameters["require_secure_transport"] = {
        "ParameterName": "require_secure_transport",
        "DataType": "boolean",
        "ApplyType": "dynamic",
        "IsModifiable": True,
    }


@after(rds.DBInstance)
def _(self, *_, **__):
    if self.storage_type == "gp3":
        self.iops, self._storage_throughput = self.iops or 3000, self._storage_throughput or 125


# AWS deletes a database in the background: so many requests still find it.
REQUESTS_UNTIL_DELETED = 4


@after(rds.RDSBackend, "delete_db_instance")
def _(self, database, db_instance_identifier, **__):
    self.databases[db_instance_identifier] = database
    database.requests_left = REQUESTS_UNTIL_DELETED


@after(rds.RDSBackend, "describe_db_instances")
def _(self, found, *_, **__):
    for database in found:
        if database.status == "deleting":
            database.requests_left -= 1
            if not database.requests_left:
                del self.databases[database.db_instance_identifier]


def deletion_problem(self, db_instance_identifier, *_, **__):
    found = self.databases.get(db_instance_identifier)
    return found and found.status == "deleting" and f"{db_instance_identifier} is being deleted"


def usage_problem(self, name):
    users = [each for each in self.databases.values() if each.db_subnet_group.name == name]
    return users and f"{name} is used by a database"


for name in ("delete_db_instance", "modify_db_instance"):
    reject(rds.RDSBackend, name, deletion_problem)
reject(rds.RDSBackend, "delete_subnet_group", usage_problem)


@after(elb.FakeLoadBalancer)
def _(self, *_, **__):
    self.attrs["routing.http.drop_invalid_header_fields.enabled"] = "false"


@after(acm.CertBundle)
def _(self, _, account_id, certificate, private_key, chain=None, **__):
    self.chain = chain or certificate


@after(cache.CacheCluster)
def _(self, *_, **__):
    self.cache_security_groups = []
    self.security_groups = [{"SecurityGroupId": g, "Status": "active"} for g in self.security_group_ids]
    self.cache_nodes = [
        {
            "CacheNodeId": "0001",
            "CacheNodeStatus": "available",
            "Endpoint": {"Address": f"{self.cache_cluster_id}.cache", "Port": 6379},
        }
    ]


@after(cache.ElastiCacheBackend, "delete_cache_cluster")
def _(self, cluster, cache_cluster_id):
    del self.cache_clusters[cache_cluster_id]


def by_id(old):
    """Make a method accept an ARN as well as an ID."""
    return lambda self, key, *rest: old(self, key.rsplit("/", 1)[-1], *rest)


for name in ("schedule_key_deletion", "cancel_key_deletion", "enable_key", "disable_key"):
    setattr(KmsBackend, name, by_id(getattr(KmsBackend, name)))


@after(cache.ElastiCacheBackend, "describe_replication_groups")
def _(self, found, *_, **__):  # AWS deletes replication groups in the background, too
    for group in found:
        if group.status == "deleting":
            group.requests_left = getattr(group, "requests_left", REQUESTS_UNTIL_DELETED) - 1
            if not group.requests_left:
                del self.replication_groups[group.replication_group_id]


@after(LogsBackend, "delete_log_group")
def _(self, _, log_group_name):
    filters = self.filters.metric_filters
    filters[:] = [each for each in filters if each["logGroupName"] != log_group_name]


set_members = cache.ReplicationGroup._set_node_members_clusters_disabled


def set_members_by_either_number(self, *, num_cache_clusters, replicas_per_node_group, **kw):
    """Accept the number of all nodes as well as that of replicas, as AWS does."""
    replicas = replicas_per_node_group or num_cache_clusters - 1
    set_members(self, num_cache_clusters=num_cache_clusters, replicas_per_node_group=replicas, **kw)


cache.ReplicationGroup._set_node_members_clusters_disabled = set_members_by_either_number


def delete_cache_subnet_group(self):
    name = self._get_param("CacheSubnetGroupName")
    self.elasticache_backend.describe_cache_subnet_groups(cache_subnet_group_name=name)
    del self.elasticache_backend.cache_subnet_groups[name]
    return EmptyResult()


ElastiCacheResponse.delete_cache_subnet_group = delete_cache_subnet_group


@after(AutoScalingBackend, "delete_auto_scaling_group")
def _(self, _, group_name):
    for name, each in list(self.policies.items()):
        if each.auto_scaling_group_name == group_name:
            del self.policies[name]


AutoScalingResponse.disable_metrics_collection = lambda self: EmptyResult()


def list_resources_for_web_acl(self):
    arn = self._get_param("WebACLArn")
    return 200, {}, json.dumps({"ResourceArns": self.wafv2_backend.wacls[arn].associated_resources})


WAFV2Response.list_resources_for_web_acl = list_resources_for_web_acl

if __name__ == "__main__":
    main(sys.argv[1:])
