"""Every verdict "Triton refuses this" is asked of Triton itself; what is said without the mistake, it loads."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tritonclient.grpc import InferenceServerClient as Client
from tritonclient.utils import InferenceServerException

from engineroom.repository.layout import ModelFolder
from engineroom.repository.lint.case import World
from engineroom.repository.lint.lint import lint_world
from engineroom.repository.lint.rules import RULES
from engineroom.serve.install import install
from engineroom.serve.server import ServerOptions, running

NOT_ASKED = {
    "ER101": "there is no file to load",
    "ER102": "bytes, below",
    "ER103": "bytes, below",
    "ER941": "it ends the server: tests/e2e/test_corpus_truth.py",
}
"""Refusals that have no case here, and why."""

BYTES = {"utf16": "utf-16", "mark": "utf-8-sig"}

AT_ONCE = 6
"""Models that are loaded at once: one that fails in its backend takes two seconds, most of them waiting."""


@pytest.fixture(scope="module")
def laid_out(
    hub: ModelFolder, lay_out: Callable[..., ModelFolder], rule_cases: dict[str, Any], tmp_path_factory: Any
) -> dict[str, ModelFolder]:
    """A model for each case of which lint says that Triton refuses it, in the hub's repository."""
    models = {}
    for name, case in rule_cases.items():
        if case.code in NOT_ASKED:
            continue
        model = lay_out(hub.path.parent, name.replace("-", "_").lower(), case.broken, case.files)
        found = lint_world(World(model, **{key: value for key, value in case.world.items() if key != "slo_ms"}))
        if any(one.refused and one.code == case.code for one in found) and model.cpu_config.exists():
            models[name] = model
    for name, encoding in BYTES.items():
        models[name] = lay_out(hub.path.parent, name, "")
        text = rule_cases["ER404-1"].good.replace("NAME", name)
        models[name].cpu_config.write_bytes(text.encode(encoding))
    return models


@pytest.fixture(scope="module")
def refused(hub: ModelFolder, laid_out: dict[str, ModelFolder]) -> Iterator[dict[str, str]]:
    """What Triton says to each of them; empty where it loads."""
    install(print)
    with running(ServerOptions(hub.path.parent, ("hub",), drain_s=0)) as server, Client(server.grpc) as client:

        def load(model: ModelFolder) -> str:
            try:
                client.load_model(model.name, client_timeout=60.0)
            except InferenceServerException as error:
                return str(error)
            return ""

        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield dict(zip(laid_out, pool.map(load, laid_out.values()), strict=True))


def test_triton_refuses_what_lint_says_it_refuses(refused: dict[str, str]) -> None:
    assert [name for name, said in refused.items() if not said] == []


def test_every_rule_that_claims_a_refusal_was_asked(refused: dict[str, str]) -> None:
    asked = {name.partition("-")[0] for name in refused}
    assert {rule.code for rule in RULES if rule.refused} - asked == set(NOT_ASKED)
