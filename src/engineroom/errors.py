"""Every error engineroom raises on purpose, as one tree.

A message says what went wrong, where, what was expected and how to mend it. The command line prints
it without a traceback and exits with 1.

    EngineRoomError
    ├── RecipeError              a recipe cannot be found, imported, or contradicts itself
    ├── BuildError               a stage between the module and the repository failed
    │   ├── ExportError          module → model.onnx
    │   ├── PrecisionError       model.onnx → model.graph.onnx
    │   ├── CompileError         ONNX → artefact of a target
    │   │   └── GraphRefused     the target's compiler works, and does not take this graph
    │   └── ParityError          the artefact answers otherwise than the module
    ├── RepositoryError          the model repository cannot be read or written
    │   ├── NewerManifest        a newer engineroom wrote the version
    │   ├── ConfigSyntax         a configuration is no protobuf text
    │   └── ModelHeld            another operator is changing the model
    ├── StoreError               a store cannot be reached, read or written
    │   ├── NotInStore           what was asked for is not there
    │   └── StoreConflict        another operator changed the same model
    ├── RegistryError            the model registry cannot be reached, or refuses
    ├── ServerError              Triton cannot be found, started or trusted
    │   ├── ServerNotInstalled   there is no Triton here, or an incomplete one
    │   ├── PortInUse            another process listens on the port
    │   ├── StartupFailed        Triton ended, or a model did not load
    │   ├── GoldenMismatch       a loaded model answers its golden input wrongly
    │   ├── LoadRefused          a running Triton did not load a model
    │   └── ChangeTakenBack      a change failed on a server, and the state before it stands again
    ├── CallError                a request was not answered
    │   ├── BadInput             wrong name, dtype, shape or batch; nothing was sent
    │   ├── ModelNotFound        the server does not know, or has not loaded, the model
    │   ├── ServerUnavailable    nobody answers at the address
    │   │   └── ServerUntrusted  one side does not believe the other's certificate
    │   ├── DeadlineExceeded     the answer did not come in time
    │   └── InferenceFailed      the server answered with an error of its own
    │       └── Rejected         its queue is full, or kept the request too long
    ├── InferError               rows of files could not all be answered, or their answers not be kept
    └── LoadError                a measurement could not be made
        ├── ToolMissing          perf_analyzer or Locust is not usable here
        ├── GeneratorLimited     the load generator was the limit: the figures would be its own
        └── ThresholdMissed      the measurement was made, and missed its threshold
"""


class EngineRoomError(Exception):
    """Base of every error raised on purpose."""


class RecipeError(EngineRoomError):
    """A recipe cannot be found, cannot be imported, or contradicts itself."""


class BuildError(EngineRoomError):
    """A stage between the module and the repository failed."""


class ExportError(BuildError):
    """The module could not be exported to ONNX, or the export does not keep the recipe's promise."""


class PrecisionError(BuildError):
    """The graph could not be made in the precision or sparsity that the recipe asks for."""


class CompileError(BuildError):
    """A target's compiler refused the graph, or is not usable on this machine."""


class GraphRefused(CompileError):
    """A target's compiler works here and does not take the graph: another target may.

    Attributes:
        words: The compiler with its version, the nodes it refuses, and its reasons.
    """

    def __init__(self, message: str, words: str = "") -> None:
        super().__init__(message)
        self.words = words


class ParityError(BuildError):
    """A compiled artefact answers otherwise than the PyTorch module."""


class RepositoryError(EngineRoomError):
    """The model repository cannot be read or written."""


class NewerManifest(RepositoryError):
    """A manifest was written by a newer engineroom, in a form that this one does not know."""


class ConfigSyntax(RepositoryError):
    """A configuration is no protobuf text.

    Attributes:
        what: What is wrong.
        line: Where, from 1.
        column: Where in the line, from 1.
    """

    def __init__(self, what: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {what}.")
        self.what, self.line, self.column = what, line, column


class StoreError(EngineRoomError):
    """A store of model repositories cannot be reached, read or written."""


class NotInStore(StoreError):
    """What was asked for is not in the store."""


class StoreConflict(StoreError):
    """The same model was changed here and in the store."""


class RegistryError(EngineRoomError):
    """The model registry cannot be reached, is too slow, or refuses."""


class ModelHeld(RepositoryError):
    """Another operator, or a command of one's own, is changing the model at this moment. Nothing was done."""


class ServerError(EngineRoomError):
    """Triton cannot be found, started or trusted."""


class ServerNotInstalled(ServerError):
    """There is no Triton here, or an incomplete one."""


class PortInUse(ServerError):
    """Another process listens on a port that Triton was to use."""


class StartupFailed(ServerError):
    """Triton ended before it was ready, or a model did not load."""


class GoldenMismatch(ServerError):
    """A loaded model answers its golden input wrongly."""


class LoadRefused(ServerError):
    """A running Triton did not load a model; what it served before, it serves still."""


class ChangeTakenBack(ServerError):
    """A change failed on a server, or would have; the state before it stands again."""


class CallError(EngineRoomError):
    """A request was not answered."""


class BadInput(CallError):
    """An input has the wrong name, dtype, shape or batch. Nothing was sent."""


class ModelNotFound(CallError):
    """The server does not know the model, or has not loaded it."""


class ServerUnavailable(CallError):
    """Nobody answers at the address, or the server there is only starting or ending."""


class ServerUntrusted(ServerUnavailable):
    """There is no connection because the server's certificate is not believed, or the server does not accept ours."""


class DeadlineExceeded(CallError):
    """The answer did not come within the time the caller gave."""


class InferenceFailed(CallError):
    """The server answered with an error of its own."""


class Rejected(InferenceFailed):
    """The server is there, and will not take the request now: its queue is full, or kept the request too long.

    Attributes:
        retry_after_s: Seconds after which the server, or what stands before it, wants to be asked again; None where
            it did not say.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class InferError(EngineRoomError):
    """Rows of files could not all be answered, or their answers not be kept."""


class LoadError(EngineRoomError):
    """A measurement could not be made."""


class ToolMissing(LoadError):
    """A measuring tool is not installed, or only as a placeholder."""


class GeneratorLimited(LoadError):
    """The load generator, not the server, was the limit; its figures are not published."""


class ThresholdMissed(LoadError):
    """A measurement was made and missed its threshold."""
