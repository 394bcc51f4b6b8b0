"""XML as nested tuples that are equal for equal documents, whatever prefixes they use."""

from lxml import etree

XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


def infoset(element: etree._Element) -> tuple:
    """Give tag, attributes, text and children of an element, with xsi:type as a qualified name."""
    attributes = dict(element.attrib)
    if XSI_TYPE in attributes:
        prefix, _, name = attributes[XSI_TYPE].rpartition(":")
        attributes[XSI_TYPE] = f"{{{element.nsmap.get(prefix or None)}}}{name}"
    text = element.text or ""
    # Between elements white space is layout; in a value it counts.
    text = text.strip() if len(element) else text
    return element.tag, tuple(sorted(attributes.items())), text, tuple(map(infoset, element))


def read(content: bytes) -> tuple:
    """Give the infoset of a document."""
    return infoset(etree.fromstring(content, etree.XMLParser(remove_comments=True)))


def without(content: bytes, **values: str) -> bytes:
    """Put the fixed words of a golden file in the place of values that differ each time, by element name."""
    root = etree.fromstring(content)
    for name, value in values.items():
        for element in root.iter(f"{{*}}{name}"):
            element.text = value
    for element in root.iter("{*}UsernameToken"):
        for attribute in element.attrib:
            element.set(attribute, "SecurityToken-1")
    return etree.tostring(root)
