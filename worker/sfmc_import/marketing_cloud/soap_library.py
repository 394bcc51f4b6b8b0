"""zeep at work: envelopes out of our WSDL, and the answers that are not plain; the only importer of zeep."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import zeep
import zeep.transports
from lxml import etree
from zeep.exceptions import Fault

from sfmc_import.marketing_cloud.envelopes import Query
from sfmc_import.marketing_cloud.http import Reply
from sfmc_import.marketing_cloud.replies import SoapFault

PREFIX = "{http://exacttarget.com/wsdl/partnerAPI}"


class NoTransport:
    """Stands where zeep keeps its HTTP client: nothing is ever loaded from the network, or sent, by zeep itself."""

    def load(self, url: str) -> bytes:
        """Refuse: the WSDL of this package refers to no other document."""
        raise LookupError(f"documents are not loaded from the network: {url}")


@dataclass(frozen=True, slots=True)
class _ForZeep:
    """A reply as zeep wants it. The content type is ours: no multipart is expected or wanted."""

    status_code: int
    content: bytes
    encoding: str = "utf-8"

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Type": "text/xml"}


class Service:
    """A zeep client on the WSDL of this package; made once per process, used by all threads."""

    def __init__(self) -> None:
        # zeep would log envelopes at DEBUG, and at ERROR the tracebacks of replies that `replies` reads.
        logging.getLogger("zeep").setLevel(logging.CRITICAL)
        settings = zeep.Settings(
            # The live service sends an element that no WSDL declares (IsPlatformObject).
            strict=False,
            # Lenient alone would drop what comes in another order than declared, an error code for instance.
            xsd_ignore_sequence_order=True,
            xml_huge_tree=False,
            forbid_dtd=True,
            forbid_external=True,
        )
        with files(__package__).joinpath("partner_api.wsdl").open("rb") as wsdl:
            # zeep is typed only here and there.
            client_class: Any = zeep.Client
            self._client = client_class(wsdl, transport=NoTransport(), settings=settings)

    def perform(self, customer_key: str, headers: Sequence[etree._Element]) -> etree._Element:
        """Make the envelope that starts one ImportDefinition."""
        definition = self._new("ImportDefinition", ObjectID=zeep.xsd.Nil, CustomerKey=customer_key)
        return self._message("Perform", headers, Action="start", Definitions={"Definition": [definition]})

    def retrieve(self, query: Query, headers: Sequence[etree._Element]) -> etree._Element:
        """Make the envelope of a query."""
        request: dict[str, Any] = {
            "ObjectType": query.object_type,
            "Properties": list(query.properties),
        }
        if query.filter_by is not None:
            request["Filter"] = self._filter(query.filter_by, query.values)
        if query.above is not None:
            request["Filter"] = self._and_above(request["Filter"], query.above)
        if query.continues is not None:
            request["ContinueRequest"] = query.continues
        return self._message("Retrieve", headers, RetrieveRequest=request)

    def understand(self, operation: str, reply: Reply) -> Any:
        """Read an answer: zeep's object, or a SoapFault; raise whatever zeep raises where it cannot read."""
        binding = self._client.service._binding  # noqa: SLF001 - zeep has no public way to process_reply
        answer = _ForZeep(reply.status, reply.content)
        try:
            return binding.process_reply(self._client, binding.get(operation), answer)
        except Fault as fault:
            return _stated(fault)

    def _filter(self, name: str, values: Sequence[str]) -> Any:
        # The service refuses IN with a single value.
        operator = "IN" if len(values) > 1 else "equals"
        return self._new("SimpleFilterPart", Property=name, SimpleOperator=operator, Value=list(values))

    def _and_above(self, part: Any, task_id: str) -> Any:
        newer = self._new("SimpleFilterPart", Property="TaskResultID", SimpleOperator="greaterThan", Value=[task_id])
        return self._new("ComplexFilterPart", LeftOperand=part, LogicalOperator="AND", RightOperand=newer)

    def _new(self, name: str, **values: Any) -> Any:
        return self._client.get_type(PREFIX + name)(**values)

    def _message(self, operation: str, headers: Sequence[etree._Element], **values: Any) -> etree._Element:
        service, blocks = self._client.service, list(headers)
        envelope: etree._Element = self._client.create_message(service, operation, _soapheaders=blocks, **values)
        return envelope


def _stated(fault: Fault) -> SoapFault:
    kind = (fault.code or "").strip().rpartition(":")[2]
    return SoapFault(kind, _code_in(fault.detail), (fault.message or "").strip())


def _code_in(detail: Any) -> int | None:
    # detail/apifault/Code (Marketing Cloud docs, "SOAP Faults"); without a fault element zeep gives bytes here.
    fields = detail.iter("{*}Code") if hasattr(detail, "iter") else iter(())
    code = next((field.text or "" for field in fields), "").strip()
    return int(code) if code.isascii() and code.isdigit() else None
