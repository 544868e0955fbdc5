"""What all tests share."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update`` rewrites committed tables with what the compiler emits now, instead of comparing."""
    parser.addoption("--update", action="store_true", help="rewrite committed tables instead of comparing with them")


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    """Whether tables are to be rewritten."""
    return bool(request.config.getoption("--update"))
