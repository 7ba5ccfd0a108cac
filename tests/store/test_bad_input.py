"""Stores that are missing, refuse, fail, stop half-way or hold nonsense: one clear error each, and nothing changed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_places import Place, google_place, s3_place
from store_proxy import Proxy, proxied
from store_servers import Azurite

from engineroom.errors import RepositoryError
from engineroom.repository.layout import GRAPH, Repository
from engineroom.store.check import check
from engineroom.store.documents import content_from_document
from engineroom.store.pull import PullOptions, pull
from engineroom.store.push import PushOptions, push


def said(run, *words: str) -> str:
    """What a command says that fails as it should: one message, no traceback."""
    status, out, err = run(*words)
    message = err.splitlines()[-1]
    assert (status, out) == (1, "")
    assert message.startswith("error: "), err
    return message.removeprefix("error: ")


@pytest.fixture
def pushed(folder_store, publish_tiny, here: Repository) -> Place:
    """A folder store with the model `tiny` in it."""
    publish_tiny(here.path, "tiny")
    push(here, folder_store.open(), PushOptions())
    return folder_store


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("push",),
            "no store is named. Give its address (a folder, file://, s3://, gs:// or az://), or set ENGINEROOM",
        ),
        (("push", "--to", "ftp://host/path"), "ftp://host/path: stores of the kind 'ftp' are not known. Give a folder"),
        (("pull", "--from", "s3://"), "s3://: names no bucket. Give one, such as s3://models/team."),
        (("pull", "--from", "nowhere/store"), "there is no folder"),
        (("store", "log", "."), ".: nothing was ever pushed here, or there is no such place. Check the address"),
    ],
    ids=["no address", "unknown scheme", "no bucket", "no folder", "no store"],
)
def test_address_that_leads_nowhere(engineroom, tmp_path, monkeypatch, words: tuple[str, ...], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ENGINEROOM_STORE", raising=False)
    assert message.removeprefix(".: ") in said(engineroom, *words)


@pytest.mark.parametrize("text", ["newest", "latest:0", "latest:x", "0", "1,two", ""])
def test_versions_that_mean_nothing(engineroom, text: str) -> None:
    status, _, err = engineroom("push", "--to", "store", "--versions", text)
    assert status == 2
    assert "is neither all, latest, latest:N nor numbers such as 3,5." in err


def test_library_that_is_missing(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['s3fs'] = None; sys.argv = ['engineroom', 'store', 'log', 's3://models']\n"
        "from engineroom.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: s3://models: needs s3fs, which is not installed (")
    assert done.stderr.endswith("Run: pip install 'engineroom[stores]'\n")


def missing_bucket(kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if kind == "s3":
        s3_place(request.getfixturevalue("s3"), monkeypatch)
    elif kind == "gs":
        google_place(request.getfixturevalue("google"), monkeypatch)
    else:
        server: Azurite = request.getfixturevalue("azure")
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", server.connection)
    return f"{kind}://no-such-bucket/path"


@pytest.mark.parametrize("kind", ["s3", "gs", "az"])
def test_bucket_that_is_missing(engineroom, publish_tiny, here, request, monkeypatch, kind: str) -> None:
    publish_tiny(here.path, "tiny")
    url = missing_bucket(kind, request, monkeypatch)
    message = said(engineroom, "push", "--to", url, "--repository", str(here.path))
    assert message.startswith(f"{url}: cannot ")
    assert message.endswith("Make it, or mend the address.")
    message = said(engineroom, "pull", "--from", url, "--repository", str(here.path))
    assert "nothing was ever pushed here, or there is no such place" in message or "no such bucket" in message


def test_azure_key_that_is_wrong(engineroom, azure: Azurite, publish_tiny, here, monkeypatch) -> None:
    publish_tiny(here.path, "tiny")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure.connection_with("bm90IHRoZSBrZXk="))
    message = said(engineroom, "push", "--to", "az://models/path", "--repository", str(here.path))
    assert "the store refuses (" in message
    assert "Check the credentials and their rights" in message


def test_s3_user_without_the_right(engineroom, s3: str, s3_store: Place, publish_tiny, here, monkeypatch) -> None:
    """moto checks policies once it is asked to: this user may list the bucket, and write nothing."""
    import boto3

    publish_tiny(here.path, "tiny")
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    iam = boto3.client("iam", endpoint_url=s3, **keys)
    iam.create_user(UserName="reader")
    policy = {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
    iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=document)
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    with enforced_rights(s3):
        message = said(engineroom, "push", "--to", s3_store.url, "--repository", str(here.path))
    assert f"{s3_store.url}: cannot write store.json: the store refuses (Access Denied)" in message


class enforced_rights:
    """moto's server checks who may do what, while this lasts."""

    def __init__(self, address: str) -> None:
        self.url = f"{address}/moto-api/reset-auth"

    def _ask(self, allowed: str) -> None:
        import urllib.request

        urllib.request.urlopen(
            urllib.request.Request(self.url, allowed.encode(), {"Content-Type": "text/plain"}, method="POST")
        ).close()

    def __enter__(self) -> None:
        self._ask("0")

    def __exit__(self, *error: object) -> None:
        self._ask("inf")


def test_folder_that_cannot_be_written(engineroom, publish_tiny, here: Repository) -> None:
    """Even root cannot make a folder in /proc."""
    publish_tiny(here.path, "tiny")
    message = said(engineroom, "push", "--to", "/proc/store", "--repository", str(here.path))
    assert message.startswith("/proc/store: cannot write store.json: ")


@pytest.fixture
def proxy(s3: str, s3_store: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy in front of the S3 store, switched on by `monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)`."""
    with proxied(s3) as one:
        monkeypatch.setenv("AWS_ENDPOINT_URL", one.address)
        yield one


def test_store_that_fails_for_a_while(proxy: Proxy, s3_store: Place, publish_tiny, here, there) -> None:
    publish_tiny(here.path, "tiny")
    proxy.failures = 4
    assert push(here, s3_store.open(), PushOptions(jobs=1)).head is not None
    proxy.failures = 4
    assert pull(there, s3_store.open(), PullOptions(jobs=1)).models[0].added == (1,)
    assert proxy.served == 8


def test_store_that_fails_for_ever(engineroom, proxy: Proxy, s3_store: Place, publish_tiny, here: Repository) -> None:
    publish_tiny(here.path, "tiny")
    push(here, s3_store.open(), PushOptions())
    publish_tiny(here.path, "tiny")
    before = sorted(here.path.rglob("*"))
    proxy.failures = -1
    for words in (("push", "--to"), ("pull", "--from")):
        message = said(engineroom, *words, s3_store.url, "--attempts", "2", "--repository", str(here.path))
        assert message.startswith(f"{s3_store.url}: cannot list its heads: the store does not answer as it should (")
        assert message.endswith("Try again later.")
    proxy.failures = 0
    assert check(s3_store.open()).head.number == 1
    assert sorted(here.path.rglob("*")) == before


@pytest.mark.parametrize("direction", ["up", "down"])
def test_connection_cut_in_a_blob(proxy: Proxy, s3_store: Place, publish_tiny, tmp_path: Path, direction: str) -> None:
    here, there = Repository(tmp_path / "here"), Repository(tmp_path / "there")
    model = publish_tiny(here.path, "tiny")
    (model.version(1) / "weights.bin").write_bytes(bytes(range(256)) * (3 << 12))
    proxy.cut_up_bytes = 1_000_000 if direction == "up" else 0
    push(here, s3_store.open(), PushOptions(verify=True))
    proxy.cut_down_bytes = 1_000_000 if direction == "down" else 0
    pull(there, s3_store.open(), PullOptions())
    assert proxy.served == 1, "the connection was cut once"
    weights = (there.model("tiny").version(1) / "weights.bin").read_bytes()
    assert weights == (model.version(1) / "weights.bin").read_bytes()


def test_nobody_listens(engineroom, s3_store: Place, here, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    message = said(engineroom, "pull", "--from", s3_store.url, "--attempts", "1", "--repository", str(here.path))
    assert "the store does not answer as it should (Could not connect to the endpoint URL" in message


def test_pointer_to_a_missing_snapshot(engineroom, pushed: Place, there: Repository) -> None:
    shutil.rmtree(Path(pushed.url) / "snapshots")
    for words in (("pull", "--from", pushed.url, "--repository", str(there.path)), ("store", "check", pushed.url)):
        message = said(engineroom, *words)
        assert ".json: head 1 points to it, and it is not there. Pull an older one (engineroom store log" in message
    assert not there.path.exists()


def test_damaged_snapshot(engineroom, pushed: Place, there: Repository) -> None:
    (path,) = (Path(pushed.url) / "snapshots").iterdir()
    path.write_text(path.read_text().replace('"1"', '"2"'))
    message = said(engineroom, "pull", "--from", pushed.url, "--repository", str(there.path))
    assert "is damaged, its content has another digest. Pull an older one" in message


def blob_of(place: Place, file: Path) -> Path:
    """The blob with the content of a file."""
    from engineroom.repository.files import sha256

    (found,) = (Path(place.url) / "blobs").rglob(sha256(file))
    return found


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda path: path.unlink(), ("is missing, and a head points to it. Pull an older one", "is missing.")),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), ("is damaged, its content has", "bytes long, not")),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"?"), ("is damaged, its content", "is damaged: its")),
    ],
    ids=["missing", "cut short", "changed"],
)
def test_blob_that_is_wrong(engineroom, pushed: Place, here, there, harm, told: tuple[str, str]) -> None:
    harm(blob_of(pushed, here.model("tiny").version(1) / GRAPH))
    message = said(engineroom, "pull", "--from", pushed.url, "--repository", str(there.path))
    assert told[0] in message
    assert there.model("tiny").versions == ()
    assert not there.model("tiny").config.exists()
    status, out, _ = engineroom("store", "check", pushed.url)
    assert status == 1
    assert told[1] in out
    assert "1 are wrong. Push again from a repository that has them." in out


def test_push_mends_what_is_missing(pushed: Place, publish_tiny, here: Repository) -> None:
    publish_tiny(here.path, "tiny")
    blob_of(pushed, here.model("tiny").version(1) / GRAPH).unlink()
    assert len(check(pushed.open()).problems) == 1
    push(here, pushed.open(), PushOptions())
    assert check(pushed.open()).problems == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: {**raw, "schema": 9}, "has schema 9, this engineroom reads up to 1. Update engineroom."),
        (lambda raw: {"models": raw["models"]}, "is no document of a store, it has no 'schema'"),
        (lambda raw: {**raw, "models": {"../evil": raw["models"]["tiny"]}}, "'../evil' is no name of a model"),
        (lambda raw: with_file(raw, "../../evil"), "'../../evil' is no path below a model's folder"),
        (lambda raw: with_file(raw, "/etc/evil"), "'/etc/evil' is no path below a model's folder"),
        (lambda raw: with_file(raw, ".store.json"), "'.store.json' is no path below a model's folder"),
        (lambda raw: with_file(raw, "7/model.xml"), "'7/model.xml' lies in a version's folder"),
        (lambda raw: {**raw, "models": []}, "is no snapshot"),
    ],
    ids=["newer", "no schema", "model outside", "path outside", "absolute", "hidden", "in a version", "no models"],
)
def test_snapshot_of_a_stranger(engineroom, pushed: Place, there: Repository, change, message: str) -> None:
    store = pushed.open()
    head = store.head()
    assert head is not None
    raw = json.loads(store.read(f"snapshots/{head.snapshot}.json"))
    content = content_from_document(change(raw))
    digest = __import__("hashlib").sha256(content).hexdigest()
    (Path(pushed.url) / "snapshots" / f"{digest}.json").write_bytes(content)
    path = Path(pushed.url) / "heads" / "00000001.json"
    path.write_text(path.read_text().replace(head.snapshot, digest))
    assert message in said(engineroom, "pull", "--from", pushed.url, "--repository", str(there.path))
    assert not there.path.exists()


def with_file(raw: dict, path: str) -> dict:
    files = raw["models"]["tiny"]["files"]
    return {**raw, "models": {"tiny": {**raw["models"]["tiny"], "files": {path: files["config.pbtxt"]}}}}


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 1}', '{"schema": 2}', "\ufffd"])
def test_head_that_is_nonsense(engineroom, pushed: Place, text: str) -> None:
    (Path(pushed.url) / "heads" / "00000001.json").write_text(text)
    assert "heads/00000001.json: " in said(engineroom, "store", "log", pushed.url)


def test_head_and_names_that_are_not_there(engineroom, pushed: Place, here: Repository, there: Repository) -> None:
    at = ("--from", pushed.url, "--repository", str(there.path))
    assert "cannot read heads/00000007.json: it is not there" in said(engineroom, "pull", "--head", "7", *at)
    assert said(engineroom, "pull", "other", *at) == "other: no such model in head 1. It holds: tiny."
    assert said(engineroom, "pull", "tiny", "--versions", "4", *at) == "tiny: head 1 has no version 4."
    message = said(engineroom, "push", "other", "--to", pushed.url, "--repository", str(here.path))
    assert message.startswith("other: no such model in ")


def test_version_that_is_not_what_its_manifest_says(engineroom, folder_store, publish_tiny, here: Repository) -> None:
    model = publish_tiny(here.path, "tiny")
    (model.version(1) / GRAPH).write_bytes(b"other")
    message = said(engineroom, "push", "--to", folder_store.url, "--repository", str(here.path))
    assert message.startswith(
        f"tiny: version 1: {GRAPH} is not the file that the manifest describes, so it is not pushed"
    )
    assert not Path(folder_store.url).exists(), "nothing was sent"


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
sys.argv = ["engineroom", *sys.argv[1:]]
from engineroom.cli import main
main()
"""


def test_disk_that_takes_no_more(pushed: Place, publish_tiny, here: Repository, there: Repository) -> None:
    """The kernel refuses to write beyond 100,000 bytes a file, as a full disk refuses the rest of one."""
    pull(there, pushed.open(), PullOptions())
    model = publish_tiny(here.path, "tiny")
    (model.version(2) / "weights.bin").write_bytes(bytes(200_000))
    push(here, pushed.open(), PushOptions())
    command = [sys.executable, "-c", LIMITED, "pull", "--from", pushed.url, "--repository", str(there.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "error: tiny: cannot write " in done.stderr
    assert "File too large. What was there still serves, and what was fetched is kept. Free space" in done.stderr
    assert "Traceback" not in done.stderr
    assert there.model("tiny").versions == (1,)
    assert pull(there, pushed.open(), PullOptions()).models[0].added == (2,)


def test_pull_goes_on_where_it_was(proxy: Proxy, s3_store: Place, publish_tiny, here, there) -> None:
    model = publish_tiny(here.path, "tiny")
    weights = b"0123456789abcdef" * (9 << 16)
    (model.version(1) / "weights.bin").write_bytes(weights)
    push(here, s3_store.open(), PushOptions())
    digest = s3_store.open().snapshot(check(s3_store.open()).head).models["tiny"].versions[1]["weights.bin"].sha256
    incoming = there.model("tiny").path / ".incoming"
    incoming.mkdir(parents=True)
    (incoming / f"{digest}.part").write_bytes(weights[: 8 << 20])
    proxy.down_bytes = 0
    pull(there, s3_store.open(), PullOptions())
    assert proxy.down_bytes < len(weights) / 2, "only the rest was fetched"
    assert (there.model("tiny").version(1) / "weights.bin").read_bytes() == weights


def test_partial_blob_that_is_wrong_is_fetched_anew(pushed: Place, here: Repository, there: Repository) -> None:
    graph = here.model("tiny").version(1) / GRAPH
    incoming = there.model("tiny").path / ".incoming"
    incoming.mkdir(parents=True)
    (incoming / f"{blob_of(pushed, graph).name}.part").write_bytes(b"wrong")
    pull(there, pushed.open(), PullOptions())
    assert (there.model("tiny").version(1) / GRAPH).read_bytes() == graph.read_bytes()


def test_model_that_somebody_holds(pushed: Place, there: Repository, here: Repository) -> None:
    from engineroom.repository.journal import held

    pull(there, pushed.open(), PullOptions())
    model = here.model("tiny")
    model.config.write_text(model.config.read_text() + "# new\n")
    push(here, pushed.open(), PushOptions())
    refused = pytest.raises(RepositoryError, match=r"tiny: somebody@somewhere \(promote 3, process")
    with held(there.model("tiny"), "promote 3", "somebody@somewhere"), refused:
        pull(there, pushed.open(), PullOptions())
    assert pull(there, pushed.open(), PullOptions()).models[0].files == ("config.pbtxt",)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("az://models/path", "az://models/path: cannot "),
        ("s3://models/path", "s3://models/path: cannot "),
    ],
    ids=["az", "s3"],
)
def test_credentials_that_are_not_there(tmp_path: Path, url: str, message: str) -> None:
    """In a process of its own: what a library logs to the terminal would be seen there."""
    named = ("AWS", "AZURE")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(named)}
    environment |= {"AWS_EC2_METADATA_DISABLED": "true"}
    command = [sys.executable, "-m", "engineroom", "pull", "--from", url, "--attempts", "1", "--repository", "here"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {message}")
    assert "Traceback" not in done.stderr
