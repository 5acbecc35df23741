"""An S3 server on this machine, and stores in a folder and in a bucket."""

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of a server that speaks S3; the variables that its clients read are set."""
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request
        server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()


_names = (f"bucket-{k}" for k in itertools.count())


@pytest.fixture
def bucket(s3: str) -> str:
    """A store's address in a new bucket."""
    import boto3

    name = next(_names)
    boto3.client("s3", endpoint_url=s3).create_bucket(Bucket=name)
    return f"s3://{name}/runs?endpoint_url={s3}"


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store may be."""
    return str(tmp_path / "store") if request.param == "folder" else request.getfixturevalue("bucket")
