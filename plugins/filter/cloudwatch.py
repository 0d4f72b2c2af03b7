"""What Amazon's CloudWatch agent is told. It is JSON, which has no place for reasons: they are here."""

from __future__ import annotations

from typing import Any

# Local, and nobody but this host's own programs is heard.
STATSD = "127.0.0.1:8125"


def cloudwatch_configuration(wanted: dict[str, Any]) -> dict[str, Any]:
    """What the agent reads, of the role's variables without their prefix; `{…}` and `${…}` are its own."""
    stream = {"log_stream_name": "{instance_id}"}
    if wanted["retention_days"]:
        stream["retention_in_days"] = wanted["retention_days"]
    group = wanted["log_group"]
    collected: dict[str, Any] = {
        # What CloudWatch does not measure from outside the instance.
        "mem": {"measurement": ["mem_used_percent"]},
        "swap": {"measurement": ["swap_used_percent"]},
        "disk": {
            "measurement": ["disk_used_percent", "disk_inodes_free"],
            "resources": wanted["disks"],
            # A device's name differs between kinds of instance, and an alarm has to name every dimension.
            "drop_device": True,
        },
    }
    if wanted["metrics_directory"]:
        collected["statsd"] = {"service_address": STATSD, "metrics_aggregation_interval": wanted["interval"]}
    return {
        # As root, as Amazon's own configurations have it: logs are read by their owners' groups alone.
        "agent": {"metrics_collection_interval": wanted["interval"], "run_as_user": "root"},
        "logs": {
            "logs_collected": {
                # nginx writes a JSON object a line, which Logs Insights takes apart by itself.
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
                # Warnings of everything; of each site all that its units say, whose identifier is its name.
                # They are in one group, which is made beforehand: a site that is added needs no new right.
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
            # Whatever of the two the instance has; and by each alone, which is what alarms ask by.
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
