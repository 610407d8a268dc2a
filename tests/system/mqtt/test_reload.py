"""A reload on live sessions: what a subscription may still have goes on, what it may not ends, and nobody else notices
(T72; protocols.md 2.8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support import mqtt
from tests.support.changing import Changing
from tests.support.mqtt import V5, Will
from tests.support.mqtt_client import MqttClient, Witness
from tests.support.net import wait_until
from tests.support.process import GatewayProcess, running
from tests.support.uns import DESK, OLD_AT, PLAIN, UnsBuilder
from tests.system.mqtt.kit import LEVELS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.broker_tap import BrokerTap
    from tests.support.plant import Plant

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

FILE = "policies/surfaces/uns.yaml"
RULES = """\
  listen:
    from: [desk, old]
    to: uns
    mqtt: { subscribe: ["ok/#"], publish: ["out/#"] }
  more:
    from: desk
    to: uns
    mqtt: { subscribe: ["more/#"], publish: ["more/#"], will: ["more/#"] }
"""


def surface(rules: str) -> str:
    return f"surface: uns\nmembers: [uns]\nrules:\n{rules}"


@pytest.fixture
def uns(recorder: BrokerTap, tmp_path: Path) -> Plant:
    return UnsBuilder(tmp_path, recorder.port, machines=(), listeners=(PLAIN,), rules=RULES).build()


@pytest.fixture
def gateway(uns: Plant) -> Iterator[GatewayProcess]:
    with running(uns) as process:
        yield process


@LEVELS
def test_a_standing_subscription_ends_with_its_right_and_the_session_goes_on(
    level: int, uns: Plant, gateway: GatewayProcess, tap: BrokerTap, witness: Witness
) -> None:
    changing = Changing(gateway)
    with MqttClient(uns.ports[PLAIN], level) as desk, MqttClient(uns.ports[PLAIN], level, source=OLD_AT) as old:
        desk.opened("machine")
        old.opened("machine")
        desk.subscribed(("ok/#", 1), ("more/#", 1))
        old.subscribed(("ok/#", 1))
        for topic in ("ok/x", "more/x"):
            witness.say(topic, b"before", 1)
            message = desk.takes()
            assert (message.topic, message.payload) == (topic, b"before")
        assert old.takes().payload == b"before"
        changing.write(FILE, surface(RULES.replace("  more:", "  other:").replace("more/#", "else/#")))
        status = changing.reload()
        if status["outcome"] == "pending":
            accept(changing, status["accept"])
        witness.say("more/x", b"after", 1)
        witness.say("ok/x", b"still", 1)
        message = desk.takes()
        assert (message.topic, message.payload) == ("ok/x", b"still"), "nothing of what it may not have any more"
        assert old.takes().payload == b"still"
        desk.published("out/y", b"and says")
        tap.forget()
        desk.publish("more/y", b"<no>")
        desk.pinged()
        assert b"<no>" not in tap.up


@LEVELS
def test_who_may_do_nothing_any_more_is_cut_and_its_will_is_not_said(
    level: int, uns: Plant, gateway: GatewayProcess, tap: BrokerTap, witness: Witness
) -> None:
    """The Will was allowed when it was registered; it is asked about again when it would be said (T12)."""
    changing = Changing(gateway)
    with MqttClient(uns.ports[PLAIN], level) as desk, MqttClient(uns.ports[PLAIN], level, source=OLD_AT) as old:
        desk.opened("machine", will=Will("more/last", b"<last words>"))
        old.opened("machine")
        old.subscribed(("ok/#", 0))
        changing.write(FILE, surface("  listen:\n    from: old\n    to: uns\n    mqtt: { subscribe: ['ok/#'] }\n"))
        assert changing.reload()["outcome"] == "taken"
        end = desk.to_the_end()
        assert [one.kind for one in end] == ([mqtt.DISCONNECT] if level == V5 else [])
        wait_until(lambda: gateway.links() == 1)
        witness.say("ok/x", b"on")
        assert old.takes().payload == b"on"
        with pytest.raises(TimeoutError):
            witness.heard("more/last", 0.5)
    record = gateway.recorded(what="close", who=DESK)
    assert record["reason"] == "BH-1711" and "uns/" in record["detail"], record


def accept(changing: Changing, token: str) -> None:
    """What `bulkhead policy apply --accept-widening` does."""
    folder = changing.folder / "var/policy/accepted"
    folder.mkdir(exist_ok=True)
    (folder / token).touch()
    assert changing.reload()["outcome"] == "taken"
