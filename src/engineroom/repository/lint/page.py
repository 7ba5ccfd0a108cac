"""The page that lists every rule, made from the rules themselves."""

from collections import Counter

from engineroom.repository.lint.finding import SEVERITIES
from engineroom.repository.lint.rule import Rule
from engineroom.repository.lint.rules import FAMILIES, RULES

INTRO = """\
# Checking configurations

`engineroom config lint` reads `config.pbtxt` and `configs/*.pbtxt` as Triton will, and holds them against the model:
its manifest and golden answers (or a foreign `model.onnx`), the sizes that its artefacts were compiled for, the
recipe's promise, the versions in the folder, the models of an ensemble, the cores of this machine. It needs neither a
server nor a GPU.

```sh
engineroom config lint
engineroom config lint digits --fix --dry-run
engineroom config lint --sarif /tmp/engineroom.sarif
engineroom config lint --explain ER404
```

An *error* is refused by Triton, or answered wrongly. A *warning* loads, and does not do what its author meant. A *note*
is worth knowing. The exit status is 1 where there is an error; `--strict` counts warnings too. `--fix` makes the edits
that change no meaning, such as a slip in a name; comments and order stay, and what comes out is checked again.

"Triton refuses the model" is claimed only of what the embedded Triton (2.51) was seen to refuse, in
`tests/repository/lint/test_refusals.py`. What TensorRT's backend does was not tried, and is not claimed. The GPU's
memory is known only to who serves: `--gpu-memory-gib` tells it.

"""


def page_from_rules() -> str:
    """The page in Markdown: what the command does, then each family with its rules."""
    counts = Counter(rule.severity for rule in RULES)
    said = ", ".join(f"{counts[severity]} {severity}s" for severity in SEVERITIES)
    refused = sum(rule.refused for rule in RULES)
    head = f"There are {len(RULES)} rules: {said}. Of {refused} Triton refuses the model.\n"
    return "\n".join((f"{INTRO}{head}", *map(_family, FAMILIES)))


def _family(family: object) -> str:
    title = (family.__doc__ or "").split(": ", 1)[1].rstrip(".")
    rules = sorted((one for one in vars(family).values() if isinstance(one, Rule)), key=lambda one: one.code)
    return "\n".join((f"## {title[0].upper()}{title[1:]}\n", *(rule.page for rule in rules)))
