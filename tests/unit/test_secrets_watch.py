import pytest

from tests.support.secrets_watch import TOKEN_LENGTHS, SecretsWatch

QUIET = "the length is the only thing that is said about a token of this kind"


@pytest.mark.parametrize("length", TOKEN_LENGTHS)
@pytest.mark.parametrize(("begin", "end"), [(0, 1), (0, 0.5), (0.5, 1)], ids=["whole", "first half", "second half"])
def test_a_secret_and_each_half_of_it_is_seen(length: int, begin: float, end: float) -> None:
    secret = "".join(f"{number:04x}." for number in range(length))[:length]
    watch = SecretsWatch("demo-secret", secret)
    watch.keep("a log", f"{QUIET}: {secret[int(length * begin) : int(length * end)]} {QUIET}")

    assert watch.seen_at_the_end()[0].startswith("a log: ")


def test_a_text_without_a_secret_is_quiet() -> None:
    watch = SecretsWatch("demo-secret")
    watch.keep("a log", QUIET)

    assert watch.seen_at_the_end() == []
