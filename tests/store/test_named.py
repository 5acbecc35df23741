"""The names of files that users give, and writes to these files."""

import errno
import os
import stat
import subprocess
import sys
import threading
from contextlib import chdir, suppress
from pathlib import Path
from unittest import mock

import pytest

from hyperfactor import MachineError, RequestError, Run, RunSpec, Store
from hyperfactor.store.files import Bucket, Folder, files_at
from hyperfactor.store.named import check_writable, named_path, write_together, write_whole
from hyperfactor.store.verify import verify


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.mark.parametrize("given", ["", " ", "\t\n", "-", None, 3, "a\0b", "\ud800", ["s"], b"s"])
def test_what_is_no_name_is_refused(given, home: Path):
    for opened in (Store, files_at, lambda name: named_path(name, "store")):
        with pytest.raises(RequestError, match="store: got .*, needs a name"):
            opened(given)
    assert os.listdir(home.parent) == []


def test_a_home_folder_is_found(home: Path):
    for given in ("~/runs", Path("~/runs"), "file://~/runs"):
        assert files_at(given).url == str(home / "runs")
    assert named_path("~", "x") == home
    assert named_path("~root/x", "x") == Path(os.path.expanduser("~root")) / "x"
    assert named_path("a~", "x") == named_path("./a~", "x") == home.parent / "a~"
    assert named_path("./~", "x") == home.parent / "~"
    with pytest.raises(RequestError, match="got '~nobody-of-this-name/x', needs ~ or ~user for a user of this machine"):
        named_path("~nobody-of-this-name/x", "store")
    write_whole("~/deep/file", b"1")
    assert (home / "deep" / "file").read_bytes() == b"1"
    (home / "spec.yaml").write_text("seed: 3\n")
    assert RunSpec.load("~/spec.yaml").seed == 3


def test_a_store_stays_where_it_was_opened(run: Run, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    with chdir(run._store.path.parent):
        again = Run.open(run._store.path.name, run.id)
        store = Store(run._store.path.name)
    with chdir(tmp_path / "elsewhere"):
        assert again.history.height == run.history.height
        assert again.spec == run.spec
        assert store.ids() == run._store.ids()
        assert store.folder(run.id).is_dir()
        store.write("0123456789abcdef", "a", b"1")
        store.files.delete_folder("0123456789abcdef")
        assert os.listdir() == []


def test_a_relative_name_in_a_deleted_folder_is_told(tmp_path: Path):
    (tmp_path / "gone").mkdir()
    with chdir(tmp_path):
        os.chdir("gone")
        os.rmdir(tmp_path / "gone")
        with pytest.raises(RequestError, match="store: got 's' in a folder that was deleted, needs one that exists"):
            Store("s")
        with pytest.raises(RequestError, match="file: got 'out.json' in a folder that was deleted"):
            write_whole("out.json", b"")
        assert Store(tmp_path / "s").ids() == []


@pytest.mark.parametrize("given", ["s3:/bucket/x", Path("s3://bucket/x"), "gs:/b", "file:/x"])
def test_an_address_that_lost_a_slash_is_no_folder(given, home: Path):
    with pytest.raises(RequestError, match="needs protocol://bucket/prefix, as text, or ./"):
        Store(given)


@pytest.mark.parametrize("given", ["s3://", "s3:///", "nonsense://x", "s3://[x/y", "memory://"])
def test_an_address_that_is_none_is_told(given: str):
    with pytest.raises(RequestError, match="needs a protocol that fsspec knows"):
        Store(given)


def test_what_only_looks_like_an_address_is_a_folder(home: Path):
    assert isinstance(files_at("a:b"), Folder)
    assert isinstance(files_at("./s3:/x"), Folder)
    assert isinstance(files_at("FILE:///tmp/x"), Folder)
    assert isinstance(files_at("memory://x/y"), Bucket)


@pytest.mark.parametrize("kind", ["long name", "long path", "file", "below a file", "loop", "dangling", "process"])
def test_stores_that_are_none_get_one_line(kind: str, tmp_path: Path, tiny: RunSpec):
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to("pool")
    (tmp_path / "pool").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    place = {
        "long name": tmp_path / ("a" * 300), "long path": tmp_path / "/".join(["a" * 200] * 30),
        "file": tmp_path / "file",
        "below a file": tmp_path / "file" / "s", "loop": tmp_path / "loop", "dangling": tmp_path / "dangling",
        "process": Path("/proc/nothing"),
    }[kind]  # fmt: skip
    store = Store(place)
    for action in (lambda: list(store.entries()), lambda: list(verify(store)), store.ids):
        with suppress(RequestError):
            assert list(action()) == []
    with pytest.raises(RequestError) as caught, store.lease(tiny.id):
        pass
    assert len(str(caught.value).splitlines()) == 1


def test_a_link_is_followed_and_stays(tmp_path: Path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("deep/target")
    (tmp_path / "second").symlink_to(tmp_path / "link")
    (tmp_path / "dangling").symlink_to("deep/new")
    for name, at in (("second", "target"), ("dangling", "new")):
        write_whole(tmp_path / name, b"new")
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "deep" / at).read_bytes() == b"new"
        assert not (tmp_path / "deep" / at).is_symlink()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(RequestError, match="loop: Too many levels of symbolic links, needs a file"):
        write_whole(tmp_path / "loop", b"")
    assert sorted(os.listdir(tmp_path / "deep")) == ["new", "target"]


def test_a_pipe_is_written_into(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    seen = []
    reader = threading.Thread(target=lambda: seen.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_whole(tmp_path / "pipe", bytes(200_000))  # more than a pipe holds
    reader.join()
    assert seen == [bytes(200_000)]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    write_whole("/dev/null", b"1")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(MachineError, match="/dev/full: No space left on device"):
        write_whole("/dev/full", b"1")


def test_an_open_file_of_the_process_is_written_into(tmp_path: Path):
    """`--out /dev/stdout > file` and `--out >(command)` name an open file, which is written where it stands."""
    with open(tmp_path / "file", "wb") as file:
        file.write(b"before ")
        file.flush()
        for name in (f"/dev/fd/{file.fileno()}", f"/proc/self/fd/{file.fileno()}"):
            write_whole(name, b"content ")
        (tmp_path / "link").symlink_to(f"/dev/fd/{file.fileno()}")
        write_whole(tmp_path / "link", b"by a link")
    assert (tmp_path / "file").read_bytes() == b"before content content by a link"
    with pytest.raises(RequestError, match="/dev/fd/999: Bad file descriptor"):
        write_whole("/dev/fd/999", b"")


def test_standard_output_is_one(tmp_path: Path):
    code = (
        "from hyperfactor.store.named import write_whole; print('a'); write_whole('/dev/stdout', b'b\\n'); print('c')"
    )
    with open(tmp_path / "out", "wb") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "a\nb\nc\n"


def test_a_folder_is_told_and_left(tmp_path: Path):
    (tmp_path / "out").mkdir()
    for name in (tmp_path / "out", tmp_path, "."):
        with pytest.raises(RequestError, match=": Is a directory, needs a file that can be written"):
            write_whole(name, b"")
    assert os.listdir(tmp_path) == ["out"]


def test_a_file_keeps_its_permissions_and_is_not_replaced_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "private"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_whole(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    for number, kind in ((errno.EACCES, RequestError), (errno.EROFS, MachineError)):
        monkeypatch.setattr(os, "open", mock.Mock(side_effect=OSError(number, os.strerror(number))))  # for all but root
        with pytest.raises(kind, match=f"private: {os.strerror(number)}"):
            write_whole(path, b"newer")
        monkeypatch.undo()
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["private"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "out"
    path.write_bytes(b"old")
    (tmp_path / "link").symlink_to(path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    for name in (path, tmp_path / "link"):
        with pytest.raises(MachineError, match="No space left on device"):
            write_whole(name, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["link", "out"]


def test_an_interrupt_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "out", b"new")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["a" * 255, "ä" * 127, "mit Leer zeichen", "$x;`y`", "-x", "\udcff.json"])
def test_any_name_that_the_system_takes_can_be_written(name: str, tmp_path: Path):
    write_whole(tmp_path / name, b"1")
    write_whole(tmp_path / name, b"2")
    assert (tmp_path / name).read_bytes() == b"2"
    assert len(os.listdir(tmp_path)) == 1


def test_files_are_replaced_together_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """If there is no room for the third of four files, all files stay as they were."""
    names = [tmp_path / name for name in ("a", "b", "deep/c", "d")]
    write_together(dict.fromkeys(names, b"old"))
    real, left = os.fsync, [2]

    def full(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            if not left[0]:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            left[0] -= 1
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MachineError, match="deep/c: No space left on device"):
        write_together(dict.fromkeys(names, b"new"))
    monkeypatch.undo()
    assert [name.read_bytes() for name in names] == [b"old"] * 4
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "d", "deep"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(RequestError, match="folder: Is a directory"):
        write_together({names[0]: b"new", tmp_path / "folder": b"new"})
    assert names[0].read_bytes() == b"old"


def test_an_output_replaces_no_input_no_other_output_and_no_file_of_a_run(run: Run, tmp_path: Path):
    given = tmp_path / "r.npy"
    given.write_bytes(b"1")
    (tmp_path / "same.npy").symlink_to(given)
    for output in (given, tmp_path / "same.npy"):
        with pytest.raises(RequestError, match="got the file of an input for an output"):
            check_writable(output, inputs=[given])
    with pytest.raises(RequestError, match="got one name for two outputs"):
        check_writable(tmp_path / "new", tmp_path / "new")
    with pytest.raises(RequestError, match="got a file of a run for an output"):
        check_writable(run._store.folder(run.id) / "weights.safetensors")
    check_writable("/dev/null", "/dev/null", given, inputs=[tmp_path / "none"])


def test_a_home_folder_hides_no_input_and_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "points.csv").write_text("x,y")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "spec.json").write_text("{}")
    for output, given in (("~/points.csv", "~/points.csv"), (tmp_path / "points.csv", "~/points.csv"),
                          ("~/points.csv", tmp_path / "points.csv")):  # fmt: skip
        with pytest.raises(RequestError, match="got the file of an input for an output"):
            check_writable(output, inputs=[given])
    with pytest.raises(RequestError, match="got a file of a run for an output"):
        check_writable("~/run/spec.json")
    with pytest.raises(RequestError, match="got one name for two outputs"):
        check_writable("~/a", tmp_path / "a")
