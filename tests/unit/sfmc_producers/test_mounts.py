import pytest

from sfmc_producers.mounts import is_network, mount_of, types_of

MOUNTINFO = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,errors=remount-ro
40 27 0:35 / /data rw - nfs4 files:/export rw,vers=4.2
41 40 0:36 / /data/local rw master:1 propagate_from:2 - xfs /dev/vdb rw
42 27 0:37 / /drop\\040box rw - fuse.sshfs in@host:/ rw,user_id=0
43 27 0:38 / /again rw - nfs old:/ rw
44 27 0:39 / /again rw - ext4 /dev/vdc rw
45 27 0:40 / /datastore rw - cifs //host/share rw
"""


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/in", "ext4"),
        ("/", "ext4"),
        ("/data", "nfs4"),
        ("/data/in", "nfs4"),
        ("/data/local/in", "xfs"),
        ("/datastore/in", "cifs"),
        ("/data2", "ext4"),
        ("/drop box/in", "fuse.sshfs"),
        ("/again/in", "ext4"),
    ],
)
def test_a_folder_lies_on_the_nearest_mount_above_it(folder, expected):
    assert types_of(MOUNTINFO, folder, recursive=False) == (expected,)


def test_with_subfolders_the_mounts_below_count_too():
    assert types_of(MOUNTINFO, "/data", recursive=True) == ("nfs4", "xfs")
    assert set(types_of(MOUNTINFO, "/", recursive=True)) > {"ext4", "nfs4", "fuse.sshfs"}


@pytest.mark.parametrize("text", ["", "broken\n", "1 2 3 / /x rw - \n", "1 2 3 / rw - ext4 x\n"])
def test_a_text_that_says_nothing_gives_nothing(text):
    assert types_of(text, "/x/in", recursive=True) == ()


@pytest.mark.parametrize(
    "kind",
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "fuse.sshfs",
        "fuse.s3fs",
        "fuse.rclone",
        "fuse",
        "9p",
        "virtiofs",
        "ceph",
        "vboxsf",
    ],
)
def test_network_file_systems_are_known_by_their_type(kind):
    assert is_network(kind)


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "apfs", "vfat", "fuseblk", "fuse.ntfs-3g", "nfsd"]
)
def test_local_file_systems_are_known_by_their_type(kind):
    assert not is_network(kind)


MOUNTS = """\
1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 0:50 /share /data/in rw,relatime shared:1 - nfs4 server:/share rw
3 1 0:51 / /my\\040data rw - tmpfs tmpfs rw
no line of this kind
4 1 0:52 / /over rw - nfs4 first:/x rw
5 1 0:53 / /over rw - nfs4 second:/x rw
"""


@pytest.mark.parametrize(
    ("folder", "mount"),
    [
        ("/data/in/a", "nfs4 server:/share /share /data/in"),
        ("/data/inner", "ext4 - / /"),
        ("/my data", "tmpfs tmpfs / /my\\040data"),
        ("/over", "nfs4 second:/x / /over"),
    ],
)
def test_the_mount_of_a_folder_is_the_nearest_and_the_last_without_the_name_of_a_local_disk(folder, mount):
    assert mount_of(MOUNTS, folder) == mount


def test_a_folder_of_which_the_system_says_nothing_has_no_mount():
    assert mount_of("", "/in") == ""
    assert mount_of("no line of this kind\n", "/in") == ""
