"""Answers that end a call early, as exceptions: SOAP faults and plain refusals; decides nothing."""


class BadRequestError(Exception):
    """The bytes are no SOAP request; Marketing Cloud answers HTTP 400 with the text `Bad Request`."""


class SoapFaultError(Exception):
    """A SOAP fault, sent with HTTP 500.

    `kind` is Client, Server or Security. `code` is the number in `apifault`, which only faults of the framework
    carry (Marketing Cloud docs, "SOAP faults").
    """

    def __init__(self, kind: str, text: str, *, code: int | None = None, empty_detail: bool = False) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.code = code
        self.empty_detail = empty_detail
