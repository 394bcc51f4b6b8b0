"""A refusal of one object, as results carry it; which texts and numbers exist, not when they apply.

Source of the numbers: Marketing Cloud docs, "Error Codes" (1-99 and 43000-43999).
"""

NO_ACCESS = 4
WRONG_OBJECT_TYPE = 5
NOTHING_GIVEN = 6
NOT_AUTHORISED = 11
CONVERSATION_USED = 211
KEY_NOT_SPECIFIED = 43000
NOT_FOUND = 43010
OBJECT_NOT_SUPPORTED = 43020
EXISTS = 43030
INSERT_ERROR = 43040
UPDATE_ERROR = 43050
VALIDATION_ERROR = 43060


class RefusalError(Exception):
    """One object was refused: the number for ErrorCode (None where the service sends none) and the message."""

    def __init__(self, code: int | None, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
