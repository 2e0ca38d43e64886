"""What every search space must do. A test class inherits :class:`SpaceConformance` and names its space.

``test_conformance.py`` runs the suite on every registered space.
"""

from __future__ import annotations

import itertools
import math
import re

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from latentnas.errors import InvalidCodeError, LatentNASError, ParseError, SpaceTooLargeError
from latentnas.spaces import INPUT, NO_EDGE, OUTPUT, NodeGraphs, SearchSpace, get_space
from latentnas.spaces.base import MAX_ENUMERATION
from latentnas.spaces.graphs import random_topological_order, relabel

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
"""The suite runs on the CPU, and on CUDA where there is one."""

SEEDS = st.integers(0, 2**31)
FREE_TEXT = {"darts", "nas_bench_graph", "nasbench101"}
"""Spaces whose published text has several spellings of one cell; parsing reads them all."""

OWN_IDENTITY = {"nas_bench_graph", "nasbench1shot1-1", "nasbench1shot1-2", "nasbench1shot1-3", "nasbench201"}
"""Spaces whose networks can be equal though their node views are not isomorphic (what has no effect is left out)."""

few = settings(max_examples=15, deadline=None)
many = settings(max_examples=60, deadline=None)


def assert_same_graphs(left: NodeGraphs, right: NodeGraphs) -> None:
    for name in ("ops", "adj", "mask"):
        assert torch.equal(getattr(left, name), getattr(right, name)), name


def walk_grammar(space: SearchSpace, batch: int, generator: torch.Generator) -> NodeGraphs:
    """Cells written by random choices among what the grammar allows, each kind of choice equally often."""
    grammar = space.grammar
    nodes = grammar.num_nodes
    ops = torch.zeros(batch, nodes, dtype=torch.long)
    adj = torch.zeros(batch, nodes, nodes, dtype=torch.bool)
    mask = torch.zeros(batch, nodes, dtype=torch.bool)
    mask[:, 0] = True
    open_ = torch.ones(batch, dtype=torch.bool)  # cells without an output yet
    for vertex in range(1, nodes):
        types = grammar.allowed_types(ops, adj, vertex)
        assert types.shape == (batch, grammar.num_types)
        assert types[open_].any(1).all()
        assert not types[open_, INPUT].any()
        types = torch.where(open_[:, None], types, torch.ones_like(types))
        chosen = torch.multinomial(types.double(), 1, generator=generator)[:, 0]
        ops[:, vertex] = torch.where(open_, chosen, INPUT)
        mask[:, vertex] = open_
        for source in range(vertex - 1, -1, -1):
            edges = grammar.allowed_edges(ops, adj, vertex, source)
            assert edges.shape == (batch, 2)
            assert edges[open_].any(1).all()
            edges = torch.where(open_[:, None], edges, torch.ones_like(edges))
            present = torch.multinomial(edges.double(), 1, generator=generator)[:, 0].bool()
            adj[:, source, vertex] = present & open_
        open_ = open_ & (ops[:, vertex] != OUTPUT)
    assert not open_.any(), "every cell has an output"
    return NodeGraphs(ops, adj, mask)


def networkx_graphs(graphs: NodeGraphs, space: SearchSpace) -> list[nx.DiGraph]:
    """The node views as networkx graphs, built vertex by vertex."""
    built = []
    for ops, adj, mask in zip(graphs.ops.tolist(), graphs.adj, graphs.mask.tolist(), strict=True):
        graph = nx.DiGraph()
        for vertex, exists in enumerate(mask):
            if exists:
                graph.add_node(vertex, op=space.node_types[ops[vertex]])
        graph.add_edges_from(map(tuple, adj.nonzero().tolist()))
        built.append(graph)
    return built


def full_cells(space: SearchSpace, n: int) -> Tensor:
    """``n`` codes of cells that have a vertex beside input and output."""
    codes = space.sample(20 * n, seed=0)
    return codes[space.node_graphs(codes).mask.sum(1) > 2][:n]


class SpaceConformance:
    """Inherit, and define the fixture ``space``."""

    # --- facts --------------------------------------------------------------------------------

    def test_facts_agree_with_each_other(self, space: SearchSpace) -> None:
        assert get_space(space) is space
        assert space.dim == len(space.cardinalities) == len(space.columns)
        assert len(set(space.columns)) == space.dim
        assert all(cardinality >= 1 for cardinality in space.cardinalities)
        assert space.node_types[:2] == ("input", "output")
        assert len(set(space.node_types)) == len(space.node_types)
        assert space.grammar.num_nodes == space.max_nodes
        assert space.grammar.num_types == len(space.node_types)
        assert set(space.op_colors) <= set(space.node_types) | set(space.edge_types)
        assert space.name in repr(space)

    def test_enumeration_is_complete_or_refused(self, space: SearchSpace) -> None:
        if space.size > MAX_ENUMERATION:
            with pytest.raises(SpaceTooLargeError, match=f"{space.size:,}"):
                space.enumerate()
        elif space.size <= 2_000_000:
            codes = space.enumerate()
            assert codes.shape == (space.size, space.dim)
            assert space.check_codes(codes) is not None
            assert (space.positions(codes).diff() > 0).all(), "each code once, in lexicographic order"
            assert math.prod(space.cardinalities) >= space.size
            assert space.is_product == (math.prod(space.cardinalities) == space.size)

    def test_networks_are_one_code_for_each_key(self, space: SearchSpace) -> None:
        if space.size > 2_000_000:
            return
        networks = space.networks()
        assert networks.shape == (space.num_networks, space.dim)
        assert (space.positions(networks).diff() > 0).all()
        assert torch.equal(space.canonical(networks), networks)
        part = networks[:: max(1, len(networks) // 20_000)]
        assert len(set(space.keys(part))) == len(part)

    def test_samples_over_networks_are_representatives(self, space: SearchSpace) -> None:
        if space.size > 2_000_000 and space.canonical.__func__ is not SearchSpace.canonical:  # type: ignore[attr-defined]
            with pytest.raises(SpaceTooLargeError):
                space.sample(1, over="networks")
            return
        codes = space.sample(50, seed=0, over="networks")
        assert torch.equal(space.check_codes(codes), codes)
        assert torch.equal(space.canonical(codes), codes)
        assert torch.equal(space.sample(50, seed=0, over="networks"), codes)
        with pytest.raises(InvalidCodeError, match="cells"):
            space.sample(1, over="cells")  # type: ignore[arg-type]

    # --- codes at the door --------------------------------------------------------------------

    def test_check_codes_accepts_lists_and_integer_types(self, space: SearchSpace) -> None:
        codes = space.sample(3, seed=0)
        assert torch.equal(space.check_codes(codes.tolist()), codes)
        for dtype in (torch.int8, torch.uint8, torch.int32):
            checked = space.check_codes(codes.to(dtype))
            assert checked.dtype == torch.long
            assert torch.equal(checked, codes)

    @few
    @given(data=st.data())
    def test_check_codes_names_row_and_value(self, space: SearchSpace, data: st.DataObject) -> None:
        codes = space.sample(5, seed=data.draw(SEEDS))
        row = data.draw(st.integers(0, 4))
        column = data.draw(st.integers(0, space.dim - 1))
        high = space.cardinalities[column]
        value = data.draw(st.one_of(st.integers(-(2**40), -1), st.integers(high, 2**40)))
        codes[row, column] = value
        with pytest.raises(InvalidCodeError) as error:
            space.check_codes(codes)
        message = str(error.value)
        assert f"codes[{row}, {column}]" in message
        assert space.columns[column] in message
        assert f"is {value}," in message
        assert f"0..{high - 1}" in message

    def test_check_codes_names_the_first_of_several_rows(self, space: SearchSpace) -> None:
        codes = space.sample(6, seed=0)
        codes[4] = codes[2] = 10**6
        with pytest.raises(InvalidCodeError, match=r"codes\[2, 0\]"):
            space.check_codes(codes)

    @pytest.mark.parametrize("method", ["check_codes", "format", "keys", "node_graphs", "mutate"])
    def test_every_method_refuses_what_is_no_code(self, space: SearchSpace, method: str) -> None:
        good = space.sample(2, seed=0)
        for wrong in (
            good[0],
            good[:, :-1],
            good[None],
            good.double(),
            good.double() * float("nan"),
            good.bool(),
            good.to(torch.complex64),
        ):
            with pytest.raises(InvalidCodeError, match=re.escape(space.name)):
                getattr(space, method)(wrong)

    def test_check_codes_refuses_lists_that_are_no_codes(self, space: SearchSpace) -> None:
        for wrong in (
            [[0, 1], [0]],
            [["a"]],
            [[2**70] * space.dim],
            [[None] * space.dim],
            3,
            "text",
            [[0.5] * space.dim],
        ):
            with pytest.raises(InvalidCodeError):
                space.check_codes(wrong)  # type: ignore[arg-type]

    def test_no_rows_are_fine_everywhere(self, space: SearchSpace) -> None:
        empty = space.sample(0, seed=0)
        assert empty.shape == (0, space.dim)
        assert torch.equal(space.check_codes([]), empty)
        assert space.format(empty) == space.keys(empty) == []
        assert space.parse([]).shape == (0, space.dim)
        assert space.mutate(empty, seed=0).shape == (0, space.dim)
        graphs = space.node_graphs(empty)
        assert graphs.adj.shape == (0, space.max_nodes, space.max_nodes)
        back, valid = space.from_node_graphs(graphs)
        assert back.shape == (0, space.dim)
        assert valid.shape == (0,)

    # --- drawing ------------------------------------------------------------------------------

    @few
    @given(seed=SEEDS)
    def test_samples_are_valid_and_seeds_reproduce(self, space: SearchSpace, seed: int) -> None:
        codes = space.sample(20, seed=seed)
        assert codes.shape == (20, space.dim)
        assert torch.equal(space.check_codes(codes), codes)
        assert torch.equal(space.sample(20, seed=seed), codes)
        generator = torch.Generator().manual_seed(seed)
        assert torch.equal(space.sample(20, seed=generator), codes)
        assert not torch.equal(space.sample(20, seed=generator), codes)

    def test_samples_are_uniform(self, space: SearchSpace) -> None:
        n = 20_000
        codes = space.sample(n, seed=0)
        everything = None if space.is_product else space.enumerate()
        for column, cardinality in enumerate(space.cardinalities):
            expected = torch.full((cardinality,), 1 / cardinality)
            if everything is not None:
                expected = torch.bincount(everything[:, column], minlength=cardinality) / len(everything)
            share = torch.bincount(codes[:, column], minlength=cardinality) / n
            spread = (expected * (1 - expected) / n) ** 0.5
            assert ((share - expected).abs() <= 6 * spread).all()

    def test_sample_refuses_a_negative_number(self, space: SearchSpace) -> None:
        with pytest.raises(InvalidCodeError, match="-1"):
            space.sample(-1)

    @few
    @given(seed=SEEDS)
    def test_mutants_are_valid_and_one_edit_away(self, space: SearchSpace, seed: int) -> None:
        parents = space.sample(50, seed=seed)
        before = parents.clone()
        mutants = space.mutate(parents, seed=seed)
        assert torch.equal(parents, before)
        assert torch.equal(space.check_codes(mutants), mutants)
        changed = (mutants != parents).sum(1)
        assert ((changed == 1) if space.is_product else (changed >= 1)).all()
        assert torch.equal(space.mutate(parents, seed=seed), mutants)

    def test_mutation_reaches_every_neighbour_equally(self, space: SearchSpace) -> None:
        if not space.is_product:
            return  # such a space says in its own tests what an edit is
        n = 20_000
        parent = space.sample(1, seed=3)
        mutants = space.mutate(parent.repeat(n, 1), seed=0)
        free = [column for column, cardinality in enumerate(space.cardinalities) if cardinality > 1]
        for column in free:
            values = mutants[mutants[:, column] != parent[0, column], column]
            expected = 1 / len(free)
            assert abs(len(values) / n - expected) <= 6 * (expected * (1 - expected) / n) ** 0.5
            assert len(values.unique()) == space.cardinalities[column] - 1

    # --- texts --------------------------------------------------------------------------------

    @few
    @given(seed=SEEDS)
    def test_texts_round_trip(self, space: SearchSpace, seed: int) -> None:
        codes = space.sample(20, seed=seed)
        texts = space.format(codes)
        assert torch.equal(space.parse(texts), codes)
        assert torch.equal(space.parse(texts[0]), codes[:1])
        assert torch.equal(space.parse(f"  {texts[1]}\n"), codes[1:2])
        assert len(set(texts)) == len(codes.unique(dim=0))
        assert all(text.isascii() and "\n" not in text for text in texts)

    @many
    @given(text=st.text(max_size=200))
    def test_junk_is_a_parse_error_and_nothing_else(self, space: SearchSpace, text: str) -> None:
        with pytest.raises(ParseError, match=re.escape(space.name)):
            space.parse(text)

    @many
    @given(data=st.data())
    def test_damaged_texts_fail_clearly_or_are_other_cells(self, space: SearchSpace, data: st.DataObject) -> None:
        text = space.format(space.sample(1, seed=data.draw(SEEDS)))[0]
        start = data.draw(st.integers(0, len(text) - 1))
        end = data.draw(st.integers(start, min(len(text), start + 5)))
        new = data.draw(st.text(alphabet="0123456789[]|~+,-. \nabcé\u0661", max_size=4))
        damaged = text[:start] + new + text[end:]
        try:
            codes = space.parse(damaged)
        except ParseError as error:
            assert space.name in str(error)
        else:
            again = space.format(codes)[0]
            assert torch.equal(space.parse(again), codes)
            if space.name not in FREE_TEXT:
                assert "".join(again.split()) == "".join(damaged.split())

    @pytest.mark.parametrize("wrong", [None, 3, b"bytes", ["x"]])
    def test_what_is_no_text_is_a_parse_error(self, space: SearchSpace, wrong: object) -> None:
        good = space.format(space.sample(1, seed=0))[0]
        with pytest.raises(ParseError, match=r"expected a string|is no cell"):
            space.parse([good, wrong])

    # --- graphs -------------------------------------------------------------------------------

    @few
    @given(seed=SEEDS)
    def test_node_graphs_are_dags_from_input_to_output(self, space: SearchSpace, seed: int) -> None:
        graphs = space.node_graphs(space.sample(20, seed=seed))
        batch, nodes = graphs.ops.shape
        assert nodes == graphs.num_nodes == space.max_nodes
        assert len(graphs) == batch == 20
        assert (graphs.ops.dtype, graphs.adj.dtype, graphs.mask.dtype) == (torch.long, torch.bool, torch.bool)
        assert graphs.adj.shape == (batch, nodes, nodes)
        assert not graphs.adj.tril().any(), "edges go from lower to higher vertices"
        assert (graphs.mask.long().diff(dim=1) <= 0).all(), "padding comes last"
        assert not (graphs.adj & ~(graphs.mask[:, :, None] & graphs.mask[:, None, :])).any(), "padding has no edges"
        assert (graphs.ops[~graphs.mask] == 0).all()
        assert (graphs.ops[:, 0] == INPUT).all()
        assert ((graphs.ops == INPUT) & graphs.mask).sum(1).eq(1).all()
        assert ((graphs.ops == OUTPUT) & graphs.mask).sum(1).eq(1).all()
        assert graphs.ops.max() < len(space.node_types)

    @few
    @given(seed=SEEDS)
    def test_node_graphs_round_trip(self, space: SearchSpace, seed: int) -> None:
        codes = space.sample(20, seed=seed)
        back, valid = space.from_node_graphs(space.node_graphs(codes))
        assert valid.all()
        assert torch.equal(back, codes)

    @few
    @given(seed=SEEDS)
    def test_relabelling_vertices_changes_neither_cell_nor_key(self, space: SearchSpace, seed: int) -> None:
        codes = space.sample(20, seed=seed)
        graphs = space.node_graphs(codes)
        order = random_topological_order(graphs, torch.Generator().manual_seed(seed))
        relabelled = relabel(graphs, order)
        assert not relabelled.adj.tril().any()
        back, valid = space.from_node_graphs(relabelled)
        assert valid.all()
        assert space.keys(back) == space.keys(codes)

    @few
    @given(seed=SEEDS)
    def test_broken_graphs_are_reported_or_are_other_cells(self, space: SearchSpace, seed: int) -> None:
        """One flipped edge or one changed type: no third outcome between 'invalid' and 'a cell that round-trips'."""
        generator = torch.Generator().manual_seed(seed)
        graphs = space.node_graphs(space.sample(60, seed=generator))
        rows = torch.arange(60)
        ops, adj = graphs.ops.clone(), graphs.adj.clone()
        source = torch.randint(space.max_nodes - 1, (60,), generator=generator)
        target = source + 1 + (torch.rand(60, generator=generator) * (space.max_nodes - 1 - source)).long()
        half = rows < 30
        adj[rows[half], source[half], target[half]] ^= True
        vertex = torch.randint(space.max_nodes, (60,), generator=generator)
        step = torch.randint(1, len(space.node_types), (60,), generator=generator)
        ops[rows[~half], vertex[~half]] = (ops[rows[~half], vertex[~half]] + step[~half]) % len(space.node_types)
        broken = NodeGraphs(ops, adj, graphs.mask)
        codes, valid = space.from_node_graphs(broken)
        assert codes.shape == (60, space.dim)
        assert (codes[~valid] == 0).all()
        again = space.node_graphs(codes[valid])
        found = broken[valid]
        assert torch.equal(again.adj.sum((1, 2)), found.adj.sum((1, 2)))
        assert torch.equal(again.ops.sort(1).values, found.ops.sort(1).values)

    def test_graphs_with_impossible_types_are_invalid(self, space: SearchSpace) -> None:
        graphs = space.node_graphs(full_cells(space, 4))
        rows, last = torch.arange(len(graphs)), graphs.mask.sum(1) - 1
        unknown = len(space.node_types)
        for vertex, kind in ((0, OUTPUT), (0, 2), (-1, INPUT), (-1, 2), (1, INPUT), (1, OUTPUT), (1, unknown), (1, -1)):
            ops = graphs.ops.clone()
            ops[rows, last if vertex < 0 else vertex] = kind
            _, valid = space.from_node_graphs(NodeGraphs(ops, graphs.adj, graphs.mask))
            assert not valid.any()

    def test_graphs_of_other_shapes_and_types(self, space: SearchSpace) -> None:
        codes = space.sample(3, seed=0)
        graphs = space.node_graphs(codes)
        ops, adj, mask = graphs.ops, graphs.adj, graphs.mask
        for wrong in (
            NodeGraphs(ops[:, :-1], adj[:, :-1, :-1], mask[:, :-1]),
            NodeGraphs(torch.nn.functional.pad(ops, (0, 1)), adj, mask),
            NodeGraphs(ops, adj[:2], mask),
            NodeGraphs(ops, adj, mask[0]),
        ):
            with pytest.raises(InvalidCodeError, match=re.escape(space.name)):
                space.from_node_graphs(wrong)
        back, valid = space.from_node_graphs(NodeGraphs(ops.int(), adj.float(), mask.to(torch.uint8)))
        assert valid.all()
        assert back.dtype == torch.long
        assert torch.equal(back, codes)

    def test_graphs_without_edges_or_with_all_edges_do_not_crash(self, space: SearchSpace) -> None:
        graphs = space.node_graphs(space.sample(4, seed=0))
        for adj in (torch.zeros_like(graphs.adj), torch.ones_like(graphs.adj).triu(1)):
            codes, valid = space.from_node_graphs(NodeGraphs(graphs.ops, adj, graphs.mask))
            assert torch.equal(space.node_graphs(codes[valid]).adj, adj[valid])

    def test_edge_view_agrees_with_the_code(self, space: SearchSpace) -> None:
        codes = space.sample(20, seed=0)
        if not space.edge_types:
            with pytest.raises(InvalidCodeError, match="no edge view"):
                space.edge_graphs(codes)
            return
        assert space.edge_types[NO_EDGE] == "none"
        graphs = space.edge_graphs(codes)
        assert len(graphs) == 20
        assert graphs.ops.shape[1:] == (graphs.mask.shape[1], graphs.mask.shape[1])
        assert not graphs.ops.tril().any()
        assert graphs.ops.max() < len(space.edge_types)
        assert not (graphs.ops.bool() & ~(graphs.mask[:, :, None] & graphs.mask[:, None, :])).any()
        assert len(graphs.ops.flatten(1).unique(dim=0)) >= len(set(space.keys(codes))), "networks look different"

    def test_vertices_stand_on_the_edges_of_the_edge_view(self, space: SearchSpace) -> None:
        codes = space.sample(20, seed=1)
        if not space.edge_types:
            with pytest.raises(InvalidCodeError, match="no edge view"):
                space.vertex_edges(codes)
            return
        edges, nodes, numbers = space.edge_graphs(codes), space.node_graphs(codes), space.vertex_edges(codes)
        assert numbers.shape == nodes.ops.shape
        for ops, types, places in zip(edges.ops.flatten(1), nodes.ops, numbers, strict=True):
            found: dict[int, list[str]] = {}
            for op, place in zip(types.tolist(), places.tolist(), strict=True):
                if place >= 0:
                    found.setdefault(place, []).append(space.node_types[op])
            expected = {i: space.edge_types[op] for i, op in enumerate(ops.tolist()) if op != NO_EDGE}
            named = {place: sorted(names) for place, names in found.items() if names != ["none"]}
            assert named == {place: sorted(name.split("+")) for place, name in expected.items()}

    # --- keys ---------------------------------------------------------------------------------

    @few
    @given(seed=SEEDS)
    def test_keys_are_short_texts_that_repeat(self, space: SearchSpace, seed: int) -> None:
        codes = space.sample(20, seed=seed)
        keys = space.keys(codes)
        assert len(keys) == 20
        assert all(isinstance(key, str) and key.isascii() and 0 < len(key) < 500 and key == key.strip() for key in keys)
        assert space.keys(codes) == keys

    @few
    @given(seed=SEEDS)
    def test_canonical_codes_are_one_for_each_key(self, space: SearchSpace, seed: int) -> None:
        parents = space.sample(30, seed=seed)
        codes = torch.cat([parents, space.mutate(parents, seed=seed)])
        canonical = space.canonical(codes)
        assert torch.equal(space.check_codes(canonical), canonical)
        assert torch.equal(space.canonical(canonical), canonical)
        keys = space.keys(codes)
        assert space.keys(canonical) == keys
        assert len(canonical.unique(dim=0)) == len(set(keys))

    @few
    @given(seed=SEEDS)
    def test_keys_agree_with_networkx_isomorphism(self, space: SearchSpace, seed: int) -> None:
        """Where networks are equal exactly when their node views are isomorphic; others test their own way."""
        if space.name in OWN_IDENTITY:
            return
        codes = space.sample(3, seed=seed)
        near = space.mutate(space.mutate(codes, seed=seed), seed=seed + 1)
        codes = torch.cat([codes, near, space.canonical(codes)])
        keys, graphs = space.keys(codes), networkx_graphs(space.node_graphs(codes), space)
        for (a, left), (b, right) in itertools.combinations(zip(keys, graphs, strict=True), 2):
            same = nx.is_isomorphic(left, right, node_match=lambda x, y: x["op"] == y["op"])
            assert (a == b) == same

    # --- the same everywhere ------------------------------------------------------------------

    @pytest.mark.parametrize("device", DEVICES)
    def test_batched_equals_row_by_row_on_every_device(self, space: SearchSpace, device: str) -> None:
        reference = space.sample(12, seed=5)
        graphs, texts, keys = space.node_graphs(reference), space.format(reference), space.keys(reference)
        codes = reference.to(device)
        for size in (1, 5, 12):
            for start in range(0, 12, size):
                part, rows = codes[start : start + size], slice(start, start + size)
                assert space.format(part) == texts[rows]
                assert space.keys(part) == keys[rows]
                views = space.node_graphs(part)
                for name in ("ops", "adj", "mask"):
                    assert getattr(views, name).device == codes.device
                assert_same_graphs(views.to("cpu"), graphs[rows])
                back, valid = space.from_node_graphs(views)
                assert back.device == valid.device == codes.device
                assert torch.equal(back, part)
                assert valid.all()
                if space.edge_types:
                    edges = space.edge_graphs(part)
                    assert edges.ops.device == edges.mask.device == codes.device
                    assert torch.equal(edges.ops.cpu(), space.edge_graphs(reference)[rows].ops)

    @pytest.mark.parametrize("device", DEVICES)
    def test_random_numbers_do_not_depend_on_the_device(self, space: SearchSpace, device: str) -> None:
        codes = space.sample(12, seed=5)
        mutants = space.mutate(codes.to(device), seed=1)
        assert mutants.device == codes.to(device).device
        assert torch.equal(mutants.cpu(), space.mutate(codes, seed=1))

    # --- grammar ------------------------------------------------------------------------------

    @few
    @given(seed=SEEDS)
    def test_every_walk_through_the_grammar_ends_in_a_cell(self, space: SearchSpace, seed: int) -> None:
        graphs = walk_grammar(space, 20, torch.Generator().manual_seed(seed))
        codes, valid = space.from_node_graphs(graphs)
        assert valid.all()
        assert torch.equal(space.check_codes(codes), codes)
        assert space.keys(space.from_node_graphs(space.node_graphs(codes))[0]) == space.keys(codes)

    @few
    @given(seed=SEEDS)
    def test_the_grammar_allows_every_cell(self, space: SearchSpace, seed: int) -> None:
        graphs = space.node_graphs(space.sample(20, seed=seed))
        grammar, rows = space.grammar, torch.arange(20)
        ops, adj = torch.zeros_like(graphs.ops), torch.zeros_like(graphs.adj)
        for vertex in range(1, space.max_nodes):
            exists = graphs.mask[:, vertex]
            types = grammar.allowed_types(ops, adj, vertex)
            assert types[rows, graphs.ops[:, vertex]][exists].all()
            ops[:, vertex] = graphs.ops[:, vertex]
            fixed = grammar.fixed_edges(vertex)
            if fixed is not None:
                assert torch.equal(graphs.adj[exists, :, vertex], fixed.expand(int(exists.sum()), -1))
            for source in range(vertex - 1, -1, -1):
                edges = grammar.allowed_edges(ops, adj, vertex, source)
                present = graphs.adj[:, source, vertex]
                assert edges[rows, present.long()][exists].all()
                if fixed is not None:
                    assert (edges.sum(1) == 1).all()
                adj[:, source, vertex] = present

    def test_errors_belong_to_the_tree(self, space: SearchSpace) -> None:
        for call in (lambda: space.parse("?"), lambda: space.keys(torch.zeros(1))):
            with pytest.raises(LatentNASError):
                call()
