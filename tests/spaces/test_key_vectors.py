"""Keys, texts and samples stay what they are: stored campaigns and tables are compared by them."""

from __future__ import annotations

import pytest

from latentnas.spaces import get_space, list_spaces

VECTORS = {
    "darts": ("1 3 0 1 2 3 4 2 7 2 5 5 3 0 2 6 3 4 6 0 5 4", "12.013.442.752-26.053.054.546"),
    "enas_macro12": (
        "1 2 5 3 4 3 3 2 4 2 1 1 0 1 1 1 0 0 1 0 0 1 0 0 1 0 0 1 1 1 0 1 0 0 1 1 0 1 1 1 0 1 1 1 0 1 1 1 0 0 "
        "1 1 0 1 0 0 1 0 0 0 1 0 1 0 1 0 1 1 1 1 1 0 1 0 1 1 1 1",
        "1.20.511.3100.41001.300100.3111010.20110111.401110111.2001101001.10001010101.111110101111",
    ),
    "enas_macro6": ("2 0 0 2 0 1 0 1 1 0 1 0 1 1 0 0 0 1 1 1 1", "2.00.011.2010.01100.101111"),
    "enas_micro": (
        "0 2 0 2 2 0 2 0 2 3 0 2 1 0 1 4 0 4 0 3 1 2 0 4 1 1 1 2 3 3 2 2 2 4 0 4 0 4 5 4",
        "0202.0223.0304.1014.2020-0412.0424.0434.1112.2253",
    ),
    "gpnas12": (
        "5 0 2 7 0 3 0 1 2 5 0 0 11 0 3 2 1 0 10 2 3 7 1 1 8 0 2 7 2 3 1 1 1 7 0 3 0 1 1 0 1 1 1 1 1 0 0 0 1 "
        "1 1 1 0 0 1 1 1 0 1 1 0 1 1 0 0 0 1 1 0 0 0 1 0 1 0 0 1 0 0 0 1 1 1 1 1 1 1 1 0 0 0 1 0 1 1 1 1 0 1 "
        "0 0 0",
        "502.7030.01211.500011.b031110.21000111.a23100111.7110110110.80200110001.723010010001.1111111111000.7"
        "0310111101000",
    ),
    "nas_bench_graph": ("0 0 3 0 8 3 3", "68303"),
    "nasbench101": ("5 1 2 2 1 0 1 1 0 1 0 0 0 1 0 1 0 0 0 0 1 0 0 1 1 0 1", "7.12102.198c0b"),
    "nasbench1shot1-1": ("0 0 2 0 2 2 3", "6.0020.7731"),
    "nasbench1shot1-2": ("2 0 2 1 0 2 4 8", "6.0221.6667"),
    "nasbench1shot1-3": ("1 2 2 2 2 1 1 5 0 9", "5.122.2a3"),
    "nasbench201": ("3 2 0 0 4 0", "p(c3(x))"),
    "random_wired8": ("0 0 0 1 1 1 1 0 1 1 1 1 0 1 1 1 0 1 1 1 0 1 1 1 0 1 0 0", "2e7fb87"),
}


@pytest.mark.parametrize("name", VECTORS)
def test_keys_and_samples_are_those_of_the_first_version(name: str) -> None:
    space = get_space(name)
    code, key = VECTORS[name]
    sampled = space.sample(3, seed=11)[2:]
    assert " ".join(map(str, sampled[0].tolist())) == code
    assert space.keys(sampled) == [key]


def test_every_space_has_a_vector() -> None:
    assert set(VECTORS) == {"random_wired8" if name == "random_wired32" else name for name in list_spaces()}
