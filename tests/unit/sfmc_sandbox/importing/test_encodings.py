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
    assert codec_of(0, "UTF8") == "utf-8"


@pytest.mark.parametrize("code_page", [0, 1252, 1200, 1201, 12001, 65001])
@pytest.mark.parametrize("marked", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_a_byte_order_mark_names_the_encoding_and_is_no_text(world, code_page, marked):
    world.people()
    text = "Email,Name,Age\nzoe@example.com,Zoë €,30\n"
    mark = b"" if marked in {"utf-8-sig", "utf-16", "utf-32"} else "\ufeff".encode(marked)
    world.put_bytes("people.csv", mark + text.encode(marked))
    assert world.run(EncodingCodePage=code_page).message == "1 of 1 rows imported"
    assert world.rows() == [("zoe@example.com", "Zoë €", 30)]


@pytest.mark.parametrize(("code_page", "codec"), [(1200, "utf-16-le"), (1201, "utf-16-be"), (12000, "utf-32-le")])
def test_without_a_byte_order_mark_the_code_page_decides(world, code_page, codec):
    world.people()
    world.put_bytes("people.csv", "Email\nzoe@example.com\n".encode(codec))
    assert world.run(EncodingCodePage=code_page).successful == 1


def test_an_unknown_encoding_code_page_is_refused_by_number():
    with pytest.raises(RefusedError, match="EncodingCodePage 4711"):
        codec_of(4711, "utf-8")
