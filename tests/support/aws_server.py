"""A server of S3, SQS and SNS for tests, moto's, in this process; its buckets notify queues of their uploads."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from boto3.session import Session
from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.sqs.models import sqs_backends
from werkzeug.serving import ThreadedWSGIServer

from tests.support.threaded_servers import Ending, serving

REGION = "eu-central-1"
ACCOUNT = "123456789012"
LOGIN = {"AWS_ACCESS_KEY_ID": "a-key", "AWS_SECRET_ACCESS_KEY": "a-secret-of-this-test"}


class AwsServer:
    """Buckets and queues at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = Session("a-key", "a-secret-of-this-test", region_name=REGION)
        self.s3: Any = self._session.client("s3", endpoint_url=url)
        self.sqs: Any = self._session.client("sqs", endpoint_url=url)
        self.sns: Any = self._session.client("sns", endpoint_url=url)

    def close(self) -> None:
        """End the connections."""
        for each in (self.s3, self.sqs, self.sns):
            each.close()

    @property
    def env(self) -> dict[str, str]:
        """What leads a process here, and its login."""
        return {**LOGIN, "AWS_ENDPOINT_URL": self.url, "AWS_EC2_METADATA_DISABLED": "true"}

    def queue(self, name: str) -> str:
        """Make a queue; gives its address as AWS would write it."""
        self.sqs.create_queue(QueueName=name)
        return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"

    def bucket(self, name: str, **notified: Any) -> None:
        """Make a bucket that tells of its uploads."""
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        if notified:
            self.s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=notified)

    def topic(self, name: str, queue: str) -> str:
        """Make a topic that a queue is subscribed to; gives its ARN."""
        arn = self.sns.create_topic(Name=name)["TopicArn"]
        self.sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn(queue))
        return str(arn)

    def put(self, key: str, content: bytes = b"Key,Value\n1,one\n", bucket: str = "drop") -> None:
        """Upload an object."""
        self.s3.put_object(Bucket=bucket, Key=key, Body=content)

    def send(self, url: str, message: object) -> None:
        """Put a message into a queue: text as it is, everything else as JSON."""
        body = message if isinstance(message, str) else json.dumps(message)
        self.sqs.send_message(QueueUrl=url, MessageBody=body)

    def counts(self, url: str) -> tuple[int, int]:
        """Count the messages of a queue: those that wait, and those that somebody holds."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found: Mapping[str, str] = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])


def queue_arn(name: str) -> str:
    """Give the ARN of a queue."""
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def notifying(name: str) -> dict[str, Any]:
    """Give the part of a notification configuration that tells a queue of uploads."""
    return {"QueueConfigurations": [{"QueueArn": queue_arn(name), "Events": ["s3:ObjectCreated:*"]}]}


def notifying_topic(arn: str) -> dict[str, Any]:
    """Give the part of a notification configuration that tells a topic of uploads."""
    return {"TopicConfigurations": [{"TopicArn": arn, "Events": ["s3:ObjectCreated:*"]}]}


class Server(Ending, ThreadedWSGIServer):
    """Moto's server."""


@contextmanager
def aws_server() -> Iterator[AwsServer]:
    """Run a server for the length of a block."""
    server = Server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), MotoRequestHandler)
    # What moto holds belongs to the process, and would outlive one server.
    BackendDict.reset()
    reset_model_data()
    with serving(server, end_polls), closing(AwsServer(f"http://127.0.0.1:{server.server_port}")) as made:
        yield made


def end_polls() -> None:
    """Let whoever polls an empty queue have a message: it would wait, and take memory, for 20 seconds more."""
    backend = sqs_backends[ACCOUNT][REGION]
    for name in backend.queues:
        backend.send_message(name, "the server ends")
