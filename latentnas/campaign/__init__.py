"""Campaigns: a strategy, an evaluator and a store in one resumable loop."""

from __future__ import annotations

from .config import CampaignConfig
from .entry import search
from .loop import Campaign
from .records import Trial
from .result import SearchProgress, SearchResult
from .store import Store

__all__ = ["Campaign", "CampaignConfig", "SearchProgress", "SearchResult", "Store", "Trial", "search"]
