import codecs

import pytest

from sfmc_sandbox.importing.outcome import RefusedError
from sfmc_sandbox.importing.reading import codec_of


@pytest.mark.parametrize(
    ("code_page", "text"),
    [
        (65001, "Zoë €"),
        (1252, "Zoë €"),
        (1251, "Зоя"),
        (1200, "Zoë €"),
        (1201, "Zoë"),
        (932, "東京"),
        (936, "北京"),
        (28591, "Zoë"),
        (28605, "Zoë €"),
        (850, "Zoë"),
        (20127, "Zoe"),
        (20866, "Зоя"),
    ],
)
def test_encoding_code_page_names_a_codec_that_reads_such_text(code_page, text):
    codec = codec_of(code_page, "ascii")
    assert text.encode(codec).decode(codec) == text


@pytest.mark.parametrize("code_page", range(1250, 1259))
def test_every_windows_code_page_is_read(code_page):
    assert codecs.lookup(codec_of(code_page, "ascii")).name == f"cp{code_page}"


def test_without_encoding_code_page_the_account_decides():
    assert codec_of(0, "windows-1252") == "cp1252"
    assert codec_of(0, "UTF8") == "utf-8-sig"


def test_an_unknown_encoding_code_page_is_refused_by_number():
    with pytest.raises(RefusedError, match="EncodingCodePage 4711"):
        codec_of(4711, "utf-8")
