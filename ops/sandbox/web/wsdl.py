"""Serves the WSDL and the fault schema, with the address this server was reached at."""

from email.utils import formatdate

from starlette.requests import Request
from starlette.responses import Response

from ops.sandbox.faults.catalogue import WSDL
from ops.sandbox.web import striking
from ops.sandbox.wire import wsdl as documents


async def wsdl(request: Request) -> Response:
    """`GET|HEAD /etframework.wsdl`."""

    async def answer() -> Response:
        return _document(documents.wsdl(str(request.base_url).rstrip("/")))

    return await striking.around_plain(request, WSDL, answer)


async def fault_schema(request: Request) -> Response:
    """`GET|HEAD /ETFrameworkFault.xsd`."""
    del request
    return _document(documents.fault_schema())


def _document(content: bytes) -> Response:
    modified = formatdate(documents.last_modified(), usegmt=True)
    return Response(content, media_type="text/xml; charset=utf-8", headers={"Last-Modified": modified})
