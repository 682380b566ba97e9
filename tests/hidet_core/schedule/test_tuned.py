"""Tuned tables: keys of problems, entries before cost models, entries that fit nothing."""

import json

import numpy as np
import pytest

from hidet_core.base.errors import CompilerBug
from hidet_core.compute.types import TensorType
from hidet_core.graph.builder import GraphBuilder
from hidet_core.graph.graph import consumers
from hidet_core.graph.groups import form_groups
from hidet_core.graph.storage import plan_storage
from hidet_core.ir.dtypes import f32
from hidet_core.schedule import choose, tuned
from hidet_core.schedule.choose import candidates, schedules
from hidet_core.stages import CompileOptions, draft_group
from hidet_core.target import AVX2, CUDAS

SM_90A = CUDAS["sm_90a"]
M, N, K = 6, 24, 40


def problem(m=M, names=("x", "y"), constant=True, unary="relu", **options):
    """x[m, K] times w[K, N], then an elementwise operator in the same kernel."""
    builder = GraphBuilder("net")
    x = builder.input(names[0], TensorType(f32, (m, K)))
    w = np.ones((K, N), np.float32)
    other = builder.constant(w) if constant else builder.input("w", TensorType(f32, (K, N)))
    product = builder.emit("matmul", x, other)
    inputs = [x] if constant else [x, other]
    graph = builder.build(inputs, [builder.emit(unary, product)], [names[1]], [])
    storage, (group,) = plan_storage(graph), form_groups(graph)
    options = CompileOptions(target="sm_90a", **options)
    return draft_group(group, graph, storage, consumers(graph), options, "cuda").problem


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """write(target, entries): a tuned table for this test."""
    original = tuned.table
    monkeypatch.setattr(tuned, "table", lambda target: original(target, tmp_path))

    def write(target, best, schema=tuned.SCHEMA):
        content = {"schema": schema, "device": "a device", "best": best}
        (tmp_path / f"{target}.json").write_text(json.dumps(content))

    return write


def test_a_key_names_operator_types_sizes_and_constants():
    key = tuned.problem_key(problem())
    assert key.startswith("matmul ")
    assert f"f32[{M}, {K}]" in key and f"const f32[{K}, {N}]" in key
    assert f"-> f32[{M}, {N}]" in key


def test_equal_problems_have_one_key_whatever_is_fused_and_however_things_are_called():
    key = tuned.problem_key(problem())
    assert tuned.problem_key(problem(names=("input", "output"))) == key
    assert tuned.problem_key(problem(unary="tanh")) == key


@pytest.mark.parametrize(
    "other",
    [
        {"m": M + 1},
        {"constant": False},
        {"allow_tf32": False},
        {"winograd": False},
    ],
    ids=str,
)
def test_what_speed_depends_on_is_in_the_key(other):
    assert tuned.problem_key(problem(**other)) != tuned.problem_key(problem())


def test_elementwise_problems_count_by_what_they_compute():
    keys = set()
    for name in ("relu", "tanh"):
        builder = GraphBuilder("net")
        x = builder.input("x", TensorType(f32, (M, K)))
        graph = builder.build([x], [builder.emit(name, x)], ["y"], [])
        (group,) = form_groups(graph)
        draft = draft_group(group, graph, plan_storage(graph), consumers(graph))
        keys.add(tuned.problem_key(draft.problem))
    assert len(keys) == 2


def test_the_tuned_config_comes_first_and_the_others_keep_their_order(tables):
    this = problem()
    before = [candidate.names for candidate in candidates(this, SM_90A)]
    chosen = before[len(before) // 2]
    tables(SM_90A.name, {tuned.problem_key(this): list(chosen)})
    after = [scheduled.config for scheduled in _first(schedules(this, SM_90A), 3)]
    assert after == [chosen.config, before[0].config, before[1].config]


@pytest.mark.parametrize(
    "entry", [["NoSuchTemplate", "tile=1"], ["Matmul", "no=such config=1"]], ids=str
)
def test_an_entry_that_is_not_offered_is_passed_over(tables, entry):
    this = problem()
    tables(SM_90A.name, {tuned.problem_key(this): entry})
    first = next(schedules(this, SM_90A)).config
    assert first == candidates(this, SM_90A)[0].names.config


def test_tables_of_other_targets_and_problems_do_not_count(tables):
    this = problem()
    last = list(candidates(this, SM_90A)[-1].names)
    tables("sm_80", {tuned.problem_key(this): last})
    tables(SM_90A.name, {tuned.problem_key(problem(m=M + 1)): last})
    assert next(schedules(this, SM_90A)).config == candidates(this, SM_90A)[0].names.config
    assert tuned.find(tuned.problem_key(this), AVX2.name) is None


def test_equal_problems_of_a_graph_are_looked_at_once(monkeypatch):
    asked, known = [], {}
    monkeypatch.setattr(choose, "candidates", lambda *a: asked.append(a) or candidates(*a))
    texts = [next(schedules(problem(), SM_90A, known)).config for _ in range(2)]
    assert texts[0] == texts[1] and len(asked) == 1
    next(schedules(problem(m=4 * M), SM_90A, known))
    assert len(asked) == len(known) == 2


def test_another_schema_is_refused(tables):
    tables(SM_90A.name, {}, schema=99)
    with pytest.raises(CompilerBug, match="expected schema 1, found 99"):
        tuned.table(SM_90A.name)


def test_the_tables_of_the_package_can_be_read():
    for path in tuned.FOLDER.glob("*.json"):
        assert tuned.table(path.stem)


def _first(values, count):
    return [next(values) for _ in range(count)]
