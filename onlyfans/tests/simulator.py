"""Answers with a running simulator for any app's tests: the fixture `simulator`. Touches one port of this machine."""

from collections.abc import Iterator

import pytest

from onlyfans.simulator.server import SimulatorServer


@pytest.fixture(scope="session")
def simulator_server() -> Iterator[SimulatorServer]:
    """One server for the whole session; use `simulator`, which empties it first."""
    with SimulatorServer() as server:
        yield server


@pytest.fixture
def simulator(simulator_server: SimulatorServer) -> Iterator[SimulatorServer]:
    """The vendor over HTTP at `simulator.base_url`, with accounts acct_demo1 to 3 and keys sim_key_demo1 to 3.

    Without limits, latency or faults until the test asks for them.
    """
    simulator_server.reset()
    yield simulator_server
    simulator_server.reset()
