#!/usr/bin/env python3
"""moto_server plus the answers that AWS gives and moto 5.2.5 does not."""

import json
import sys

from moto.acm import models as acm
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import EmptyResult
from moto.ec2.responses.launch_templates import LaunchTemplates
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE
from moto.elasticache import models as cache
from moto.elasticache.responses import ElastiCacheResponse
from moto.elbv2 import models as elb
from moto.kms.models import KmsBackend
from moto.rds import models as rds
from moto.server import main
from moto.wafv2.responses import WAFV2Response


def after(cls, name="__init__"):
    """Run the decorated function after cls.name, with self, its result and its arguments."""

    def wrap(hook):
        old = getattr(cls, name)

        def new(self, *args, **kw):
            out = old(self, *args, **kw)
            got = hook(self, out, *args, **kw)
            return out if got is None else got

        setattr(cls, name, new)

    return wrap


def refuse(cls, name, why):
    """Have cls.name fail where why(self, *its arguments) has an answer."""
    old = getattr(cls, name)

    def new(self, *args, **kw):
        if message := why(self, *args, **kw):
            raise rds.InvalidDBInstanceStateFault(message)
        return old(self, *args, **kw)

    setattr(cls, name, new)


EC2_PREFIX_TO_RESOURCE["eipalloc"] = "elastic-ip"


@after(LaunchTemplates, "create_launch_template")
def _(self, out):  # its own tags are no part of the template's data
    data = (
        self.ec2_backend.get_launch_template_by_name(self._get_param("LaunchTemplateName")).versions[0].data
    )
    data["TagSpecifications"] = [
        t for t in data.get("TagSpecifications", []) if t["ResourceType"] != "launch-template"
    ]
    if not data["TagSpecifications"]:
        del data["TagSpecifications"]


@after(rds.RDSBackend, "describe_db_parameter_groups")
def _(self, found, wanted):
    name = wanted.get("db_parameter_group_name")
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


# It goes in its own time: so often it is found after it was told to.
TIMES_FOUND = 4


@after(rds.RDSBackend, "delete_db_instance")
def _(self, database, db_instance_identifier, **__):
    self.databases[db_instance_identifier] = database
    database.times_left = TIMES_FOUND


@after(rds.RDSBackend, "describe_db_instances")
def _(self, found, *_, **__):
    for database in found:
        if database.status == "deleting":
            database.times_left -= 1
            if not database.times_left:
                del self.databases[database.db_instance_identifier]


def going(self, db_instance_identifier, *_, **__):
    found = self.databases.get(db_instance_identifier)
    return found and found.status == "deleting" and f"{db_instance_identifier} is being deleted"


def used(self, name):
    users = [each for each in self.databases.values() if each.db_subnet_group.name == name]
    return users and f"{name} is used by a database"


for name in ("delete_db_instance", "modify_db_instance"):
    refuse(rds.RDSBackend, name, going)
refuse(rds.RDSBackend, "delete_subnet_group", used)


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
    """These take an ARN as well as an id."""
    return lambda self, key, *rest: old(self, key.rsplit("/", 1)[-1], *rest)


for name in ("schedule_key_deletion", "cancel_key_deletion", "enable_key", "disable_key"):
    setattr(KmsBackend, name, by_id(getattr(KmsBackend, name)))


@after(cache.ElastiCacheBackend, "describe_replication_groups")
def _(self, found, *_, **__):  # as a database, it goes in its own time
    for group in found:
        if group.status == "deleting":
            group.times_left = getattr(group, "times_left", TIMES_FOUND) - 1
            if not group.times_left:
                del self.replication_groups[group.replication_group_id]


members = cache.ReplicationGroup._set_node_members_clusters_disabled


def members_by_either(self, *, num_cache_clusters, replicas_per_node_group, **kw):
    """A primary and replicas; AWS takes the number of all as well as that of replicas."""
    replicas = replicas_per_node_group or num_cache_clusters - 1
    members(self, num_cache_clusters=num_cache_clusters, replicas_per_node_group=replicas, **kw)


cache.ReplicationGroup._set_node_members_clusters_disabled = members_by_either


def delete_cache_subnet_group(self):
    name = self._get_param("CacheSubnetGroupName")
    self.elasticache_backend.describe_cache_subnet_groups(cache_subnet_group_name=name)
    del self.elasticache_backend.cache_subnet_groups[name]
    return EmptyResult()


ElastiCacheResponse.delete_cache_subnet_group = delete_cache_subnet_group
AutoScalingResponse.disable_metrics_collection = lambda self: EmptyResult()


def list_resources_for_web_acl(self):
    arn = self._get_param("WebACLArn")
    return 200, {}, json.dumps({"ResourceArns": self.wafv2_backend.wacls[arn].associated_resources})


WAFV2Response.list_resources_for_web_acl = list_resources_for_web_acl

if __name__ == "__main__":
    main(sys.argv[1:])
