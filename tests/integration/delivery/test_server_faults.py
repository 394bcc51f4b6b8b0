"""An SFTP server that fails in its own way: the file is submitted once, whole, or nothing is and the reason is said."""

import gc
import unicodedata

import asyncssh
import pytest

from sfmc_producers.delivery.names import temporary_name
from sfmc_producers.delivery.records import Held
from sfmc_producers.delivery.sftp_upload import REWIND
from sfmc_producers.delivery.targets import FileRefusedError, TargetUnavailableError
from tests.integration.delivery.world import FINGERPRINT, KEYS, SIZE, on_call, random_file
from tests.support.waiting import eventually

PART = temporary_name(FINGERPRINT)
KEY_OF_R1 = KEYS.request("r1")


def always(operation: str, error: Exception):
    def meet(called: str, _: str) -> None:
        if called == operation:
            raise error

    return meet


@pytest.mark.parametrize("operation", ["lstat", "open", "write", "close", "posix_rename"])
def test_a_server_that_stalls_is_left_and_the_file_is_delivered_when_it_answers_again(world, operation) -> None:
    world.timeout = 0.3
    world.server.stalls = {operation}
    with pytest.raises(TargetUnavailableError, match="did not answer in time"):
        world.deliver()
    assert world.submitted == []
    world.server.stalls, world.timeout = set(), 10
    world.deliver()
    assert world.is_done()


@pytest.mark.parametrize("number", range(6))
def test_a_server_that_stalls_in_the_middle_of_the_writes_gets_the_file_whole_later(world, number) -> None:
    world.timeout = 0.5
    world.server.before = on_call("write", number, lambda: world.server.stalls.add("write"))
    try:
        world.deliver()
    except TargetUnavailableError:
        assert world.submitted == []
        world.server.stalls, world.timeout = set(), 10
        world.deliver()
    assert world.is_done()


def test_a_slow_line_is_no_silence(world) -> None:
    random_file(world.path, 2_500_000)
    world.timeout, world.server.pause = 1.5, 0.12
    world.deliver()
    assert world.is_done()


@pytest.mark.parametrize("said", [0, SIZE - 1, SIZE + 1, 2 * SIZE])
def test_a_server_that_lies_about_sizes_starts_nothing(world, said) -> None:
    world.server.lie = lambda *_: said
    with pytest.raises(FileRefusedError, match=f"has {said} bytes"):
        world.deliver()
    assert world.submitted == []
    world.server.lie = lambda _, size: size
    world.deliver()
    assert world.is_done()


def test_a_server_that_confirms_what_it_does_not_write_and_tells_the_right_size_starts_nothing(world) -> None:
    world.server.loses = lambda _, offset: offset > SIZE // 2
    world.server.lie = lambda _, size: SIZE if size else 0
    with pytest.raises(FileRefusedError, match="other bytes at the end"):
        world.deliver()
    assert world.submitted == []
    world.server.loses = lambda *_: False
    world.deliver()
    assert world.is_done()


def test_a_server_that_tells_too_large_a_size_of_what_is_left_resumes_nothing_that_is_missing(world) -> None:
    content = random_file(world.path, REWIND + 3_000_000)
    left = content[: REWIND + 100_000]
    world.begin()
    (world.place / PART).write_bytes(left[:500_000] + bytes(1_000_000) + left[1_500_000:])
    world.server.lie = lambda path, size: len(content) if path.endswith(".part") else size
    world.deliver()
    assert world.is_done()


def test_a_server_that_tells_too_small_a_size_of_what_is_left_leaves_nothing_behind_the_end(world) -> None:
    content = random_file(world.path, REWIND + 3_000_000)
    world.begin()
    (world.place / PART).write_bytes(content + b"of another file")
    world.server.lie = lambda _, size: min(size, len(content))
    with pytest.raises(FileRefusedError):
        world.deliver()
    assert world.submitted == []
    world.deliver()
    assert world.is_done()


def test_a_server_whose_files_cannot_be_read_gets_files_too(world) -> None:
    def meet(operation: str, path: str) -> None:
        if operation == "read":
            raise asyncssh.SFTPPermissionDenied("upload only")

    world.server.before = meet
    world.deliver()
    assert world.is_done()


@pytest.mark.parametrize("there", [b"", b"older"], ids=["new", "replaces"])
@pytest.mark.parametrize(
    "refusal",
    [asyncssh.SFTPOpUnsupported("no"), asyncssh.SFTPFailure("no"), asyncssh.SFTPFileAlreadyExists("no")],
    ids=["unsupported", "failure", "exists"],
)
def test_a_server_that_only_renames_to_a_free_name_gets_the_file(world, refusal, there) -> None:
    if there:
        (world.place / "orders.csv").write_bytes(there)
    world.server.before = always("posix_rename", refusal)
    world.deliver()
    assert world.is_done()


def test_a_refused_rename_is_said_and_tried_again_without_sending_the_file_again(world) -> None:
    world.server.before = always("posix_rename", asyncssh.SFTPPermissionDenied("not allowed here"))
    with pytest.raises(FileRefusedError, match="not allowed here"):
        world.deliver()
    assert (world.submitted, world.names) == ([], [PART])
    world.server.before = lambda *_: None
    world.deliver()
    assert world.is_done()
    assert world.server.written == SIZE


def test_an_older_file_of_the_same_size_is_never_taken_for_the_new_one(world) -> None:
    (world.place / "orders.csv").write_bytes(bytes(SIZE))
    world.server.before = always("posix_rename", asyncssh.SFTPPermissionDenied("not now"))
    with pytest.raises(FileRefusedError):
        world.deliver()
    world.server.before = lambda *_: None
    (world.place / PART).unlink()
    world.deliver()
    assert world.is_done()


@pytest.mark.parametrize("byte", [0, 1, SIZE // 2, SIZE - 1])
def test_a_full_disk_is_said_and_the_file_is_delivered_when_there_is_space(world, byte) -> None:
    world.server.full_at = byte
    with pytest.raises(FileRefusedError, match="no space left"):
        world.deliver()
    assert (world.submitted, (world.place / "orders.csv").exists()) == ([], False)
    world.server.full_at = None
    world.deliver()
    assert world.is_done()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(6))
def test_a_connection_that_is_cut_at_any_block_is_taken_up_again(world, when, number) -> None:
    setattr(world.server, when, on_call("write", number, world.server.abort))
    try:
        world.deliver()
    except TargetUnavailableError:
        assert world.submitted == []
        world.deliver()
    assert world.is_done()


def test_many_blocks_that_fail_at_once_cost_no_traceback_for_each(world, caplog) -> None:
    random_file(world.path, 8_000_000)
    world.server.full_at = SIZE
    with pytest.raises(FileRefusedError, match="no space left"):
        world.deliver()
    assert tracebacks(caplog) == []
    world.server.full_at = None
    world.server.before = on_call("write", 12, world.server.abort)
    with pytest.raises(TargetUnavailableError):
        world.deliver()
    assert tracebacks(caplog) == []


def tracebacks(caplog) -> list[str]:
    """What asyncio says of tasks that nothing waited for: when they are collected."""
    gc.collect()
    return [each.message for each in caplog.records if each.name == "asyncio" and each.levelname == "ERROR"]


@pytest.mark.parametrize("operation", ["open", "close", "lstat", "posix_rename"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_that_is_cut_at_any_other_step_is_taken_up_again(world, operation, when) -> None:
    setattr(world.server, when, on_call(operation, 0, world.server.abort))
    try:
        world.deliver()
    except TargetUnavailableError:
        assert world.submitted == []
        world.deliver()
    assert world.is_done()


@pytest.mark.parametrize("change", ["shorter", "equal", "longer", "beginning", "middle"])
def test_what_a_foreign_program_left_under_the_temporary_name_never_gets_into_the_file(world, change) -> None:
    content = random_file(world.path, REWIND + 4_000_000)
    other = bytes(each ^ 0xFF for each in content[:200_000])
    left = {
        "shorter": other,
        "equal": other + content[200_000:],
        "longer": content + other,
        "beginning": other + content[200_000:-10],
        "middle": content[:1_500_000] + other + content[1_700_000:-10],
    }[change]
    (world.place / PART).write_bytes(left)
    world.deliver()
    assert world.is_done()


@pytest.mark.parametrize("change", ["shorter", "longer", "end"])
def test_what_is_there_after_an_attempt_of_ours_and_does_not_fit_is_sent_anew(world, change) -> None:
    content = random_file(world.path, REWIND + 4_000_000)
    other = bytes(each ^ 0xFF for each in content[:200_000])
    left = {"shorter": other, "longer": content + other, "end": content[: 4_000_000 - 100_000] + other}[change]
    world.begin()
    (world.place / PART).write_bytes(left + bytes(REWIND - 100_000) if change == "end" else left)
    world.deliver()
    assert world.is_done()
    assert world.server.written == len(content)


@pytest.mark.parametrize(
    ("refusal", "text"),
    [(asyncssh.SFTPPermissionDenied("read only"), "read only"), (None, "Import refuses: No such file")],
    ids=["read-only", "missing"],
)
def test_a_folder_that_takes_no_file_is_said_and_costs_one_login(world, refusal, text) -> None:
    if refusal:
        world.server.before = always("open", refusal)
    else:
        world.place.rmdir()
    with world.target() as target:
        jobs = [world.job(f"{number}.csv", f"r{number}", f"f{number}") for number in range(5)]
        eventually(lambda: all(is_held(target.take(job), text) for job in jobs), 30, "each is refused")
    assert world.submitted == []
    assert len(world.server.logins) == 1


def is_held(answer, text: str) -> bool:
    return isinstance(answer, Held) and text in answer.text


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Orders.csv", "orders.CSV"),
        (unicodedata.normalize("NFC", "größe.csv"), unicodedata.normalize("NFD", "größe.csv")),
        ("orders.csv", "orders.csv."),
    ],
    ids=["case", "unicode", "dot"],
)
def test_a_name_that_some_servers_take_for_the_same_waits_for_the_request_of_the_first(world, first, second) -> None:
    world.deliver(world.job(first))
    world.client.hset(KEY_OF_R1, mapping={"state": "started", "since": 0, "at": 0})
    world.client.expire(KEY_OF_R1, 60)
    found = world.deliver(world.job(second, "r2", "f2"))
    assert is_held(found, "r1 (started)")
    assert world.names == [first]
