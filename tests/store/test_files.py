import errno
import os
import resource
import socket
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from hyperfactor import MachineError, RequestError
from hyperfactor.errors import BusyError, WriteError
from hyperfactor.store.files import Folder, files_at
from hyperfactor.store.lease import DEAD, Lease, Leases

from .racing import the_holder, winners


def test_what_is_written_is_read_listed_and_deleted(place: str):
    files = files_at(place)
    assert files.children() == []
    assert files.children("a") == []
    files.write("a/one", b"1")
    files.write("a/two", b"22")
    files.write("b/three", b"")
    files.write("a/one", b"again")
    assert files.read("a/one") == b"again"
    assert files.children() == ["a", "b"]
    assert files.children("a") == ["one", "two"]
    assert files.sizes("a") == {"one": 5, "two": 2}
    files.delete("a/one")
    files.delete("a/one")
    assert files.children("a") == ["two"]
    files.delete_folder("a")
    files.delete_folder("a")
    assert files.children() == ["b"]
    with pytest.raises(FileNotFoundError):
        files.read("a/one")
    with pytest.raises(FileNotFoundError):
        files.read("b/three/below")


def test_of_many_that_create_a_file_one_succeeds(place: str):
    files = files_at(place)
    (won,) = winners(lambda k: k if files.create("leases/x", str(k).encode()) else None)
    assert files.read("leases/x") == str(won).encode()
    assert files.children("leases") == ["x"]


def test_an_address_finds_the_place_again(place: str):
    files = files_at(place)
    files.write("a", b"1")
    assert files_at(files.url).read("a") == b"1"
    assert "endpoint_url" not in files.where  # messages name the place alone


def test_a_file_address_is_a_folder(tmp_path: Path):
    assert isinstance(files_at(f"file://{tmp_path}"), Folder)


def test_what_is_no_place_is_told(s3: str):
    with pytest.raises(RequestError, match="needs a protocol that fsspec knows"):
        files_at("nowhere://x/y")
    gone = files_at("s3://no-such-bucket/runs?endpoint_url=" + s3)
    with pytest.raises(WriteError, match="no-such-bucket/runs/a: .*needs a bucket that can be reached"):
        gone.write("a", b"1")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and listens to nobody
        closed = files_at(f"s3://bucket/runs?endpoint_url=http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(MachineError, match="s3://bucket/runs/a: .*needs a bucket that can be reached"):
            closed.read("a")


FILL = """
import resource, signal, sys
from hyperfactor.errors import MachineError
from hyperfactor.store.files import Folder
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    Folder(sys.argv[1]).write("a/big", bytes(5000))
except MachineError as error:
    print(error)
"""


def test_a_write_that_the_system_cuts_off_leaves_the_old_file(tmp_path: Path):
    """The kernel refuses to go on in the middle of the file, as on a full disk."""
    assert resource.RLIMIT_FSIZE
    Folder(tmp_path).write("a/big", b"old")
    done = subprocess.run([sys.executable, "-c", FILL, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "a/big: File too large, needs a disk with room that can be written" in done.stdout
    assert Folder(tmp_path).read("a/big") == b"old"
    assert os.listdir(tmp_path / "a") == ["big"]


NO_LINKS = [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL, errno.EACCES]


@pytest.fixture(params=NO_LINKS, ids=errno.errorcode.get)
def no_links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without hard links, `fsync` of folders and permissions, such as FAT and many mounts of FUSE."""
    real = os.fsync

    def refuse(*_: object, **__: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(descriptor)

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "fchmod", refuse)
    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.usefixtures("no_links")
def test_without_hard_links_one_of_many_creates_a_file(tmp_path: Path):
    test_of_many_that_create_a_file_one_succeeds(str(tmp_path))
    test_what_is_written_is_read_listed_and_deleted(str(tmp_path / "other"))


@pytest.mark.usefixtures("no_links")
def test_without_hard_links_a_run_has_one_holder(tmp_path: Path):
    lease = the_holder(lambda: Leases(Folder(tmp_path), beat=3600))
    lease.release()
    assert Folder(tmp_path).children(".leases") == []


def test_a_lease_that_is_written_in_part_is_held_and_taken_over_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Without hard links, another process may see an incomplete lease, and its writer may die at this moment."""
    now = [0.0]
    monkeypatch.setattr("hyperfactor.store.lease.time", SimpleNamespace(monotonic=lambda: now[0]))
    files, slow = Folder(tmp_path), Leases(Folder(tmp_path), beat=3600)
    files.write(".leases/run.1", b'{"machine": "a", "pi')
    watcher = Leases(files, beat=3600)
    assert watcher.take("run") is None
    now[0] += DEAD - 1
    assert watcher.take("run") is None
    now[0] += 1
    lease = watcher.take("run")
    assert lease is not None
    late = Lease(files, "run", 1, 3600)
    files.write(".leases/run.1", late.content())  # it wakes up, and ends its write
    with pytest.raises(BusyError):
        late.check()
    assert slow.take("run") is None
    lease.check()
    lease.release()


def test_a_full_disk_leaves_no_part_of_a_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for link in (os.link, lambda *_: (_ for _ in ()).throw(PermissionError(errno.EPERM, "no"))):
        monkeypatch.setattr(os, "link", link)
        with pytest.raises(MachineError, match="store .*: No space left on device"):
            Folder(tmp_path).create("leases/x", b"1")
        assert os.listdir(tmp_path / "leases") == []


def test_a_rename_comes_after_the_content_and_before_the_folder_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """After a power cut there is the old file or the new one, and never a manifest without the files that it lists."""
    done, real, replace, mkdir = [], os.fsync, os.replace, Path.mkdir

    def fsync(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("rename"), replace(*paths)))
    monkeypatch.setattr(Path, "mkdir", lambda path, **named: (mkdir(path, **named), done.append("mkdir")))
    Folder(tmp_path / "new").write("a/b", b"1")
    assert done == ["mkdir", "folder", "mkdir", "folder", "file", "rename", "folder"]


def test_a_folder_is_moved_with_all_that_is_in_it(place: str):
    files = files_at(place)
    files.write("a/one", b"1")
    files.write("a/deep/two", b"2")
    files.move("a", "set/aside.1")
    assert files.children() == ["set"]
    assert files.read("set/aside.1/one") == b"1"
    assert files.read("set/aside.1/deep/two") == b"2"
    files.move("set/aside.1/one", "one")
    assert files.read("one") == b"1"
    assert files.children("set/aside.1") == ["deep"]
    files.delete_folder("set")
    assert files.children() == ["one"]
