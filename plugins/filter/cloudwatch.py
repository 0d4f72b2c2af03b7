"""The configuration of the CloudWatch agent. JSON has no comments, so the reasons are here."""

from __future__ import annotations

from typing import Any

# Only programs on this host can send metrics.
STATSD = "127.0.0.1:8125"


def cloudwatch_configuration(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the agent's configuration from the role's variables without their prefix.

    The agent itself replaces `{…}` and `${…}`.
    """
    stream = {"log_stream_name": "{instance_id}"}
    if wanted["retention_days"]:
        stream["retention_in_days"] = wanted["retention_days"]
    group = wanted["log_group"]
    collected: dict[str, Any] = {
        # Metrics that CloudWatch cannot measure from outside the instance.
        "mem": {"measurement": ["mem_used_percent"]},
        "swap": {"measurement": ["swap_used_percent"]},
        "disk": {
            "measurement": ["disk_used_percent", "disk_inodes_free"],
            "resources": wanted["disks"],
            # Device names differ between instance types, and an alarm must name every dimension.
            "drop_device": True,
        },
    }
    if wanted["metrics_directory"]:
        collected["statsd"] = {"service_address": STATSD, "metrics_aggregation_interval": wanted["interval"]}
    return {
        # As root, as in Amazon's configurations, because only the groups of their owners can read logs.
        "agent": {"metrics_collection_interval": wanted["interval"], "run_as_user": "root"},
        "logs": {
            "logs_collected": {
                # nginx writes one JSON object per line, which Logs Insights parses.
                "files": {
                    "collect_list": [
                        {
                            "file_path": f"/var/log/nginx/{name}.log",
                            "log_group_name": f"{group}/nginx-{name}",
                            **stream,
                        }
                        for name in ("access", "error")
                    ]
                },
                # Warnings of all units, and all messages of each site, because its units log with the site's
                # name as identifier. All sites share one log group, so a new site requires no new permission.
                "journald": {
                    "collect_list": [
                        {"log_group_name": f"{group}/journal", "priority": "warning", **stream},
                        *(
                            {
                                "log_group_name": f"{group}/sites",
                                "matches": [{"SYSLOG_IDENTIFIER": site}],
                                **stream,
                                "log_stream_name": f"{site}/{{instance_id}}",
                            }
                            for site in wanted["sites"]
                        ),
                    ]
                },
            }
        },
        "metrics": {
            "namespace": wanted["namespace"],
            # Alarms use metrics with exactly one of these dimensions. Not every instance has both.
            "append_dimensions": {
                "InstanceId": "${aws:InstanceId}",
                "AutoScalingGroupName": "${aws:AutoScalingGroupName}",
            },
            "aggregation_dimensions": [["InstanceId"], ["AutoScalingGroupName"]],
            "metrics_collected": collected,
        },
    }


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"cloudwatch_configuration": cloudwatch_configuration}
