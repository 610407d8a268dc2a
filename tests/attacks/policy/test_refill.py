"""A limit that is spent stays spent, however the files are rewritten: what the comparison calls narrower or the same
must not let more pass (T53, T70)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from proxy.cli.site import protocols
from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.core.principal import Principal
from proxy.live import Live
from proxy.protocols.modbus.actions import Span
from proxy.site import load_site
from tests.change.folder import write_site

SURFACE = "policies/surfaces/cell.yaml"
HMI = Principal("hmi", evidence=(Evidence("address", Outcome.MATCH, Strength.CLAIM),))
READ = (Span("read", 1, "holding", 0, 1, 3),)
RULE = "look: { from: hmi, to: plc, rate: 4/h, modbus: { read: [holding 0-9] } }"


class Gateway:
    """What decides in a gateway of the small site, without its sockets."""

    def __init__(self, folder: Path) -> None:
        self.config = write_site(folder)
        self.wall = time.time()
        self.write(RULE)
        loaded = load_site(self.config, protocols(), now=self.wall)
        assert loaded.site is not None, loaded.problems
        self.live = Live(loaded.site, lambda: self.wall)

    def write(self, *rules: str) -> None:
        lines = "".join(f"  {rule}\n" for rule in rules)
        (self.config.parent / SURFACE).write_text(f"surface: cell\nmembers: [plc]\nrules:\n{lines}")

    def reload(self) -> None:
        loaded = load_site(self.config, protocols(), now=self.wall)
        assert loaded.site is not None, loaded.problems
        self.live.exchange(loaded.site, self.live.compiled(loaded.site))

    def passed(self, many: int = 20) -> int:
        authority = self.live.policy.open(HMI, "plc", "modbus")
        return sum(authority.decide_all(READ, 1000.0).allowed for _ in range(many))


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path)


@pytest.mark.parametrize(
    "rule",
    [
        RULE.replace("4/h", "3/h"),
        RULE.replace("4/h", "4/2h"),
        RULE.replace("look", "other"),
        RULE.replace("look", "other").replace("0-9", "0-5"),
        RULE.replace("look", "other").replace("4/h", "3/h"),
    ],
)
def test_t53_a_limit_that_is_rewritten_is_not_a_new_one(gateway: Gateway, rule: str) -> None:
    assert gateway.passed() == 4
    gateway.write(rule)
    gateway.reload()
    assert gateway.passed() == 0


def test_t53_what_is_left_of_a_limit_is_left(gateway: Gateway) -> None:
    assert gateway.passed(2) == 2
    for name in "abc":
        gateway.write(RULE.replace("look", name))
        gateway.reload()
    assert gateway.passed() == 2


def test_t53_a_smaller_limit_and_back_is_what_was_left(gateway: Gateway) -> None:
    assert gateway.passed() == 4
    for rate in ("2/h", "4/h", "6/h"):
        gateway.write(RULE.replace("4/h", rate))
        gateway.reload()
    assert gateway.passed() == 2


def test_t53_a_rule_that_takes_the_place_of_another_by_the_clock(gateway: Gateway) -> None:
    until = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(gateway.wall + 3600))
    monitor = f'mode: monitor, monitor: {{ until: "{until}", why: "new", then: enforce }}, replaces: [look]'
    gateway.write(RULE, RULE.replace("look:", "next:").replace("rate", f"{monitor}, rate"))
    gateway.reload()
    assert gateway.passed() == 4
    gateway.wall += 3601
    gateway.live.look()
    assert gateway.passed() == 0


def test_another_rule_is_not_charged_for_it(gateway: Gateway) -> None:
    assert gateway.passed() == 4
    other = "other: { from: hmi, to: plc, rate: 4/h, modbus: { read: [holding 0-9] } }"
    gateway.write(RULE, other)
    gateway.reload()
    assert gateway.passed() == 4
