"""From a word on the command line to a configuration's text: a file, a model's, or one of its history."""

import re
from pathlib import Path

from engineroom.errors import RepositoryError
from engineroom.repository.explain.comparison import Side
from engineroom.repository.history import history
from engineroom.repository.layout import ModelFolder, Repository
from engineroom.repository.wiring import read

WORD = re.compile(r"(?P<name>[^@:/]+)(?:@(?P<number>\d+))?(?::(?P<variant>[^@:/]+))?")


def side_from_word(word: str, repository: Repository, default: str) -> tuple[Side, ModelFolder | None]:
    """A configuration's text, and its model where it has one.

    Args:
        word: A file; or NAME, NAME:VARIANT, NAME@NUMBER, NAME@NUMBER:VARIANT.
        repository: Where models are looked for.
        default: The variant of a word that names none, `gpu` or `cpu`.

    Raises:
        RepositoryError: There is no such file, model, variant or change.
    """
    path = Path(word)
    if path.is_file():
        return Side(word, read(path)), _model_of(path, repository)
    match = WORD.fullmatch(word)
    known = {model.name: model for model in repository.models}
    if match is None or match["name"] not in known:
        held = ", ".join(known) or "nothing"
        raise RepositoryError(f"{word}: is neither a file nor a model of {repository.path}. It holds: {held}.")
    model = known[match["name"]]
    chosen = variant(model, match["variant"] or default)
    if match["number"] is None:
        return Side(str(chosen.relative_to(repository.path)), read(chosen)), model
    return Side(word, text_after(model, chosen, int(match["number"]))), model


def variant(model: ModelFolder, name: str) -> Path:
    """The file of a model's variant: `gpu` for `config.pbtxt`, else one of `configs/`.

    Raises:
        RepositoryError: There is none of that name.
    """
    variants = {"gpu" if path == model.config else path.stem: path for path in model.configs}
    if name not in variants:
        raise RepositoryError(f"{model.name}: has no configuration '{name}'. It has: {', '.join(variants)}.")
    return variants[name]


def text_after(model: ModelFolder, path: Path, number: int) -> str:
    """A configuration's text as it was after a change of the model's history; after 0, as it was before the first.

    Raises:
        RepositoryError: The history has no such change, or the file was not there.
    """
    records = history(model)
    if number > len(records):
        raise RepositoryError(f"{model.name}: its history has {len(records)} changes, there is no {number}.")
    file = str(path.relative_to(model.path))
    changed = [(one.number, one.changes[file]) for one in records if one.stands and file in one.changes]
    texts = [change.after for at, change in changed if at <= number]
    texts = texts[-1:] or [change.before for at, change in changed if at > number][:1] or [read(path)]
    if texts[0] is None:
        raise RepositoryError(f"{model.name}: {file} was not there after change {number}.")
    return texts[0]


def _model_of(path: Path, repository: Repository) -> ModelFolder | None:
    """The model whose configuration a file is, or would be by its folder's name."""
    folder = path.resolve().parent
    folder = folder.parent if folder.name == "configs" else folder
    if ModelFolder(folder).versions:
        return ModelFolder(folder)
    return next((model for model in repository.models if model.name == folder.name), None)


def other_word(word: str, default: str) -> tuple[str, str]:
    """What a word is compared with where nothing else was said: a model's past with its present, its GPU with its CPU.

    Args:
        word: From the command line.
        default: The variant of a word that names none.
    """
    match = WORD.fullmatch(word)
    if match is None or Path(word).is_file():
        raise RepositoryError(f"{word}: say what to compare it with.")
    if match["number"] is not None:
        return word, f"{match['name']}:{match['variant'] or default}"
    if match["variant"] is not None:
        raise RepositoryError(f"{word}: say what to compare it with.")
    return f"{word}:gpu", f"{word}:cpu"
