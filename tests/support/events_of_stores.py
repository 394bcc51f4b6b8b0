"""Events of object stores as their makers write them, shortened to what matters."""

from typing import Any


def s3_record(key: str = "in/orders_1.csv", **changes: Any) -> dict[str, Any]:
    """One record of a classic notification; `key` stands as S3 encodes it."""
    known = {"key": key, "size": 120, "eTag": "9b2c", "sequencer": "0066A1B2C3D4E5F607"}
    item = {name: value for name, value in (known | changes.pop("object", {})).items() if value is not None}
    return {
        "eventVersion": "2.5",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-01-05T03:10:00.123Z",
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": "drop"}, "object": item},
        **changes,
    }


def notification(*records: dict[str, Any]) -> dict[str, Any]:
    """A classic notification."""
    return {"Records": list(records)}


def bridge(key: str = "in/orders_1.csv", **changes: Any) -> dict[str, Any]:
    """An event of EventBridge; `key` stands as it is."""
    item = {"key": key, "size": 120, "etag": "9b2c", "version-id": "v1", "sequencer": "0066A1B2C3D4E5F607"}
    detail = {"version": "0", "bucket": {"name": "drop"}, "object": item, "reason": "PutObject"}
    head = {"version": "0", "id": "0b5c", "detail-type": "Object Created", "source": "aws.s3"}
    return {**head, "time": "2026-01-05T03:10:00Z", "resources": ["arn:aws:s3:::drop"], "detail": detail, **changes}


def envelope(message: str, **changes: Any) -> dict[str, Any]:
    """What SNS puts around a message."""
    arn = "arn:aws:sns:eu-central-1:111122223333:drop"
    return {"Type": "Notification", "MessageId": "6f", "TopicArn": arn, "Message": message, **changes}


TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-01-05T03:10:00Z", "Bucket": "drop"}

ACCOUNT = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Storage/storageAccounts/acc"


def blob_created(name: str = "in/orders_1.csv", api: str = "PutBlockList", **data: Any) -> dict[str, Any]:
    """An event in the schema of Event Grid."""
    known = {"api": api, "eTag": "0x8D4B", "contentLength": 120, "blobType": "BlockBlob"}
    return {
        "topic": ACCOUNT,
        "subject": f"/blobServices/default/containers/drop/blobs/{name}",
        "eventType": "Microsoft.Storage.BlobCreated",
        "id": "831e",
        "data": {key: value for key, value in (known | data).items() if value is not None},
    }


def as_cloudevent(event: dict[str, Any]) -> dict[str, Any]:
    """The same event as a CloudEvent."""
    head = {"specversion": "1.0", "type": event["eventType"], "source": event["topic"]}
    return {**head, **{name: event[name] for name in ("id", "subject", "data")}}


def blob_renamed(url: str = "https://acc.dfs.core.windows.net/drop/in/orders%201.csv") -> dict[str, Any]:
    """An event of a rename."""
    data = {"api": "RenameFile", "destinationUrl": url, "sourceUrl": "https://acc.dfs.core.windows.net/drop/a.part"}
    return {**blob_created(), "eventType": "Microsoft.Storage.BlobRenamed", "data": data}
