"""Bodies as senders write them, made from their documents; each function changes what a test is about."""

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

JSON = {"content-type": "application/json"}


def packed(value: Any) -> bytes:
    """A value as the body of a POST."""
    return json.dumps(value).encode()


def cloudevent(name: str = "orders.csv", **changes: Any) -> dict[str, Any]:
    """An event of a program of one's own; its data are the arguments of `imports.start`."""
    data = {"file": {"location": "/in", "name": name, "size": 120, "version": "v1"}}
    event = {"specversion": "1.0", "id": "e1", "source": "/shop", "type": "com.example.file", "data": data}
    return {**event, **changes}


def s3_record(key: str = "in/orders.csv", **changes: Any) -> dict[str, Any]:
    """A record as MinIO writes it: the event with `s3:`, the key encoded."""
    item = {"key": key, "size": 120, "eTag": "9b2c", "contentType": "text/csv", "sequencer": "16D5A0"}
    found = {"s3SchemaVersion": "1.0", "bucket": {"name": "drop", "arn": "arn:aws:s3:::drop"}, "object": item}
    head = {"eventVersion": "2.0", "eventSource": "minio:s3", "eventName": "s3:ObjectCreated:Put"}
    return {**head, "eventTime": "2026-01-05T03:10:00.123Z", "s3": found, **changes}


def minio(*records: Mapping[str, Any]) -> dict[str, Any]:
    """A notification of MinIO or RustFS."""
    return {"EventName": "s3:ObjectCreated:Put", "Key": "drop/in/orders.csv", "Records": list(records or [s3_record()])}


def bridge(key: str = "in/orders 2026+01.csv") -> dict[str, Any]:
    """An event of EventBridge; its key is not encoded."""
    item = {"key": key, "size": 120, "etag": "9b2c", "sequencer": "0066A1"}
    detail = {"version": "0", "bucket": {"name": "drop"}, "object": item, "reason": "PutObject"}
    return {"version": "0", "id": "0b5c", "detail-type": "Object Created", "source": "aws.s3", "detail": detail}


def blob_created(name: str = "in/orders.csv", **changes: Any) -> dict[str, Any]:
    """An event of blob storage in the schema of Event Grid."""
    data = {"api": "PutBlockList", "eTag": '"0x8D4B"', "contentLength": 120, "blobType": "BlockBlob"}
    topic = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Storage/storageAccounts/acc"
    head = {"topic": topic, "subject": f"/blobServices/default/containers/drop/blobs/{name}", "id": "831e"}
    rest = {"eventType": "Microsoft.Storage.BlobCreated", "eventTime": "2026-01-05T03:10:00Z", "dataVersion": ""}
    return {**head, **rest, "data": {**data, **changes}}


def blob_cloudevent(name: str = "in/orders.csv") -> dict[str, Any]:
    """The same event as a CloudEvent."""
    event = blob_created(name)
    head = {"specversion": "1.0", "type": event["eventType"], "source": event["topic"], "id": event["id"]}
    return {**head, "subject": event["subject"], "data": event["data"]}


def validation(code: str = "512d38b6") -> dict[str, Any]:
    """The event of the handshake of Event Grid."""
    data = {"validationCode": code, "validationUrl": "https://rp.eventgrid.azure.net/validate?id=1"}
    return {**blob_created(), "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": data}


def google_object(name: str = "in/orders.csv") -> dict[str, Any]:
    """An object of Google Cloud Storage; its numbers are texts."""
    return {"kind": "storage#object", "bucket": "drop", "name": name, "generation": "1736046600123456", "size": "120"}


def pubsub(name: str = "in/orders.csv", **attributes: str) -> dict[str, Any]:
    """A wrapped message of a notification."""
    given = {"bucketId": "drop", "objectId": name, "objectGeneration": "1736046600123456"}
    given |= {"eventType": "OBJECT_FINALIZE", "payloadFormat": "JSON_API_V1", **attributes}
    data = b64encode(packed(google_object(name))).decode()
    message = {"attributes": given, "data": data, "messageId": "1207", "publishTime": "2026-01-05T03:10:00.5Z"}
    return {"message": message, "subscription": "projects/p/subscriptions/imports"}


def sftpgo(path: str = "/in/orders.csv", **changes: Any) -> dict[str, Any]:
    """What the action hook of SFTPGo posts."""
    event = {"action": "upload", "username": "acme", "path": f"/srv/sftp/acme{path}", "virtual_path": path}
    event |= {"file_size": 120, "status": 1, "protocol": "SFTP", "session_id": "SFTP_ab12"}
    return {**event, "timestamp": 1767582600123456789, **changes}


def sns_envelope(message: Any, topic: str, **changes: Any) -> dict[str, Any]:
    """A notification of SNS without its signature."""
    host = topic.split(":")[3]
    url = f"https://sns.{host}.amazonaws.com/SimpleNotificationService-0a1b.pem"
    event = {"Type": "Notification", "MessageId": "6f00", "TopicArn": topic, "Subject": "Amazon S3 Notification"}
    event |= {"Message": json.dumps(message), "Timestamp": "2026-01-05T03:10:00.300Z"}
    return {**event, "SignatureVersion": "2", "SigningCertURL": url, **changes}
