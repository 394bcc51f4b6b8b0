"""Checks replies against the schema of the sandbox's own WSDL; used by tests and by `--validate`."""

from functools import cache

from lxml import etree

from sfmc_sandbox.wire.codec import PLATFORM_FLAG
from sfmc_sandbox.wire.vocabulary import API_FAULT, PARTNER, XSD, local_name
from sfmc_sandbox.wire.wsdl import declarations, fault_schema


def problems_of(reply: bytes) -> list[str]:
    """What the schema finds wrong with a reply envelope; empty when it is valid.

    `IsPlatformObject` is passed over: the live service sends it though no WSDL declares it.
    """
    root = etree.fromstring(reply)
    for flag in list(root.iter(f"{{{PARTNER}}}{PLATFORM_FLAG}")):
        parent = flag.getparent()
        if parent is not None:
            parent.remove(flag)
    body = next(part for part in root if local_name(part.tag) == "Body")
    return [problem for payload in body for problem in _check(payload)]


def _check(payload: etree._Element) -> list[str]:
    if local_name(payload.tag) == "Fault":
        faults = list(payload.iter(f"{{{API_FAULT}}}apifault"))
        return [problem for fault in faults for problem in _errors(_fault_validator(), fault)]
    return _errors(_validator(), payload)


def _errors(validator: etree.XMLSchema, element: etree._Element) -> list[str]:
    # A copy: the schema must see the element as a document of its own.
    document = etree.fromstring(etree.tostring(element))
    try:
        validator.assertValid(document)
    except etree.DocumentInvalid as problem:
        return [str(problem)]
    return []


@cache
def _validator() -> etree.XMLSchema:
    scopes = {"xs": XSD, "tns": PARTNER}
    root = etree.Element(f"{{{XSD}}}schema", nsmap=scopes, targetNamespace=PARTNER, elementFormDefault="qualified")
    root.extend([etree.fromstring(etree.tostring(declaration)) for declaration in declarations()])
    return etree.XMLSchema(etree.fromstring(etree.tostring(root)))


@cache
def _fault_validator() -> etree.XMLSchema:
    return etree.XMLSchema(etree.fromstring(fault_schema()))
