"""Cases of the rules on what stands around a configuration: devices, versions, other models. Loaded by conftest.py."""

import sys

rule_case = sys.modules["rule_case"]
RuleCase, CPU, GPU, ONNX = rule_case.RuleCase, rule_case.CPU, rule_case.GPU, rule_case.ONNX
ENSEMBLE, STEP = rule_case.ENSEMBLE, rule_case.STEP

END = "  }\n}\n"
VALUE = 'inputs {{ key: "{}" value {{ {} }} }}'
ZEROS = "data_type: TYPE_FP32 dims: [8] zero_data: true"
FILE = 'data_type: TYPE_FP32 dims: [8] input_data_file: "row"'


def group(inside: str) -> str:
    return f"instance_group {{ {inside} }}"


def warmup(inside: str, name: str = "x", rows: int = 1) -> str:
    return f'model_warmup {{ name: "first" batch_size: {rows} {VALUE.format(name, inside)} }}'


def parameter(key: str, value: str) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}'


def accelerator(name: str, kind: str = "gpu") -> str:
    return f'optimization {{ execution_accelerators {{ {kind}_execution_accelerator {{ name: "{name}" }} }} }}'


def ensemble(code: str, old: str, new: str, line: int = 0) -> object:
    return RuleCase(code, (old, new), base=ENSEMBLE, line=line)


INSTANCES = [
    RuleCase("ER601", group("kind: KIND_GPU"), group("kind: KIND_CPU")),
    RuleCase("ER602", group("kind: KIND_CPU gpus: [0]"), group("kind: KIND_CPU")),
    RuleCase("ER602", group("count: 1 gpus: [0]"), group("count: 1")),
    RuleCase("ER603", group("kind: KIND_GPU gpus: [0, 0]"), group("kind: KIND_GPU gpus: [0, 1]"), base=GPU),
    RuleCase("ER603", group("kind: KIND_GPU gpus: [-1]"), base=GPU),
    RuleCase("ER604", group("kind: KIND_CPU"), group("kind: KIND_GPU"), base=GPU),
    RuleCase("ER605", group("kind: KIND_CPU count: 0"), group("kind: KIND_CPU")),
    RuleCase("ER606", group("kind: KIND_CPU count: 3"), group("kind: KIND_CPU count: 2"), world={"cores": 2}),
    RuleCase(
        "ER607",
        group("kind: KIND_GPU count: 1000"),
        group("kind: KIND_GPU count: 1"),
        base=GPU,
        world={"gpu_memory_bytes": 100_000},
    ),
    RuleCase("ER608", group('kind: KIND_CPU profile: ["0"]'), group("kind: KIND_CPU")),
    RuleCase(
        "ER609",
        group('kind: KIND_CPU rate_limiter { resources { name: "r" count: 1 } }'),
        group("kind: KIND_CPU rate_limiter { }"),
    ),
    RuleCase(
        "ER610",
        group("kind: KIND_CPU passive: true"),
        f"{group('kind: KIND_CPU passive: true')} {group('kind: KIND_CPU')}",
    ),
]

VERSIONS = [
    RuleCase("ER701", "version_policy { specific { versions: [7] } }", "version_policy { specific { versions: [1] } }"),
    RuleCase("ER701", "version_policy { latest { num_versions: 0 } }", "version_policy { latest { num_versions: 1 } }"),
    RuleCase("ER701", "version_policy { specific { } }", "version_policy { }"),
    RuleCase(
        "ER702", "version_policy { specific { versions: [1, 7] } }", "version_policy { specific { versions: [1] } }"
    ),
    RuleCase("ER703", "version_policy { }", "version_policy { }", line=1, files={"v2/x": ""}, mended={"tools/x": ""}),
    RuleCase(
        "ER704",
        "version_policy { all { } }",
        "version_policy { latest { num_versions: 2 } }",
        files={"2/x": "", "3/x": "", "4/x": ""},
        mended={"2/x": "", "3/x": "", "4/x": ""},
    ),
    RuleCase(
        "ER705",
        "version_policy { specific { versions: [1] } }",
        "version_policy { specific { versions: [1, 2] } }",
        files={"2/x": ""},
        mended={"2/x": ""},
    ),
]

ENSEMBLES = [
    ensemble("ER801", 'platform: "ensemble"\n', "", line=5),
    ensemble("ER801", 'platform: "ensemble"', 'platform: "ensemble" backend: "openvino"'),
    ensemble("ER802", '    output_map { key: "y" value: "b" }\n', "", line=7),
    ensemble("ER803", "ensemble_scheduling {", "instance_group { kind: KIND_CPU }\nensemble_scheduling {"),
    ensemble("ER804", '"hub"', '"hubb"'),
    ensemble("ER805", "model_version: -1", "model_version: 9"),
    ensemble("ER805", "    model_version: -1\n", "", line=7),
    ensemble("ER806", '"hub"', '"NAME"'),
    ensemble("ER807", 'key: "x"', 'key: "image"'),
    ensemble("ER808", 'key: "x"', 'key: "image"'),
    ensemble("ER809", "TYPE_FP32", "TYPE_FP16", line=10),
    ensemble("ER809", "dims: [8]", "dims: [9]", line=10),
    RuleCase("ER810", (END, "  }\n" + STEP.replace("made", "b")), (END, END), base=ENSEMBLE, line=17),
    RuleCase("ER811", ('value: "a"', 'value: "aa"'), base=ENSEMBLE),
    RuleCase("ER811", ('output { name: "b"', 'output { name: "c"'), base=ENSEMBLE),
    RuleCase("ER812", (END, "  }\n" + STEP), (END, END), base=ENSEMBLE, line=17),
    ensemble("ER812", "output {", 'input { name: "z" data_type: TYPE_FP32 dims: [8] }\noutput {'),
    ensemble("ER813", "max_batch_size: 4", "max_batch_size: 8"),
]

WARMUPS = [
    RuleCase("ER911", warmup(ZEROS, "image"), warmup(ZEROS)),
    RuleCase("ER912", warmup(ZEROS.replace("FP32", "INT32")), warmup(ZEROS)),
    RuleCase("ER913", warmup(ZEROS.replace("[8]", "[9]")), warmup(ZEROS)),
    RuleCase("ER914", warmup(ZEROS, rows=5), warmup(ZEROS, rows=4)),
    RuleCase("ER915", warmup("data_type: TYPE_FP32 dims: [8]"), warmup(ZEROS)),
    RuleCase("ER916", warmup(FILE), warmup(FILE), files={"warmup/row": b"123"}, mended={"warmup/row": bytes(32)}),
    RuleCase(
        "ER917",
        warmup("data_type: TYPE_INT64 dims: [8] random_data: true"),
        warmup("data_type: TYPE_FP32 dims: [8] random_data: true"),
    ),
    RuleCase("ER918", warmup(ZEROS, rows=0), warmup(ZEROS)),
]

SETTINGS = [
    RuleCase("ER931", accelerator("tensorrt"), base=CPU),
    RuleCase("ER931", accelerator("tensort"), accelerator("tensorrt"), base=ONNX),
    RuleCase(
        "ER932",
        f"{group('kind: KIND_CPU')} {accelerator('tensorrt')}",
        f"{group('kind: KIND_GPU')} {accelerator('tensorrt')}",
        base=ONNX,
    ),
    RuleCase("ER933", "optimization { cuda { graphs: true } }"),
    RuleCase("ER934", parameter("INFERENCE_NUM_THREAD", "1"), parameter("INFERENCE_NUM_THREADS", "1")),
    RuleCase("ER935", parameter("INFERENCE_NUM_THREADS", "two"), parameter("INFERENCE_NUM_THREADS", "2")),
    RuleCase("ER935", parameter("BATCH_SIZES", "1;2"), parameter("BATCH_SIZES", "1,2")),
    RuleCase("ER935", parameter("PERFORMANCE_HINT", "FAST"), parameter("PERFORMANCE_HINT", "LATENCY")),
    RuleCase(
        "ER936",
        f"{group('kind: KIND_CPU count: 2')} {parameter('INFERENCE_NUM_THREADS', '2')}",
        f"{group('kind: KIND_CPU count: 2')} {parameter('INFERENCE_NUM_THREADS', '1')}",
        world={"cores": 2},
    ),
    RuleCase("ER937", "response_cache { enable: true }", "response_cache { }"),
    RuleCase(
        "ER938", "sequence_batching { } response_cache { enable: true }", "sequence_batching { } response_cache { }"
    ),
    RuleCase("ER938", "model_transaction_policy { decoupled: true } response_cache { enable: true }"),
    RuleCase("ER939", "model_transaction_policy { decoupled: true }", "model_transaction_policy { decoupled: false }"),
    RuleCase("ER940", 'runtime: "abc"', 'runtime: "model.py"'),
    RuleCase("ER941", 'metric_tags { key: "my-team" value: "a" }', 'metric_tags { key: "my_team" value: "a" }'),
]

CASES = [*INSTANCES, *VERSIONS, *ENSEMBLES, *WARMUPS, *SETTINGS]
