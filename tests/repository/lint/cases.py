"""Cases of the rules on a configuration alone: its text, tensors, batches and queue. Loaded by conftest.py."""

import sys

rule_case = sys.modules["rule_case"]
RuleCase, CPU, GPU, ONNX = rule_case.RuleCase, rule_case.CPU, rule_case.GPU, rule_case.ONNX

X, BATCH, DIMS = 'input { name: "x"', "max_batch_size: 4", "dims: [8]"
WIDE = CPU.replace(BATCH, "max_batch_size: 0").replace("[8]", "[-1, 8]")
OLDEST = "sequence_batching {{ oldest {{ max_candidate_sequences: {} {} }} }}"
START = "control {{ kind: CONTROL_SEQUENCE_START {} }}"


def batching(inside: str) -> str:
    return f"dynamic_batching {{ {inside} }}"


def queue(inside: str, beside: str = "") -> str:
    return batching(f"{beside} default_queue_policy {{ {inside} }}")


def control(inside: str, name: str = "x") -> str:
    return f'sequence_batching {{ control_input {{ name: "{name}" {inside} }} }}'


TEXT = [
    RuleCase("ER104", "dynamic_batching {", "dynamic_batching { }", line=7),
    RuleCase("ER104", ("max_batch_size: 4", "max_batch_size = 4")),
    RuleCase("ER104", "// a comment", "# a comment"),
    RuleCase("ER104", (DIMS, "dims: [8,]"), (DIMS, "dims: [ 8 ]")),
    RuleCase("ER105", (CPU, ""), line=1),
    RuleCase("ER106", ("max_batch_size", "max_batchsize")),
    RuleCase("ER106", "max_queue_delay_microseconds: 100", batching("max_queue_delay_microseconds: 100")),
    RuleCase("ER107", ("TYPE_FP32", "FP32"), ("TYPE_FP32", "11")),
    RuleCase("ER108", (BATCH, 'max_batch_size: "4"')),
    RuleCase("ER108", batching("max_queue_delay_microseconds: 0.5"), batching("max_queue_delay_microseconds: 500")),
    RuleCase("ER108", "dynamic_batching: true", "dynamic_batching: { }"),
    RuleCase("ER108", 'response_cache { enable: "true" }', "response_cache { enable: True }"),
    RuleCase("ER109", BATCH),
    RuleCase("ER110", "dynamic_batching { } sequence_batching { }", "dynamic_batching { }"),
    RuleCase(
        "ER111",
        'parameters { key: "a" value { } } parameters { key: "a" value { } }',
        'parameters { key: "a" value { } } parameters { key: "b" value { } }',
    ),
]

IDENTITY = [
    RuleCase("ER201", ('"NAME"', '"other"'), ('name: "NAME"\n', "")),
    RuleCase("ER202", ('backend: "openvino"\n', ""), base=CPU, line=1, files={"1/model.xml": None}),
    RuleCase(
        "ER203", ('backend: "openvino"', 'platform: "tensorrt"'), ('backend: "openvino"', 'platform: "tensorrt_plan"')
    ),
    RuleCase("ER203", ('backend: "openvino"', 'platform: "openvino"')),
    RuleCase("ER204", ("openvino", "openvno"), ("openvino", "somebodys_own")),
    RuleCase("ER205", ('backend: "openvino"', 'platform: "tensorrt_plan" backend: "onnxruntime"')),
    RuleCase("ER205", ('backend: "openvino"', 'platform: "tensorrt_plan" backend: "openvino"')),
    RuleCase("ER221", 'default_model_filename: "model.plan"', 'default_model_filename: "model.xml"'),
    RuleCase(
        "ER222",
        'default_model_filename: "a.xml"',
        'default_model_filename: "model.xml"',
        files={"1/model.xml": None},
        mended={},
    ),
    RuleCase(
        "ER222",
        'cc_model_filenames { key: "9.0" value: "model.sm90.plan" }',
        base=GPU,
        mended={"1/model.sm90.plan": ""},
        silent='cc_model_filenames { key: "9.0" value: "model.sm90.plan" }',
    ),
    RuleCase("ER223", 'cc_model_filenames { key: "sm90" value: "a" }', 'cc_model_filenames { key: "9.0" value: "a" }'),
    RuleCase("ER224", ('output { name: "y"', 'output { label_filename: "l.txt" name: "y"')),
    RuleCase(
        "ER225",
        ('output { name: "y"', 'output { label_filename: "l.txt" name: "y"'),
        ('output { name: "y"', 'output { label_filename: "l.txt" name: "y"'),
        files={"l.txt": "a\nb\n"},
        mended={"l.txt": "a\n" * 8},
    ),
    RuleCase("ER226", 'default_model_filename: "../1/model.xml"', 'default_model_filename: "model.xml"'),
    RuleCase(
        "ER227",
        'cc_model_filenames { key: "8.0" value: "model.sm89.plan" }',
        'cc_model_filenames { key: "8.9" value: "model.sm89.plan" }',
        base=GPU,
    ),
    RuleCase("ER231", ("TYPE_FP32", "TYPE_FP16"), files={"config.pbtxt": GPU}),
    RuleCase("ER231", ('"y"', '"z"'), files={"config.pbtxt": GPU}),
    RuleCase("ER232", (BATCH, "max_batch_size: 2"), files={"config.pbtxt": GPU}),
]

TENSORS = [
    RuleCase("ER301", (" dims: [8]", "")),
    RuleCase("ER302", (DIMS, "dims: [0]"), (DIMS, "dims: [-1]")),
    RuleCase("ER302", (X, f"{X} reshape {{ shape: [-2] }}")),
    RuleCase("ER303", 'input { name: "x" data_type: TYPE_FP32 dims: [8] }'),
    RuleCase("ER304", (X, f"{X} reshape {{ shape: [2, 5] }}"), (X, f"{X} reshape {{ shape: [2, 4] }}")),
    RuleCase("ER304", (X, f"{X} reshape {{ }}")),
    RuleCase("ER305", (X, f"{X} format: FORMAT_NCHW"), (X, f"{X} format: FORMAT_NONE")),
    RuleCase("ER306", (X, f"{X} is_shape_tensor: true"), (X, f"{X} is_shape_tensor: false")),
    RuleCase("ER307", ("TYPE_FP32", "TYPE_STRING")),
    RuleCase(
        "ER308",
        'batch_input { kind: BATCH_ELEMENT_COUNT target_name: "n" data_type: TYPE_FP32 source_input: "q" }',
        'batch_input { kind: BATCH_ELEMENT_COUNT target_name: "n" data_type: TYPE_FP32 source_input: "x" }',
    ),
    RuleCase("ER308", 'batch_output { kind: BATCH_SCATTER_WITH_INPUT_SHAPE target_name: "q" source_input: "x" }'),
    RuleCase("ER309", (X, f"{X} optional: true")),
    RuleCase(
        "ER310",
        "dynamic_batching { }",
        base=ONNX.replace("[8]", "[-1]"),
        line=4,
        files={"1/golden.npz": None, "1/model.graph.onnx": None},
    ),
    RuleCase("ER311", (X, f"{X} allow_ragged_batch: true"), base=WIDE),
    RuleCase("ER312", ('output { name: "y" data_type: TYPE_FP32 dims: [8] }\n', ""), line=1),
    RuleCase("ER321", ('"x"', '"image"')),
    RuleCase("ER322", ('input { name: "x" data_type: TYPE_FP32 dims: [8] }\n', ""), line=1),
    RuleCase("ER323", ("TYPE_FP32", "TYPE_INT32")),
    RuleCase("ER324", (DIMS, "dims: [-1, 8]")),
    RuleCase("ER325", (DIMS, "dims: [9]"), (DIMS, "dims: [-1]")),
    RuleCase("ER328", (DIMS, "dims: [-1]")),
    RuleCase(
        "ER329", control(START.format("fp32_false_true: [0, 1]"), "s"), control(START.format("fp32_false_true: [0, 1]"))
    ),
]

BATCHING = [
    RuleCase("ER401", (BATCH, "max_batch_size: -1")),
    RuleCase("ER402", (BATCH, "max_batch_size: 8")),
    RuleCase("ER403", "dynamic_batching { }", base=WIDE),
    RuleCase("ER404", batching("preferred_batch_size: [4, 8]"), batching("preferred_batch_size: [2, 4]")),
    RuleCase("ER404", OLDEST.format(4, "preferred_batch_size: [8]"), OLDEST.format(4, "preferred_batch_size: [4]")),
    RuleCase("ER405", batching("preferred_batch_size: [0]"), batching("preferred_batch_size: [2]")),
    RuleCase("ER406", batching("preferred_batch_size: [3]"), batching("preferred_batch_size: [2]"), base=GPU),
    RuleCase("ER407", (BATCH, "max_batch_size: 1")),
    RuleCase("ER408", "version_policy { }", "dynamic_batching { }", line=3),
    RuleCase("ER409", "dynamic_batching { }", base=CPU.replace(BATCH, "max_batch_size: 1")),
    RuleCase("ER410", batching("max_queue_delay_microseconds: 5"), batching("max_queue_delay_microseconds: 500")),
    RuleCase("ER410", batching("max_queue_delay_microseconds: 5000000")),
    RuleCase(
        "ER411",
        batching("max_queue_delay_microseconds: 50000"),
        batching("max_queue_delay_microseconds: 2000"),
        world={"slo_ms": 20.0},
    ),
    RuleCase(
        "ER412",
        batching("max_queue_delay_microseconds: 500"),
        "dynamic_batching { }",
        CPU.replace(BATCH, "max_batch_size: 1"),
    ),
    RuleCase("ER413", batching("preferred_batch_size: [1, 4]"), batching("preferred_batch_size: [2, 4]")),
    RuleCase("ER414", (f"{BATCH}\n", ""), (BATCH, "max_batch_size: 0"), line=1),
    RuleCase("ER431", control(START.format("")), control(START.format("fp32_false_true: [0, 1]"))),
    RuleCase("ER431", control(START.format("fp32_false_true: [0, 1, 2]"))),
    RuleCase("ER431", control(START.format("fp32_false_true: [0, 1]"), "")),
    RuleCase(
        "ER432",
        "sequence_batching { direct { minimum_slot_utilization: 2 } }",
        "sequence_batching { direct { minimum_slot_utilization: 0.5 } }",
    ),
    RuleCase(
        "ER433",
        "sequence_batching { max_sequence_idle_microseconds: 5 }",
        "sequence_batching { max_sequence_idle_microseconds: 5000000 }",
    ),
    RuleCase("ER434", "sequence_batching { oldest { } }", OLDEST.format(4, "")),
    RuleCase(
        "ER435",
        control("control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_FP32 }"),
        control("control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 }"),
    ),
]

QUEUE = [
    RuleCase("ER501", "dynamic_batching { }", queue("max_queue_size: 16")),
    RuleCase("ER502", batching("priority_levels: 2"), batching("priority_levels: 2 default_priority_level: 1")),
    RuleCase(
        "ER502", batching("priority_levels: 2 default_priority_level: 1 priority_queue_policy { key: 3 value { } }")
    ),
    RuleCase("ER503", batching("default_priority_level: 1"), batching("priority_levels: 1 default_priority_level: 1")),
    RuleCase(
        "ER504",
        batching("preserve_ordering: true priority_levels: 2 default_priority_level: 1"),
        batching("preserve_ordering: true"),
    ),
    RuleCase(
        "ER504",
        queue("timeout_action: DELAY default_timeout_microseconds: 9000", "preserve_ordering: true"),
        queue("timeout_action: REJECT default_timeout_microseconds: 9000", "preserve_ordering: true"),
    ),
    RuleCase("ER505", queue("default_timeout_microseconds: 50"), queue("default_timeout_microseconds: 50000")),
    RuleCase(
        "ER506",
        queue("default_timeout_microseconds: 2000", "max_queue_delay_microseconds: 5000"),
        queue("default_timeout_microseconds: 9000", "max_queue_delay_microseconds: 5000"),
    ),
    RuleCase(
        "ER507",
        queue("default_timeout_microseconds: 20000"),
        queue("default_timeout_microseconds: 9000"),
        world={"slo_ms": 20.0},
    ),
    RuleCase(
        "ER508",
        queue("max_queue_size: 1", "preferred_batch_size: [4]"),
        queue("max_queue_size: 4", "preferred_batch_size: [4]"),
    ),
    RuleCase("ER509", queue("timeout_action: REJECT"), queue("timeout_action: REJECT allow_timeout_override: true")),
    RuleCase(
        "ER510",
        queue("timeout_action: DELAY default_timeout_microseconds: 9000"),
        queue("timeout_action: DELAY default_timeout_microseconds: 9000 max_queue_size: 9"),
    ),
]

CASES = [*TEXT, *IDENTITY, *TENSORS, *BATCHING, *QUEUE]
