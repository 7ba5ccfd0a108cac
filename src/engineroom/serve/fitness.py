"""What cannot load here is refused before Triton is started, which would say it in its own words, in its log."""

from engineroom.errors import RepositoryError, StartupFailed
from engineroom.hardware import tensorrt_libraries
from engineroom.repository.layout import ModelFolder
from engineroom.repository.place import Place
from engineroom.repository.preflight import config_of, preflight
from engineroom.serve.triton import Triton


def places(triton: Triton, gpus: tuple[str, ...]) -> tuple[Place, ...]:
    """Where this machine's Triton runs models: on each kind of GPU, or without one.

    Args:
        triton: The one that will be started.
        gpus: The GPUs here, in a passport's words; empty where that is not known.
    """
    if not triton.gpu:
        return (Place(cpu=True),)
    tensorrt = tensorrt_libraries()
    return tuple(Place(gpu, tensorrt) for gpu in dict.fromkeys(gpus)) or (Place(tensorrt=tensorrt),)


def refuse_misfits(models: tuple[ModelFolder, ...], here: tuple[Place, ...]) -> None:
    """Refuse the first model whose latest version will load at none of these places.

    Args:
        models: Models with a version.
        here: Where Triton will run them, from `places`.

    Raises:
        StartupFailed: There is one; the message says why, and how to mend it.
        RepositoryError: A manifest cannot be read.
    """
    for model in models:
        try:
            config_of(model, here[0])
        except RepositoryError:
            # Triton reads it with a protobuf of its own version, and says what is wrong with it.
            continue
        found = [preflight(model, place) for place in here]
        if not any(one.loads for one in found):
            raise StartupFailed(found[0].sentence)
