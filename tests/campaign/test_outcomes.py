from __future__ import annotations

import pytest
import torch

from latentnas import get_space
from latentnas.benchmarks import TabularBenchmark
from latentnas.campaign import Campaign, CampaignConfig
from latentnas.campaign.outcomes import checked, why_hopeless
from latentnas.errors import ConfigError
from latentnas.evaluation import Evaluation, TabularEvaluator

from .fakes import WeightedSum


def reason(raised: int = 0, returned: int = 0, valued: bool = False) -> str | None:
    return why_hopeless(WeightedSum(), raised=raised, returned=returned, valued=valued, last="no luck")


def test_when_to_stop() -> None:
    assert reason(raised=9) is None
    assert "first 10 evaluations all raised exceptions" in (reason(raised=10) or "")
    assert reason(raised=10, returned=1) is None, "one that returned shows that the set-up works"
    assert reason(returned=49) is None
    assert reason(raised=20, returned=30) == "the first 50 evaluations of this run all failed; the last: no luck"
    assert reason(returned=50, valued=True) is None


@pytest.mark.parametrize("held", [True, False])
def test_a_table_without_the_cells_stops_the_campaign_early(held: bool) -> None:
    space = get_space("nasbench201")
    # The cells that the campaign asks for first are known: one of them is in the table or not.
    config = CampaignConfig.of({"space": "nasbench201", "strategy": "random", "budget": 55}, custom=["evaluator"])
    first = Campaign(config, evaluator=WeightedSum()).run().trials
    codes = torch.tensor([first[30 if held else -1].code])
    keys = {trial.key for trial in first}
    other = next(code for code in space.enumerate() if space.keys(code[None])[0] not in keys)
    table = TabularBenchmark("part", space, codes if held else other[None], {"m": [0.5]}, default="m")
    campaign = Campaign(config, evaluator=TabularEvaluator(table))
    if held:
        assert len(campaign.run().trials) == 55
        return
    with pytest.raises(ConfigError, match=r"first 50 evaluations .* all failed.*the table part holds 1 cells, only a"):
        campaign.run()
    assert [trial.state for trial in campaign.store.trials()][:50] == ["failed"] * 50


def test_odd_reasons_and_names_become_text() -> None:
    found = checked(Evaluation(None, {("a", 1): 2}, 0.5, ValueError("no luck")))  # type: ignore[arg-type, dict-item]
    assert (found.failure, found.metrics, found.value) == ("no luck", {"('a', 1)": 2.0}, None)
    assert checked(Evaluation(None, failure=5)).failure == "5"  # type: ignore[arg-type]
