"""The names that files may have at a target."""

import unicodedata

MAX_NAME_BYTES = 255
REFUSED = frozenset('\\/:*<>|?"')
"""Characters that Enhanced FTP refuses (Salesforce Help, "SFTP Accounts in Marketing Cloud Engagement")."""


def name_problem(name: str) -> str | None:
    """Say what is wrong with the name of a file at a target; None for a name that can be used."""
    if name in {"", ".", ".."}:
        return f"{name!r} is no name of a file"
    if bad := sorted({each for each in name if each in REFUSED or not each.isprintable()}):
        shown = ", ".join(ascii(each) for each in bad)
        return f"the target takes no file whose name has {shown}; rename the file, or give the route deliver_as"
    if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        return f"its name has more than {MAX_NAME_BYTES} bytes; give the route deliver_as"
    return None


def taken_as(name: str) -> str:
    """Give what is equal for names that some servers take for the same: in case, normal form, dots at the end."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).rstrip(" .")


def temporary_name(fingerprint: str) -> str:
    """Give the name during the upload: short, and the same for the same content, so that it can be resumed."""
    return f".sfmc-{fingerprint}.part"
