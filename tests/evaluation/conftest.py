import pytest

from tests.evaluation import libraries


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> libraries.World:
    """A world with a visible answer."""
    return libraries.make(tmp_path_factory.mktemp("libraries"))
