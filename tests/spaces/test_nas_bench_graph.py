"""latentnas/spaces/nas_bench_graph.py against the benchmark's own package and data."""

from __future__ import annotations

import importlib.util
import itertools
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import torch
from nas_bench_graph.architecture import Arch, all_archs  # type: ignore[import-untyped]

from latentnas.errors import InvalidCodeError, ParseError
from latentnas.spaces.nas_bench_graph import OPERATIONS, NASBenchGraph

SPACE = NASBenchGraph()
TEXT = "Arch([0, 1, 2, 1], ['gcn', 'gin', 'fc', 'cheb'])"
CODE = [1, 2, 1, 1, 2, 7, 3]


class _Inert:
    """Stand-in for whatever the data file names."""

    def __init__(self, *args: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


class _KeysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return _Inert


def published_hashes(data_set: str) -> set[int]:
    spec = importlib.util.find_spec("nas_bench_graph")
    assert spec is not None
    assert spec.origin is not None
    with (Path(spec.origin).parent / "light" / f"{data_set}.bench").open("rb") as file:
        return set(_KeysOnly(file).load())


def code_of(arch: Arch) -> list[int]:
    return [*arch.link[1:], *(OPERATIONS.index(op) for op in arch.ops)]


def contracted(code: list[int]) -> nx.DiGraph:
    """The network after replacing every skip by its input; parallel edges to the output are counted."""
    parent = {node: source for node, source in zip(range(1, 5), [0, *code[:3]], strict=True)}
    graph = nx.DiGraph()
    graph.add_node(0, op="input")
    graph.add_node("output", op="output")
    real = {0: 0}
    for node in range(1, 5):
        op = OPERATIONS[code[2 + node]]
        real[node] = real[parent[node]] if op == "skip" else node
        if op != "skip":
            graph.add_node(node, op=op)
            graph.add_edge(real[parent[node]], node, times=1)
    joins = Counter(real[node] for node in range(1, 5) if node not in parent.values())
    graph.add_edges_from((node, "output", {"times": times}) for node, times in joins.items() if node != 0)
    return graph


def same_network(left: nx.DiGraph, right: nx.DiGraph) -> bool:
    return nx.is_isomorphic(
        left, right, node_match=lambda a, b: a["op"] == b["op"], edge_match=lambda a, b: a["times"] == b["times"]
    )


def test_sizes_are_the_published_ones() -> None:
    assert SPACE.size == 24 * 9**4
    assert SPACE.num_networks == 26_206 + 1  # and the one without any operation
    assert int(SPACE.has_record(SPACE.networks()).sum()) == 26_206


@pytest.mark.parametrize("data_set", ["cora", "arxiv"])
def test_hashes_are_those_of_the_published_tables(data_set: str) -> None:
    networks = SPACE.networks()
    assert set(SPACE.bench_hash(networks[SPACE.has_record(networks)]).tolist()) == published_hashes(data_set)


def test_proteins_has_the_networks_of_five_operations() -> None:
    networks = SPACE.networks()
    few = torch.tensor([OPERATIONS.index(op) for op in ("gcn", "sage", "arma", "fc", "skip")])
    chosen = torch.isin(networks[:, 3:], few).all(1) & SPACE.has_record(networks)
    hashes = published_hashes("proteins")
    assert len(hashes) == 2021
    assert set(SPACE.bench_hash(networks[chosen]).tolist()) == hashes


def test_hashes_agree_with_the_package_for_codes_in_any_order() -> None:
    codes = torch.cat([SPACE.sample(20_000, seed=0), SPACE.networks()[::20]])
    expected = [Arch([0, *row[:3]], [OPERATIONS[op] for op in row[3:]]).valid_hash() for row in codes.tolist()]
    assert SPACE.bench_hash(codes).tolist() == expected


def test_canonical_codes_are_the_ones_that_were_trained() -> None:
    trained = torch.tensor([code_of(arch) for arch in all_archs()])
    assert len(trained) == 26_206
    assert torch.equal(SPACE.canonical(trained), trained)


def test_keys_agree_with_isomorphism_after_contraction() -> None:
    generator = torch.Generator().manual_seed(0)
    codes = SPACE.sample(1500, seed=generator)
    skips = torch.rand(1500, 4, generator=generator) < 0.4
    codes[:, 3:] = torch.where(skips, OPERATIONS.index("skip"), codes[:, 3:] % 2)  # many equal networks
    keys, graphs = SPACE.keys(codes), [contracted(row) for row in codes.tolist()]
    equal = 0
    for step in (1, 2, 3):
        for i in range(1500 - step):
            same = same_network(graphs[i], graphs[i + step])
            assert (keys[i] == keys[i + step]) == same, (codes[i], codes[i + step])
            equal += same
    assert equal > 20
    for row, other in zip(graphs[:300], SPACE.canonical(codes[:300]).tolist(), strict=True):
        assert same_network(row, contracted(other))


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        # Two orders of one cell. The documentation gives the second line here as the same cell, too, but there
        # fc reads cheb, not gin; the package's own hashes of the two differ.
        (TEXT, "Arch([0, 1, 1, 2], ['gcn', 'gin', 'cheb', 'fc'])", True),
        (TEXT, "Arch([0, 1, 1, 2], ['gcn', 'cheb', 'gin', 'fc'])", False),
        # A skip in the middle passes its input on.
        ("Arch([0, 1, 2, 3], ['gcn', 'skip', 'gin', 'fc'])", "Arch([0, 1, 2, 3], ['skip', 'gcn', 'gin', 'fc'])", True),
        # A skip as a second leaf joins its input to the output once more ...
        ("Arch([0, 0, 1, 1], ['gcn', 'gin', 'fc', 'skip'])", "Arch([0, 0, 1, 3], ['gcn', 'gin', 'skip', 'fc'])", False),
        # ... unless that is the raw input.
        (
            "Arch([0, 0, 1, 2], ['gcn', 'skip', 'fc', 'skip'])",
            "Arch([0, 1, 2, 3], ['gcn', 'fc', 'skip', 'skip'])",
            True,
        ),
        ("Arch([0, 1, 2, 3], ['gcn', 'gin', 'fc', 'gat'])", "Arch([0, 1, 2, 3], ['gin', 'gcn', 'fc', 'gat'])", False),
    ],
)
def test_pairs_worked_by_hand(left: str, right: str, same: bool) -> None:
    keys = SPACE.keys(SPACE.parse([left, right]))
    assert (keys[0] == keys[1]) == same


def test_worked_example() -> None:
    assert SPACE.parse(TEXT).tolist() == [CODE]
    assert SPACE.format(torch.tensor([CODE])) == [TEXT]
    # Link list 6 is [0, 1, 1, 2]; gcn, gin, cheb and fc are the operations 1, 2, 3 and 7.
    assert SPACE.keys(torch.tensor([CODE])) == ["61237"]
    assert SPACE.format(SPACE.canonical(torch.tensor([CODE]))) == ["Arch([0, 1, 1, 2], ['gcn', 'gin', 'cheb', 'fc'])"]


def test_node_view_of_the_worked_example() -> None:
    graphs = SPACE.node_graphs(torch.tensor([CODE]))
    assert [SPACE.node_types[op] for op in graphs.ops[0].tolist()] == ["input", "gcn", "gin", "fc", "cheb", "output"]
    assert graphs.adj[0].nonzero().tolist() == [[0, 1], [1, 2], [1, 4], [2, 3], [3, 5], [4, 5]]


def test_a_second_source_or_a_missing_leaf_is_invalid() -> None:
    graphs = SPACE.node_graphs(torch.tensor([CODE]))
    for source, target in itertools.combinations(range(6), 2):
        broken = graphs.adj.clone()
        broken[0, source, target] ^= True
        codes, valid = SPACE.from_node_graphs(type(graphs)(graphs.ops, broken, graphs.mask))
        assert not valid.any()
        assert not codes.any()


def test_published_hashes_become_codes() -> None:
    hashes = torch.tensor(sorted(published_hashes("cora")))
    codes = SPACE.from_bench_hash(hashes)
    assert torch.equal(SPACE.bench_hash(codes), hashes)
    assert torch.equal(SPACE.canonical(codes), codes)
    assert SPACE.from_bench_hash([]).shape == (0, 7)


@pytest.mark.parametrize("wrong", [-1, 9, 10, 88889, 90000, 10**12, 8000])
def test_what_is_no_published_hash_is_refused(wrong: int) -> None:
    with pytest.raises(InvalidCodeError, match=rf"hashes\[1\] = {wrong} is no hash"):
        SPACE.from_bench_hash([61237, wrong])


def test_other_quotes_and_white_space_are_read() -> None:
    assert SPACE.parse(TEXT.replace("'", '"')).tolist() == [CODE]
    assert SPACE.parse(TEXT.replace(" ", "")).tolist() == [CODE]
    assert SPACE.parse("Arch( [0 ,1,2 , 1 ] ,[ 'gcn' ,'gin','fc', 'cheb' ] )").tolist() == [CODE]


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("[0, 1", "[1, 1"),
        TEXT.replace("2, 1]", "3, 1]"),
        TEXT.replace("2, 1]", "2, 4]"),
        TEXT.replace("'fc'", "'fcc'"),
        TEXT.replace("'fc'", "'fc\""),
        TEXT.replace("'fc'", "fc"),
        TEXT.replace(", 'cheb'", ""),
        TEXT.replace("'cheb'", "'cheb',"),
        TEXT.replace("[0, ", "["),
        TEXT[:-1],
        TEXT + ")",
        "__import__('os')",
    ],
)
def test_near_misses_are_refused(text: str) -> None:
    with pytest.raises(ParseError, match="nas_bench_graph"):
        SPACE.parse(text)


def test_the_benchmarks_objects_are_parsed() -> None:
    arch = Arch([0, 1, 2, 1], ["gcn", "gin", "fc", "cheb"])
    assert SPACE.parse(arch).tolist() == [CODE]
    assert SPACE.parse([arch, TEXT]).tolist() == [CODE, CODE]
    with pytest.raises(ParseError, match="expected a string, got Arch"):
        SPACE.parse(Arch())
    with pytest.raises(ParseError, match="an Arch needs link and ops, lists of four, got 5"):
        SPACE.parse(Arch(5, ["gcn"]))
    with pytest.raises(ParseError, match="is no cell"):
        SPACE.parse(Arch([0, 1], ["gcn", "fc"]))


def test_values_of_columns() -> None:
    assert SPACE.column_values()[0] == ("0", "1")
    assert SPACE.column_values()[-1] == OPERATIONS
