"""Options that every suite shares. How much a test does is decided in `tests.support.campaign`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.campaign import TIMEOUT, Campaigns, needed, set_hypothesis_profiles
from tests.support.order import longest_first


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--campaign",
        action="append",
        default=[],
        metavar="NAME",
        help="run the full counts of one long test suite (repeatable): fuzz, properties, seeded...",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "campaign(name): runs only with --campaign name")
    config.addinivalue_line("markers", "grows(name): does more, without a time limit, with --campaign name")
    set_hypothesis_profiles(Campaigns(config.getoption("--campaign")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    campaigns = Campaigns(config.getoption("--campaign"))
    for item in items:
        missing = needed(item) - campaigns.names
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"runs with --campaign {' --campaign '.join(sorted(missing))}"))
        if any(mark.args[0] in campaigns.names for mark in item.iter_markers() if mark.name in ("campaign", "grows")):
            item.add_marker(pytest.mark.timeout(TIMEOUT))
    items[:] = longest_first(items, Path(__file__).parent)


@pytest.fixture(scope="session")
def campaigns(pytestconfig: pytest.Config) -> Campaigns:
    """Which campaigns this run was asked for."""
    return Campaigns(pytestconfig.getoption("--campaign"))
