import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hyperfactor import MachineError, RequestError
from hyperfactor.errors import WriteError
from hyperfactor.runs.files import Folder, files_at


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
    barrier, won = threading.Barrier(8), []

    def attempt(k: int) -> None:
        barrier.wait()
        if files.create("claims/x", str(k).encode()):
            won.append(k)

    threads = [threading.Thread(target=attempt, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert files.read("claims/x") == str(won[0]).encode()
    assert files.children("claims") == ["x"]


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
    closed = files_at("s3://bucket/runs?endpoint_url=http://127.0.0.1:9")
    with pytest.raises(MachineError, match="s3://bucket/runs/a: .*needs a bucket that can be reached"):
        closed.read("a")


FILL = """
import resource, signal, sys
from hyperfactor.errors import MachineError
from hyperfactor.runs.files import Folder
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    Folder(sys.argv[1]).write("a/big", bytes(5000))
except MachineError as error:
    print(error)
"""


def test_a_write_that_the_system_cuts_off_leaves_the_old_file(tmp_path: Path):
    """The kernel's own refusal, half way through the file, as on a full disk."""
    assert resource.RLIMIT_FSIZE
    Folder(tmp_path).write("a/big", b"old")
    done = subprocess.run([sys.executable, "-c", FILL, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "a/big: File too large, needs a disk with room that can be written" in done.stdout
    assert Folder(tmp_path).read("a/big") == b"old"
    assert os.listdir(tmp_path / "a") == ["big"]
