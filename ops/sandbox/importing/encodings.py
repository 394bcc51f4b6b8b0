"""Windows code pages (EncodingCodePage) and the Python codecs that read them; pure."""

import codecs

from ops.sandbox.importing.outcome import RefusedError

_NAMED = {
    65001: "utf-8-sig",  # a byte order mark at the start is not part of the first heading
    65000: "utf-7",
    1200: "utf-16",  # with a byte order mark that decides, else little-endian on the machines this runs on
    1201: "utf-16-be",
    12000: "utf-32",
    12001: "utf-32-be",
    20127: "ascii",
    932: "cp932",
    936: "gbk",
    949: "cp949",
    950: "cp950",
    10000: "mac_roman",
    20866: "koi8_r",
    21866: "koi8_u",
    20932: "euc_jp",
    51932: "euc_jp",
    51936: "gb2312",
    51949: "euc_kr",
    50220: "iso2022_jp",
    54936: "gb18030",
}
_DOS_AND_WINDOWS = (437, 720, 737, 775, 850, 852, 855, 857, 858, 860, 861, 862, 863, 864, 865, 866, 869, 874)
_ISO = {28590 + part: f"iso8859_{part}" for part in (*range(1, 12), *range(13, 17))}


def codec_of(code_page: int, default: str) -> str:
    """Return the Python codec of a Windows code page, or of the account's `default` where it is 0.

    Raises RefusedError for a code page that no codec reads.
    """
    if not code_page:
        return _without_mark(default)
    if code_page in _NAMED:
        return _NAMED[code_page]
    if code_page in _ISO:
        return _ISO[code_page]
    if code_page in _DOS_AND_WINDOWS or code_page in range(1250, 1259):
        return f"cp{code_page}"
    raise RefusedError(f"EncodingCodePage {code_page} is not a code page this sandbox reads (65001 is UTF-8)")


def _without_mark(name: str) -> str:
    codec = codecs.lookup(name).name
    return "utf-8-sig" if codec == "utf-8" else codec
