"""The nearest known name: for fields, values of enumerations, tensors, backends and parameters."""

import difflib
from collections.abc import Collection
from functools import cache
from typing import Any

SAFE = 0.8
"""Likeness from which a name is taken to be a slip of the known one; a suggestion needs less."""

USUAL = {
    "inputs": "input",
    "outputs": "output",
    "dtype": "data_type",
    "datatype": "data_type",
    "type": "data_type",
    "shape": "dims",
    "dim": "dims",
    "dimensions": "dims",
    "labels": "label_filename",
    "label_file": "label_filename",
    "batch_size": "max_batch_size",
    "instance_groups": "instance_group",
    "instances": "count",
    "num_instances": "count",
    "device": "kind",
    "model_filename": "default_model_filename",
    "steps": "step",
    "warmup": "model_warmup",
    "versions_policy": "version_policy",
    "model_version_policy": "version_policy",
    "timeout_microseconds": "default_timeout_microseconds",
    "queue_size": "max_queue_size",
    "cache": "response_cache",
}
"""Names that people write, by what they mean, where a comparison of letters would not find it."""

TYPES = {
    "FLOAT": "TYPE_FP32",
    "FLOAT32": "TYPE_FP32",
    "FLOAT16": "TYPE_FP16",
    "HALF": "TYPE_FP16",
    "DOUBLE": "TYPE_FP64",
    "FLOAT64": "TYPE_FP64",
    "BFLOAT16": "TYPE_BF16",
    "INT": "TYPE_INT32",
    "LONG": "TYPE_INT64",
    "BYTES": "TYPE_STRING",
    "STR": "TYPE_STRING",
    "BOOLEAN": "TYPE_BOOL",
    "CUDA": "KIND_GPU",
}
"""Element types and kinds by their names elsewhere."""


def nearest(name: str, known: Collection[str], least: float = 0.6) -> str:
    """The known name that one is most like; empty where it is like none.

    Args:
        name: What was written.
        known: What there is.
        least: Likeness asked for, 0 to 1.
    """
    plain = {one.lower().replace("-", "_"): one for one in known}
    word = name.lower().replace("-", "_")
    usual = USUAL.get(word)
    if usual in known:
        return str(usual)
    found = difflib.get_close_matches(word, plain, n=1, cutoff=least)
    return plain[found[0]] if found else ""


def like(name: str, other: str) -> bool:
    """Whether a name is so like another that it is a slip of it."""
    return difflib.SequenceMatcher(None, name.lower(), other.lower()).ratio() >= SAFE


def nearest_value(word: str, known: Collection[str]) -> str:
    """The value of an enumeration that was meant: `TYPE_FP32` for `FP32`, `float32` or `TYPE_FLOAT32`."""
    bare = word.strip("\"'").upper()
    for prefix in ("TYPE_", "KIND_"):
        bare = bare.removeprefix(prefix)
    meant = TYPES.get(bare, "")
    if meant in known:
        return meant
    exact = [one for one in known if one.upper().endswith(f"_{bare}") or one.upper() == bare]
    return exact[0] if len(exact) == 1 else nearest(word.strip("\"'"), known)


@cache
def homes(field: str, root: Any) -> tuple[str, ...]:
    """The paths at which a message, or one inside it, has a field of this name, shortest first.

    Args:
        field: The field's name.
        root: A message's descriptor.
    """
    found: list[str] = []
    ahead = [("", root)]
    seen = {root.full_name}
    while ahead:
        path, descriptor = ahead.pop(0)
        for one in descriptor.fields:
            here = f"{path}{one.name}"
            if one.name == field and path:
                found.append(here)
            if one.message_type is not None and one.message_type.full_name not in seen:
                seen.add(one.message_type.full_name)
                ahead.append((f"{here}.", one.message_type))
    return tuple(found)
