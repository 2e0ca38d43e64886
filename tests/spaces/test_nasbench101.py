"""latentnas/spaces/nasbench101.py: published facts, keys against networkx, pruning, mutation, grammar, module hash."""

from __future__ import annotations

import hashlib
import itertools
import json
from types import SimpleNamespace
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from torch import Tensor

from latentnas.errors import InvalidCodeError, ParseError
from latentnas.spaces import INPUT, OUTPUT, NodeGraphs
from latentnas.spaces.graphs import random_topological_order, relabel
from latentnas.spaces.nasbench101 import EDGES, OPERATIONS, NASBench101, prune

from .conformance import networkx_graphs

SPACE = NASBench101()
CONV3, CONV1, POOL = OPERATIONS

# The cell that the benchmark's README builds its example query with.
README = """ModelSpec(
    matrix=[[0, 1, 1, 1, 0, 1, 0],
            [0, 0, 0, 0, 0, 0, 1],
            [0, 0, 0, 0, 0, 0, 1],
            [0, 0, 0, 0, 1, 0, 0],
            [0, 0, 0, 0, 0, 0, 1],
            [0, 0, 0, 0, 0, 0, 1],
            [0, 0, 0, 0, 0, 0, 0]],
    ops=['input', 'conv1x1-bn-relu', 'conv3x3-bn-relu', 'conv3x3-bn-relu', 'conv3x3-bn-relu', 'maxpool3x3', 'output'])
"""

# The same cell as the data set returns it.
README_ANSWER = """{
    "matrix": [[0, 1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 1],
               [0, 0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0]],
    "ops": ["input", "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3", "conv3x3-bn-relu", "conv3x3-bn-relu", "output"]
}"""

# The first cell of the published data set, with its name there.
FIRST_HASH = "00005c142e6f48ac74fdcf73e3439874"
FIRST_MATRIX = [
    [0, 1, 0, 0, 1, 1, 0],
    [0, 0, 1, 0, 0, 0, 0],
    [0, 0, 0, 1, 0, 0, 1],
    [0, 0, 0, 0, 0, 1, 0],
    [0, 0, 0, 0, 0, 1, 0],
    [0, 0, 0, 0, 0, 0, 1],
    [0, 0, 0, 0, 0, 0, 0],
]
FIRST_OPS = ["input", CONV3, POOL, CONV3, CONV3, CONV1, "output"]


def text_of(matrix: object, ops: object) -> str:
    return json.dumps({"matrix": matrix, "ops": ops})


def code_of(edges: str, *ops: int) -> Tensor:
    """A code from edges like "01 12" and operations."""
    pairs = {(int(edge[0]), int(edge[1])) for edge in edges.split()}
    row = [len(ops), *ops, *[0] * (5 - len(ops)), *(int(edge in pairs) for edge in EDGES)]
    return SPACE.check_codes([row])


def random_matrices(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Upper triangular matrices of 7 vertices, most of them with dangling vertices, and operations."""
    rng = np.random.default_rng(seed)
    density = rng.uniform(0.1, 0.6, (n, 1, 1))
    return np.triu(rng.random((n, 7, 7)) < density, 1).astype(int), rng.integers(0, 3, (n, 7))


# --- facts ------------------------------------------------------------------------------------


def test_counts_of_the_published_space() -> None:
    assert SPACE.size == 1_293_208
    assert SPACE.num_networks == 423_624
    vertices = SPACE.enumerate()[:, 0] + 2
    assert torch.bincount(vertices).tolist() == [0, 0, 1, 6, 90, 3_267, 125_145, 1_164_699]


@pytest.mark.parametrize(("n", "adjacencies"), [(2, 1), (3, 2), (4, 10), (5, 121)])
def test_small_cells_against_networkx(n: int, adjacencies: int) -> None:
    pairs = [(i, j) for j in range(n) for i in range(j)]
    found = set()
    for bits in itertools.product((0, 1), repeat=len(pairs)):
        graph = nx.DiGraph()
        graph.add_nodes_from(range(n))
        graph.add_edges_from(pair for pair, bit in zip(pairs, bits, strict=True) if bit)
        whole = len(nx.descendants(graph, 0)) == len(nx.ancestors(graph, n - 1)) == n - 1
        if whole and graph.number_of_edges() <= 9:
            found.add(bits)
    codes = SPACE.enumerate()
    codes = codes[(codes[:, 0] == n - 2) & (codes[:, 1:6] == 0).all(1)]
    assert len(found) == adjacencies
    assert {tuple(row[: len(pairs)]) for row in codes[:, 6:].tolist()} == found
    assert not codes[:, 6 + len(pairs) :].any()


def test_the_code_of_the_first_cell_of_the_data_set() -> None:
    code = SPACE.parse(text_of(FIRST_MATRIX, FIRST_OPS))[0].tolist()
    assert code[:6] == [5, 0, 2, 0, 0, 1]
    assert {edge for edge, bit in zip(EDGES, code[6:], strict=True) if bit} == {
        (i, j) for i in range(7) for j in range(7) if FIRST_MATRIX[i][j]
    }
    assert SPACE.columns[:8] == ("operations", "op_1", "op_2", "op_3", "op_4", "op_5", "edge_0_1", "edge_0_2")


@pytest.mark.parametrize(
    "change",
    [
        (0, 4),  # a vertex more than the edges join
        (1, 1),  # an operation at a vertex that does not exist
        (6, 0),  # no path
        (6 + EDGES.index((5, 6)), 1),  # an edge beyond the output
        (6 + EDGES.index((2, 3)), 1),  # the output has a successor
    ],
)
def test_codes_that_are_no_cells(change: tuple[int, int]) -> None:
    code = code_of("01").clone()
    code[0, change[0]] = change[1]
    with pytest.raises(InvalidCodeError, match="no cell"):
        SPACE.check_codes(code)


def test_ten_edges_are_no_cell() -> None:
    nine = code_of("01 02 12 03 13 23 04 14 34", 0, 1, 2)
    ten = nine.clone()
    ten[0, 6 + EDGES.index((2, 4))] = 1
    with pytest.raises(InvalidCodeError, match="no cell"):
        SPACE.check_codes(ten)


# --- keys -------------------------------------------------------------------------------------


def same_network(left: nx.DiGraph, right: nx.DiGraph) -> bool:
    return nx.is_isomorphic(left, right, node_match=lambda x, y: x["op"] == y["op"])


def test_keys_agree_with_networkx_on_thousands_of_pairs() -> None:
    generator = torch.Generator().manual_seed(0)
    parents = SPACE.sample(700, seed=generator, over="networks")
    near = SPACE.mutate(SPACE.mutate(parents, seed=generator), seed=generator)  # often back at the parent's size
    graphs = SPACE.node_graphs(parents)
    same, _ = SPACE.from_node_graphs(relabel(graphs, random_topological_order(graphs, generator)))
    # Cells of the same operations and the same degrees, the hardest to tell apart.
    everything = SPACE.enumerate()
    plain = everything[(everything[:, 0] == 5) & (everything[:, 1:6] == 0).all(1)]
    adj = SPACE.node_graphs(plain).adj.long()
    degrees = (adj.sum(1) * 8 + adj.sum(2)).sort(1).values
    plain = plain[(degrees * 64 ** torch.arange(7)).sum(1).argsort(stable=True)]
    alike = plain[::4][:1_150], plain[1::4][:1_150]
    # Few distinct small cells, so that many pairs are isomorphic by chance.
    small = everything[(everything[:, 0] >= 2) & (everything[:, 0] <= 3)]
    small = small[torch.randint(len(small), (2, 1500), generator=generator)]
    equal = 0
    for left, right in ((parents, near), (parents, same), alike, (small[0], small[1])):
        graphs_left = networkx_graphs(SPACE.node_graphs(left), SPACE)
        graphs_right = networkx_graphs(SPACE.node_graphs(right), SPACE)
        keys = zip(SPACE.keys(left), SPACE.keys(right), strict=True)
        for a, b, (key_a, key_b) in zip(graphs_left, graphs_right, keys, strict=True):
            assert (key_a == key_b) == same_network(a, b)
            equal += key_a == key_b
    assert equal >= 800, "pairs of both kinds"
    assert (same != parents).any(1).sum() > 200, "relabelling gives other codes"


def test_the_data_set_returns_the_cell_of_the_readme_relabelled() -> None:
    question, answer = SPACE.parse([README, README_ANSWER])
    assert not torch.equal(question, answer)
    assert SPACE.keys(question[None]) == SPACE.keys(answer[None])
    assert SPACE.module_hash(question[None]) == SPACE.module_hash(answer[None])


def test_keys_of_all_cells_of_five_vertices_count_what_networkx_counts() -> None:
    codes = SPACE.enumerate()
    codes = codes[(codes[:, 0] == 3) & (codes[:, 1:4] == torch.tensor([0, 0, 1])).all(1)]
    groups: list[nx.DiGraph] = []
    chosen: dict[str, nx.DiGraph] = {}
    for key, graph in zip(SPACE.keys(codes), networkx_graphs(SPACE.node_graphs(codes), SPACE), strict=True):
        if not any(same_network(graph, other) for other in groups):
            groups.append(graph)
        chosen.setdefault(key, graph)
    assert len(chosen) == len(groups)


def test_keys_are_stable() -> None:
    cells = torch.cat(
        [
            code_of("01"),
            code_of("01 12", 2),
            code_of("01 02 12", 0),
            code_of("01 02 13 23", 1, 0),
            code_of("01 02 12 03 13 23 04 14 34", 0, 1, 2),
            SPACE.parse(README),
            SPACE.parse(text_of(FIRST_MATRIX, FIRST_OPS)),
        ]
    )
    assert SPACE.keys(cells) == [
        "2..1",
        "3.2.5",
        "3.0.7",
        "4.01.33",
        "5.012.3fd",
        "7.00012.16440f",
        "7.00201.188e45",
    ]


def test_the_canonical_code_is_the_first_of_all_relabelled_ones() -> None:
    cells = SPACE.sample(40, seed=3)
    for code, canonical in zip(cells, SPACE.canonical(cells), strict=True):
        n, codes = int(code[0]) + 2, []
        adj = np.zeros((7, 7), int)
        for (i, j), bit in zip(EDGES, code[6:].tolist(), strict=True):
            adj[i, j] = bit
        for inner in itertools.permutations(range(1, n - 1)):
            order = [0, *inner, *range(n - 1, 7)]
            new = adj[np.ix_(order, order)]
            if not np.tril(new).any():
                ops = [int(code[v]) for v in inner] + [0] * (7 - n)
                codes.append([n - 2, *ops, *(int(new[edge]) for edge in EDGES)])
        assert canonical.tolist() == min(codes)


# --- the benchmark's hash ---------------------------------------------------------------------


def slow_hash(matrix: np.ndarray, labels: list[int]) -> str:
    """The published definition, word for word: degrees and label, then as many rounds as vertices."""

    def md5(text: str) -> str:
        return hashlib.md5(text.encode("utf-8")).hexdigest()

    size = len(labels)
    hashes = [md5(f"({matrix[v].sum()}, {matrix[:, v].sum()}, {labels[v]})") for v in range(size)]
    for _ in range(size):
        hashes = [
            md5(
                "".join(sorted(hashes[w] for w in range(size) if matrix[w, v]))
                + "|"
                + "".join(sorted(hashes[w] for w in range(size) if matrix[v, w]))
                + "|"
                + hashes[v]
            )
            for v in range(size)
        ]
    return md5(str(sorted(hashes)))


def test_module_hash_of_the_first_cell_of_the_data_set() -> None:
    assert SPACE.module_hash(SPACE.parse(text_of(FIRST_MATRIX, FIRST_OPS))) == [FIRST_HASH]


def test_module_hash_agrees_with_its_definition_and_with_the_keys() -> None:
    small = SPACE.enumerate()[:150]
    codes = torch.cat([small, SPACE.sample(250, seed=1)])
    codes = torch.cat([codes, SPACE.canonical(codes)])
    hashes = SPACE.module_hash(codes)
    for code, found in zip(codes, hashes, strict=True):
        n = int(code[0]) + 2
        adj = np.zeros((7, 7), int)
        for (i, j), bit in zip(EDGES, code[6:].tolist(), strict=True):
            adj[i, j] = bit
        assert found == slow_hash(adj[:n, :n], [-1, *code[1 : n - 1].tolist(), -2])
    keys = SPACE.keys(codes)
    assert len(set(keys)) == len(set(hashes)) == len(set(zip(keys, hashes, strict=True)))


# --- texts and pruning ------------------------------------------------------------------------


def test_format_is_json_with_the_arguments_of_modelspec() -> None:
    text = SPACE.format(code_of("01 12", 1))[0]
    assert text == '{"matrix": [[0, 1, 0], [0, 0, 1], [0, 0, 0]], "ops": ["input", "conv1x1-bn-relu", "output"]}'
    assert json.loads(text) == {"matrix": [[0, 1, 0], [0, 0, 1], [0, 0, 0]], "ops": ["input", CONV1, "output"]}


def test_parse_reads_what_users_have() -> None:
    expected = code_of("01 02 03 34 16 26 05 46 56", 1, 0, 0, 0, 2)
    assert torch.equal(SPACE.parse(README), expected)
    matrix, ops = [[0, 1], [0, 0]], ["input", "output"]
    for text in (
        text_of(matrix, ops),
        f"{matrix} {json.dumps(ops)}",
        f"({matrix}, {ops})",
        f"api.ModelSpec(matrix={matrix}, ops={ops})",
        str({"matrix": matrix, "ops": ops}),
        json.dumps({"matrix": matrix, "ops": ops}, indent=4),
    ):
        assert torch.equal(SPACE.parse(text), code_of("01"))


def test_parse_prunes() -> None:
    matrix = [[0, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]  # vertex 1 leads nowhere
    assert torch.equal(SPACE.parse(text_of(matrix, ["input", POOL, CONV1, "output"])), code_of("01 02 12", 1))
    full = np.triu(np.ones((7, 7), int), 1)
    full[:, 5] = full[5, :] = full[4, :] = 0  # vertices 4 and 5 lead nowhere; 9 edges stay of 13 and more
    full[3, 6] = 0
    text = text_of(full.tolist(), ["input", CONV3, CONV3, CONV3, POOL, POOL, "output"])
    assert torch.equal(SPACE.parse(text), code_of("01 02 12 03 13 23", 0, 0))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected"),
        ("[[0, 1], [0, 0]]", "expected"),
        ("__import__('os').getcwd()", "expected"),
        ("[" * 5_000, "expected"),
        (" " * 20_000 + "[[0, 1], [0, 0]] ['input', 'output']", "expected"),
        (text_of([[0, 10**400], [0, 0]], ["input", "output"]), "zeros and ones"),
        (text_of([[0, 2], [0, 0]], ["input", "output"]), "zeros and ones"),
        (text_of([[0, -0.0], [0, 0]], ["input", "output"]), "zeros and ones"),
        (text_of([[0, True], [0, 0]], ["input", "output"]), "zeros and ones"),
        (text_of([[], []], ["input", "output"]), "zeros and ones"),
        (text_of([[0, 1], [0, 0]], ["output", "input"]), "start with 'input'"),
        (text_of([[0, 1], [0, 0]], [0, 1]), "quoted"),
        (text_of([[0, 1, 0], [0, 0, 1]], ["input", POOL, "output"]), "a row and a column"),
        (text_of([[0, 1, 0], [0, 0, 1], [0, 0]], ["input", POOL, "output"]), "a row and a column"),
        (text_of([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["input", "conv5x5", "output"]), "unknown operation 'conv5x5'"),
        (text_of([[0, 1, 0], [0, 0, 1], [1, 0, 0]], ["input", POOL, "output"]), r"matrix\[2\]\[0\] is 1"),
        (text_of([[0, 1, 0], [0, 0, 0], [0, 0, 0]], ["input", POOL, "output"]), "no path"),
        (text_of(np.triu(np.ones((5, 5), int), 1).tolist(), ["input", POOL, POOL, POOL, "output"]), "10 edges"),
        (text_of(np.eye(8, k=1, dtype=int).tolist(), ["input", *[POOL] * 6, "output"]), "start with|2 to 7"),
    ],
)
def test_parse_says_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(ParseError, match=reason):
        SPACE.parse(text)


def test_prune_keeps_what_lies_on_a_path() -> None:
    matrix = [[0, 1, 1, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
    pruned = prune(matrix, ["input", CONV3, CONV1, POOL, "output"])  # 2 leads nowhere, nothing leads to 3
    assert pruned == ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["input", CONV3, "output"])
    assert prune(np.array(matrix), ("input", CONV3, CONV1, POOL, "output")) == pruned


@pytest.mark.parametrize(
    ("matrix", "reason"),
    [
        ([[0, 0], [0, 0]], "no path"),
        ([[0, 1], [1, 0]], r"matrix\[1\]\[0\] is 1"),
        ([[1, 1], [0, 0]], r"matrix\[0\]\[0\] is 1"),
        ([[0, 3], [0, 0]], r"matrix\[0\]\[1\] is 3"),
        ([[0, 1]], "sides"),
        ([[0, 1, 1], [0, 0, 1]], "sides"),
    ],
)
def test_prune_says_what_is_wrong(matrix: list[list[int]], reason: str) -> None:
    with pytest.raises(InvalidCodeError, match=reason):
        prune(matrix, ["input", "output"])


def test_batched_pruning_agrees_with_networkx_and_with_prune() -> None:
    matrices, ops = random_matrices(600, seed=0)
    codes, valid = SPACE.from_matrices(torch.tensor(matrices), torch.tensor(ops))
    for matrix, row, code, good in zip(matrices, ops, codes, valid.tolist(), strict=True):
        graph = nx.from_numpy_array(matrix, create_using=nx.DiGraph)
        kept = sorted((nx.descendants(graph, 0) | {0}) & (nx.ancestors(graph, 6) | {6}))
        edges = graph.subgraph(kept).number_of_edges()
        assert good == (0 in kept and edges <= 9)
        if good:
            names = ["input", *(OPERATIONS[op] for op in row[1:-1]), "output"]
            assert torch.equal(SPACE.parse(text_of(matrix.tolist(), names))[0], code)
            assert code[0] == len(kept) - 2
            assert code[6:].sum() == edges
        else:
            assert not code.any()
    assert 100 < valid.sum() < 550


def test_from_matrices_of_other_sizes_and_bad_rows() -> None:
    adj = torch.zeros(6, 3, 3, dtype=torch.bool)
    adj[:, 0, 1] = adj[:, 1, 2] = True
    ops = torch.tensor([[9, 1, -5]] * 6)
    adj[1, 2, 0] = True  # backwards
    adj[2, 1, 1] = True  # a loop
    ops[3, 1] = 3  # unknown
    n = torch.tensor([3, 3, 3, 3, 2, 7])  # row 4: vertex 2 does not exist but has an edge; row 5: more than there are
    codes, valid = SPACE.from_matrices(adj, ops, n)
    assert valid.tolist() == [True, False, False, False, False, False]
    assert torch.equal(codes[:1], code_of("01 12", 1))
    for wrong in ((adj[0], ops[0]), (adj, ops[:, :2]), (torch.zeros(1, 8, 8), torch.zeros(1, 8))):
        with pytest.raises(InvalidCodeError, match="expected adj"):
            SPACE.from_matrices(*wrong)
    with pytest.raises(InvalidCodeError, match="num_vertices"):
        SPACE.from_matrices(adj, ops, n[:2])


def test_node_graphs_are_not_pruned() -> None:
    graphs = SPACE.node_graphs(code_of("01 12", 2).repeat(3, 1))
    graphs.adj[0, 0, 1] = False  # nothing leads to vertex 1
    graphs.adj[0, 0, 2] = True
    graphs.adj[1, 4, 5] = True  # an edge in the padding
    assert SPACE.from_node_graphs(graphs)[1].tolist() == [False, False, True]
    masks = graphs.mask.clone()
    masks[2, 4] = True
    assert not SPACE.from_node_graphs(NodeGraphs(graphs.ops, graphs.adj, masks))[1][2]


# --- mutation ---------------------------------------------------------------------------------


def neighbours(code: Tensor) -> list[str]:
    """Keys of all results of one edit, by editing graphs; an entry for each possible edit."""
    n = int(code[0]) + 2
    graph = nx.DiGraph()
    for v in range(n):
        graph.add_node(v, op="input" if v == 0 else "output" if v == n - 1 else OPERATIONS[int(code[v])])
    graph.add_edges_from(edge for edge, bit in zip(EDGES, code[6:].tolist(), strict=True) if bit)
    pairs, edited = list(itertools.combinations(range(n), 2)), []
    for v in range(1, n - 1):
        for op in set(OPERATIONS) - {graph.nodes[v]["op"]}:
            edited.append(graph.copy())
            edited[-1].nodes[v]["op"] = op
    for u, x in pairs:
        other = graph.copy()
        if graph.has_edge(u, x):
            other.remove_edge(u, x)
        else:
            other.add_edge(u, x)
        edited.append(other)
        for op in OPERATIONS:
            edited.append(graph.copy())
            edited[-1].add_node("new", op=op)
            edited[-1].add_edges_from([(u, "new"), ("new", x)])
    texts = []
    for other in edited:
        if not nx.has_path(other, 0, n - 1):
            continue
        kept = (nx.descendants(other, 0) | {0}) & (nx.ancestors(other, n - 1) | {n - 1})
        other = other.subgraph(kept)
        if len(kept) <= 7 and other.number_of_edges() <= 9:
            order = list(nx.topological_sort(other))
            names = [other.nodes[v]["op"] for v in order]
            texts.append(text_of(nx.to_numpy_array(other, nodelist=order).astype(int).tolist(), names))
    return SPACE.keys(SPACE.parse(texts))


@pytest.mark.parametrize(
    "code",
    [
        code_of("01"),
        code_of("01 12", 0),
        code_of("01 02 12 13 23", 0, 2),
        code_of("01 12 03 14 24 35 45", 0, 1, 2, 0),
        code_of("01 12 23 34 45 56", 0, 1, 2, 0, 0),
        SPACE.parse(README),
    ],
    ids=["input-output", "one", "two", "four", "chain", "readme"],
)
def test_mutation_draws_uniformly_from_all_single_edits(code: Tensor) -> None:
    expected = neighbours(code[0])
    draws = 4_000
    found = SPACE.keys(SPACE.mutate(code.repeat(draws, 1), seed=0))
    assert set(found) == set(expected)
    for key in set(expected):
        share = expected.count(key) / len(expected)
        assert abs(found.count(key) / draws - share) <= 6 * (share * (1 - share) / draws) ** 0.5
    assert SPACE.keys(code)[0] not in found


def test_mutants_are_always_other_networks() -> None:
    codes = SPACE.sample(5_000, seed=0)
    mutants = SPACE.mutate(codes, seed=0)
    assert torch.equal(SPACE.check_codes(mutants), mutants)
    assert all(a != b for a, b in zip(SPACE.keys(codes), SPACE.keys(mutants), strict=True))


# --- grammar ----------------------------------------------------------------------------------


def test_the_grammar_writes_every_cell_exactly_once() -> None:
    """All walks with one kind of operation: as many as there are adjacencies, 1 + 2 + 10 + 121 + 1545 + 4793."""
    grammar = SPACE.grammar
    ops, adj = torch.zeros(1, 7, dtype=torch.long), torch.zeros(1, 7, 7, dtype=torch.bool)
    done = []
    for vertex in range(1, 7):
        types = grammar.allowed_types(ops, adj, vertex)
        assert types[:, OUTPUT].all()
        assert not types[:, INPUT].any()
        assert (types[:, 2] == types[:, 3]).all()
        assert (types[:, 2] == types[:, 4]).all()
        rows, kinds = types[:, :3].nonzero().unbind(1)
        ops, adj = ops[rows], adj[rows]
        ops[:, vertex] = kinds
        for source in range(vertex - 1, -1, -1):
            rows, present = grammar.allowed_edges(ops, adj, vertex, source).nonzero().unbind(1)
            ops, adj = ops[rows], adj[rows]
            adj[:, source, vertex] = present.bool()
        output = ops[:, vertex] == OUTPUT
        mask = (torch.arange(7) <= vertex).expand(int(output.sum()), -1)
        codes, valid = SPACE.from_node_graphs(NodeGraphs(ops[output], adj[output], mask))
        assert valid.all()
        done.append(codes)
        ops, adj = ops[~output], adj[~output]
    assert len(ops) == 0
    assert [len(codes) for codes in done] == [1, 2, 10, 121, 1_545, 4_793]
    assert len(torch.cat(done).unique(dim=0)) == 6_472


def test_the_grammar_ignores_edges_that_come_later() -> None:
    """Decoders learn from finished cells: what is asked about a decision may not depend on later ones."""
    graphs = SPACE.node_graphs(SPACE.sample(200, seed=0))
    grammar = SPACE.grammar
    for vertex in range(1, 7):
        before = torch.zeros_like(graphs.adj)
        before[:, :vertex, :vertex] = graphs.adj[:, :vertex, :vertex]
        assert torch.equal(
            grammar.allowed_types(graphs.ops, before, vertex), grammar.allowed_types(graphs.ops, graphs.adj, vertex)
        )
        for source in range(vertex - 1, -1, -1):
            decided = before.clone()
            decided[:, source + 1 :, vertex] = graphs.adj[:, source + 1 :, vertex]
            assert torch.equal(
                grammar.allowed_edges(graphs.ops, decided, vertex, source),
                grammar.allowed_edges(graphs.ops, graphs.adj, vertex, source),
            )


def test_the_grammar_stops_at_nine_edges_and_seven_vertices() -> None:
    ops = torch.tensor([[0, 2, 3, 4, 2, 0, 0]])
    adj = torch.zeros(1, 7, 7, dtype=torch.bool)
    for i, j in ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3), (0, 4), (3, 4)):
        adj[0, i, j] = True
    # 8 edges and one loose vertex: nothing but the output, joined to that vertex alone.
    assert SPACE.grammar.allowed_types(ops, adj, 5).tolist() == [[False, True, False, False, False]]
    ops[0, 5] = OUTPUT
    assert SPACE.grammar.allowed_edges(ops, adj, 5, 4).tolist() == [[False, True]]
    adj[0, 4, 5] = True
    for source in (3, 2, 1, 0):
        assert SPACE.grammar.allowed_edges(ops, adj, 5, source).tolist() == [[True, False]]
    chain = torch.eye(7).roll(1, 1).bool().triu(1)[None]
    assert SPACE.grammar.allowed_types(torch.tensor([[0, 2, 2, 2, 2, 2, 0]]), chain, 6).tolist() == [
        [False, True, False, False, False]
    ]


class ModelSpec:
    """The fields of the benchmark's class; ``matrix`` is pruned, and an array."""

    def __init__(self, matrix: Any, ops: list[str]) -> None:
        self.original_matrix, self.original_ops = np.array(matrix), ops
        pruned, self.ops = prune(matrix, ops)
        self.matrix = np.array(pruned)


def test_the_benchmarks_objects_are_parsed() -> None:
    """Vertex 2 leads nowhere and is pruned."""
    matrix = [[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    ops = ["input", "maxpool3x3", "conv3x3-bn-relu", "output"]
    expected = SPACE.parse(f'{{"matrix": {matrix}, "ops": {ops}}}')
    spec = ModelSpec(matrix, ops)
    for given in (
        {"matrix": matrix, "ops": ops},
        {"matrix": torch.tensor(matrix), "ops": ops},
        {"module_adjacency": np.array(matrix), "module_operations": ops, "trainable_parameters": 1},
        spec,
        SimpleNamespace(matrix=spec.matrix, ops=spec.ops),
    ):
        assert torch.equal(SPACE.parse(given), expected)
        assert torch.equal(SPACE.parse([given, given]), expected.repeat(2, 1))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"matrix": 5, "ops": []}, "matrix must be rows of zeros and ones, ops a list of names, got int and list"),
        ({"matrix": [[0, 2], [0, 0]], "ops": ["input", "output"]}, "the matrix must hold zeros and ones"),
        ({"matrix": [[0, 1], [0, 0]], "ops": ["input", 'x"], "']}, "is no cell"),
        ({"matrix": np.zeros((2, 2, 2)), "ops": ["input", "output"]}, "matrix must be rows of zeros and ones"),
        ({"matrix": [[0, 1], [0, 0]]}, "expected a string, got dict"),
    ],
)
def test_objects_that_are_no_cells(given: Any, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        SPACE.parse(given)
