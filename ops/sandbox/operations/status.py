"""GetSystemStatus and VersionInfo: the sandbox is up, and which service it stands for."""

from typing import Any

from ops.sandbox.clock import server_date_time
from ops.sandbox.core import Sandbox
from ops.sandbox.operations.call import Call
from ops.sandbox.wire.decode import decode_message
from ops.sandbox.wire.wsdl import last_modified

_VERSION = "sandbox.1.0"


def system_status(sandbox: Sandbox, call: Call) -> dict[str, Any]:
    """The values of a SystemStatusResponseMsg; `SystemStatus` can be set through the control API."""
    result = {"StatusCode": "OK", "StatusMessage": "System Status Retrieved", "SystemStatus": sandbox.system_status}
    return {
        "Results": [result],
        "OverallStatus": "OK",
        "OverallStatusMessage": "",
        "RequestID": call.request_id,
    }


def version_info(sandbox: Sandbox, call: Call) -> dict[str, Any]:
    """The values of a VersionInfoResponseMsg, with a history of one entry where it is asked for."""
    del sandbox
    version = {"Version": _VERSION, "VersionDate": server_date_time(last_modified()), "Notes": ""}
    message = decode_message(call.payload, "VersionInfoRequestMsg")
    history = [dict(version)] if message.values.get("IncludeVersionHistory") else []
    return {"VersionInfo": {**version, "VersionHistory": history}, "RequestID": call.request_id}
