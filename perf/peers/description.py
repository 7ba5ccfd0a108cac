"""The peers: what each is called, how it is asked, and what its documentation advises to switch on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent

RUNTIMES = ("onnxruntime", "openvino")


@dataclass(frozen=True)
class Peer:
    """A server to stand beside ours. `NAME/server.py` starts it, `NAME/requirements.txt` says what it needs.

    Attributes:
        name: Name of its folder.
        title: For people.
        body: How a request's tensor travels: `raw` is its bytes and nothing else, `v2` the KServe protocol with binary
            tensors, `bytes` one element of type BYTES in the KServe protocol over gRPC, `base64` text in JSON.
        environment: Variables that its documentation advises, or that keep it quiet.
    """

    name: str
    title: str
    body: str = "raw"
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def scheme(self) -> str:
        """`http` or `grpc`."""
        return "grpc" if self.body == "bytes" else "http"

    @property
    def program(self) -> Path:
        """What starts it, in its own environment."""
        return HERE / self.name / "server.py"

    @property
    def requirements(self) -> Path:
        """Exact versions of everything that its environment holds."""
        return HERE / self.name / "requirements.txt"


PEERS = (
    Peer("fastapi", "FastAPI"),
    Peer("litserve", "LitServe"),
    Peer("bentoml", "BentoML", body="base64", environment={"BENTOML_DO_NOT_TRACK": "True"}),
    Peer(
        "ray",
        "Ray Serve",
        environment={
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
            # Otherwise Ray leaves a token in the user's home folder.
            "RAY_AUTH_MODE": "disabled",
        },
    ),
    Peer("mlserver", "MLServer", body="bytes"),
    Peer("mosec", "mosec"),
    Peer("pytriton", "PyTriton", body="v2"),
)
