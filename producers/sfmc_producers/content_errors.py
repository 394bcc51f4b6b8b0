"""What can be wrong with the content of a file that is read for a preflight or a delivery."""


class ContentError(Exception):
    """The content cannot be used; the text says why. Never an OSError: those are of the target's connection."""


class ContentUnavailableError(ContentError):
    """It cannot be read now: ask again."""


class ContentChangedError(ContentError):
    """The file is no longer what arrived: its source, which looks again, reports it anew."""


class ContentGoneError(ContentError):
    """The content that was announced is not there any more, and no repetition helps."""


class ContentDamagedError(ContentError):
    """The content cannot be unpacked: the same bytes never can. `code` is that of its rejected request."""

    code = "damaged"


class ContentUnsignedError(ContentDamagedError):
    """The content has no valid signature of a key that its route trusts."""

    code = "bad_signature"


class ContentLockedError(ContentError):
    """The content is encrypted for a key that is not there: it can be used when a person has given the key."""
