"""The key of the server is checked before anybody logs in; a changed one stops the source."""

import asyncssh

from sfmc_producers.sources.receiving import SourceRefusedError, SourceUnavailableError
from tests.integration.sftp_source.watched import WatchedServer

NEW = asyncssh.generate_private_key("ssh-ed25519")
ECDSA = asyncssh.generate_private_key("ecdsa-sha2-nistp256")


def stopped(watched):
    for _ in range(50):
        try:
            watched.pass_time()
        except SourceUnavailableError:
            # A server that finds no type of key in common may end the connection before we find it: tried again.
            continue
        except SourceRefusedError as refusal:
            return refusal
    raise AssertionError("the source was not stopped")


def public(key):
    return key.export_public_key().decode().strip()


def rotate(server, key):
    server.cut()
    server.host_keys = [key]
    server.listen()


def test_a_changed_host_key_stops_the_source_and_says_which_was_offered_and_what_to_do(watched, server):
    watched.pass_time()
    before = len(server.logins)
    rotate(server, NEW)
    watched.restart()
    refusal = stopped(watched)
    assert f"the server offers ssh-ed25519 {NEW.get_fingerprint()}" in str(refusal)
    assert "add it to host_keys beside the others" in refusal.fix
    assert len(server.logins) == before


def test_of_several_pinned_keys_any_is_accepted_so_a_rotation_stops_nothing(watched, server):
    watched.restart(host_keys=[server.fingerprint, NEW.get_fingerprint()])
    watched.pass_time()
    rotate(server, NEW)
    watched.restart(host_keys=[server.fingerprint, NEW.get_fingerprint()])
    watched.pass_time()


def test_a_public_key_is_pinned_as_well_as_a_fingerprint_and_chooses_the_type_that_is_asked_for(watched, server):
    rotate(server, NEW)
    server.cut()
    server.host_keys = [NEW, ECDSA]
    server.listen()
    watched.restart(host_keys=[public(ECDSA)])
    watched.pass_time()


def test_a_server_that_has_no_key_of_the_pinned_type_is_refused_with_the_key_that_it_has(watched, server):
    watched.restart(host_keys=[public(ECDSA)])
    assert f"offers ssh-ed25519 {server.fingerprint}" in str(stopped(watched))
    assert server.logins == []


def test_other_keys_that_the_server_announces_are_named_before_it_rotates(watched, server):
    rotate(server, server.host_keys[0])
    server.cut()
    server.host_keys = [server.host_keys[0], ECDSA]
    server.listen()
    watched.restart()
    lines = watched.pass_time(1, 1)
    announced = [each["keys"] for each in lines if each["event"] == "host_keys_announced"]
    assert announced == [[f"ecdsa-sha2-nistp256 {ECDSA.get_fingerprint()}"]]


def known_hosts(tmp_path, port, key):
    file = tmp_path / "known_hosts"
    file.write_text(f"[127.0.0.1]:{port} {public(key)}\n")
    return str(file)


def test_known_hosts_is_asked_in_the_form_of_openssh(watched, server, tmp_path):
    watched.restart(host_keys=[], known_hosts=known_hosts(tmp_path, server.port, server.host_keys[0]))
    watched.pass_time()
    watched.restart(host_keys=[], known_hosts=known_hosts(tmp_path, server.port, NEW))
    refusal = stopped(watched)
    assert f"{tmp_path}/known_hosts; the server offers ssh-ed25519 {server.fingerprint}" in str(refusal)
    assert "add it to that file" in refusal.fix


def test_a_server_that_is_not_in_known_hosts_is_refused(watched, server, tmp_path):
    watched.restart(host_keys=[], known_hosts=known_hosts(tmp_path, server.port + 1, server.host_keys[0]))
    stopped(watched)
    assert server.logins == []


def test_nothing_connects_again_after_a_changed_host_key(server, client):
    watched = WatchedServer(server, client, host_keys=[NEW.get_fingerprint()])
    stopped(watched)
    count = server.connections
    stopped(watched)
    assert server.connections == count
    watched.close()
