import importlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from engineroom.client import Client, FunctionTransport, ModelMetadata, TensorMetadata

MODEL = ModelMetadata(
    "minilm",
    (TensorMetadata("input_ids", "INT64", (-1,)), TensorMetadata("attention_mask", "INT64", (-1,))),
    (TensorMetadata("embedding", "FP32", (2,)),),
    max_batch_size=2,
)


@pytest.fixture(scope="module")
def sentences(program):
    return program("embed_sentences")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def tokenizer(sentences):
    return sentences.tokenizer_from_file(None)


def count_tokens(arrays):
    """An embedding that is no embedding: how many tokens a sentence has, and how long its batch was padded."""
    mask = arrays["attention_mask"]
    assert (arrays["input_ids"][mask == 0] == 0).all()
    assert (arrays["input_ids"][mask == 1] > 0).all()
    return {"embedding": np.stack([mask.sum(1), np.full(len(mask), mask.shape[1])], axis=1).astype(np.float32)}


def test_sentences_of_similar_length_go_together_and_keep_their_order(sentences, tokenizer):
    texts = ["one two three four five six", "one", "one two", "one two three four five six seven", "one two three"]
    transport = FunctionTransport({MODEL: count_tokens})
    with Client(transport=transport) as client:
        vectors = sentences.embed(client, "minilm", tokenizer.encode_batch(texts))
    assert vectors.tolist() == [[8, 8], [3, 4], [4, 4], [9, 9], [5, 8]]
    assert [request.inputs[0].array.shape for request in transport.requests] == [(2, 4), (2, 8), (1, 9)]


def test_the_tokens_are_those_of_the_recipe(sentences, tokenizer, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "build"))
    recipe = importlib.import_module("minilm")
    texts = ["How do I reset my password?", "Grüße aus Köln", "word " * 300]
    ids, mask = sentences._padded(tokenizer.encode_batch(texts))
    expected = recipe.tokens(texts)
    np.testing.assert_array_equal(ids, expected["input_ids"])
    np.testing.assert_array_equal(mask, expected["attention_mask"])


def test_long_text_is_cut_and_short_text_is_not(tokenizer):
    long, short = tokenizer.encode_batch(["word " * 300, "word " * 200])
    assert (len(long.ids), bool(long.overflowing)) == (256, True)
    assert (len(short.ids), bool(short.overflowing)) == (202, False)


def unit(count: int) -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("same", [True, False], ids=["each other", "queries"])
def test_neighbours_are_those_of_a_search_by_hand(sentences, monkeypatch, same):
    monkeypatch.setattr(sentences, "BLOCK", 3)
    known = unit(10)
    asked = known if same else unit(14)[10:]
    found = sentences.neighbours(asked, known, 2, same=same)
    for index, best in enumerate(found):
        others = [(float(asked[index] @ known[other]), other) for other in range(10) if not (same and other == index)]
        assert [other for other, _ in best] == [other for _, other in sorted(others, reverse=True)[:2]]
        assert [cosine for _, cosine in best] == pytest.approx(
            [cosine for cosine, _ in sorted(others, reverse=True)[:2]]
        )


def test_more_neighbours_than_there_are_is_all_of_them(sentences):
    assert [len(best) for best in sentences.neighbours(unit(3), unit(3), 9, same=True)] == [2, 2, 2]


def test_blank_lines_are_left_out_and_counted(sentences, tmp_path):
    (tmp_path / "text").write_text("\n  first \n\nsecond\n", encoding="utf-8")
    with (tmp_path / "text").open(encoding="utf-8") as file:
        assert sentences.sentences_from_file(file) == [sentences.Sentence(2, "first"), sentences.Sentence(4, "second")]


@pytest.mark.parametrize(
    ("content", "arguments", "status", "message"),
    [
        pytest.param(b"", [], 1, "holds no sentence. Give one a line.", id="empty"),
        pytest.param(b"\xff\xfe", [], 1, "is not UTF-8 text", id="not UTF-8"),
        pytest.param(b"alone", [], 1, "one sentence has no neighbour", id="alone"),
        pytest.param(b"a\nb", ["--url", "127.0.0.1:1"], 1, "no Triton answers at grpc://127.0.0.1:1", id="no server"),
        pytest.param(b"a\nb", ["--tokenizer", "text"], 1, "text: is no tokenizer", id="no tokenizer"),
        pytest.param(b"a\nb", ["--output", "x.txt"], 2, "x.txt must end in .csv, .json or .npz", id="no such form"),
    ],
)
def test_mistakes_end_with_a_message_and_a_status(sentences, folder, content, arguments, status, message):
    (folder / "text").write_bytes(content)
    result = CliRunner().invoke(sentences.main, ["text", *arguments])
    assert result.exit_code == status
    assert message in result.output
    assert "Traceback" not in result.output
