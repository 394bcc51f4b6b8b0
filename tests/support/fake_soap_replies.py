"""Replies as Marketing Cloud writes them, for tests that play the service by hand."""

from xml.sax.saxutils import escape

API = "http://exacttarget.com/wsdl/partnerAPI"
FAULT = "urn:fault.partner.exacttarget.com"
SECURITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
ECHO = (
    '<Object xsi:type="ImportDefinition"><PartnerKey xsi:nil="true"/><ObjectID xsi:nil="true"/>'
    "<CustomerKey>orders</CustomerKey><IsPlatformObject>false</IsPlatformObject></Object>"
)


def envelope(body: str) -> bytes:
    """Wrap a body as the service does: one line, prefix soap, addressing and a time stamp."""
    return (
        '<?xml version="1.0" encoding="utf-8"?><soap:Envelope'
        ' xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
        ' xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing"><soap:Header>'
        "<wsa:Action>Response</wsa:Action></soap:Header>"
        f"<soap:Body>{body}</soap:Body></soap:Envelope>"
    ).encode()


def performed(
    task_id: str | None = "129159023",
    *,
    overall: str = "OK",
    status: str = "OK",
    code: int | None = None,
    text: str = "ImportDefinition performed AsyncID:129159023",
    results: int = 1,
) -> bytes:
    """Answer a Perform."""
    error = "" if code is None else f"<ErrorCode>{code}</ErrorCode>"
    task = "" if task_id is None else (
        f"<Task><StatusCode>OK</StatusCode><StatusMessage>OK</StatusMessage><ID>{task_id}</ID></Task>"
    )  # fmt: skip
    result = (
        f"<Result><StatusCode>{status}</StatusCode><StatusMessage>{escape(text)}</StatusMessage>{error}"
        f"{ECHO}{task}</Result>"
    )
    return envelope(
        f'<PerformResponseMsg xmlns="{API}"><Results>{result * results}</Results><OverallStatus>{overall}'
        "</OverallStatus><OverallStatusMessage/><RequestID>request-1</RequestID></PerformResponseMsg>"
    )


def found(*rows: str, status: str = "OK", request_id: str = "request-2") -> bytes:
    """Answer a Retrieve with rows, each the content of one Results element."""
    results = "".join(f'<Results xsi:type="ImportResultsSummary">{row}</Results>' for row in rows)
    return envelope(
        f'<RetrieveResponseMsg xmlns="{API}"><OverallStatus>{escape(status)}</OverallStatus>'
        f"<RequestID>{request_id}</RequestID>{results}</RetrieveResponseMsg>"
    )


def row(**values: object) -> str:
    """Write the properties of a row; None is nil."""
    fields = (
        f'<{name} xsi:nil="true"/>' if value is None else f"<{name}>{escape(str(value))}</{name}>"
        for name, value in values.items()
    )
    return '<PartnerKey xsi:nil="true"/>' + "".join(fields)


def fault(code: int | None, text: str, kind: str = "soap:Server") -> bytes:
    """Answer with a fault; `code` goes into the detail, where faults of the API itself carry it."""
    detail = "" if code is None else (
        f'<detail><apifault xmlns="{FAULT}"><Code>{code}</Code><Message>{escape(text)}</Message>'
        "<LogID>4711</LogID></apifault></detail>"
    )  # fmt: skip
    return envelope(
        f'<soap:Fault><faultcode xmlns:q0="{SECURITY}">{kind}</faultcode><faultstring>{escape(text)}'
        f"</faultstring><faultactor>https://t.soap.example/Service.asmx</faultactor>{detail}</soap:Fault>"
    )


def login_fault(text: str = "Token Expired") -> bytes:
    """Answer as to a token that is no longer, or never was, good."""
    return fault(None, text, kind="q0:Security")
