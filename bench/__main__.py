"""`python -m bench`: Bulkhead and its peers, measured in turn.

Exit 0: all was measured and every target met. 1: a target was missed, an answer was wrong or a phase failed.
2: wrong usage. 3: the environment lacks something (no compiler, a peer not installed). What could be measured
is printed in each case.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.environment import Cores, Unmeasurable
from bench.mqtt import plan as mqtt_plan
from bench.mqtt import session as mqtt_session
from bench.mqtt.bulkhead import MqttBulkhead
from bench.mqtt.peers import HAProxy as MqttHAProxy
from bench.mqtt.peers import NginxTls
from bench.mqtt.session import MqttSession
from bench.opcua import plan as opcua_plan
from bench.opcua import session as opcua_session
from bench.opcua.programs import Asyncua
from bench.opcua.programs import Bulkhead as OpcuaBulkhead
from bench.opcua.programs import HAProxy as OpcuaHAProxy
from bench.opcua.session import OpcuaSession
from bench.peers.bulkhead import Bulkhead
from bench.peers.haproxy import HAProxy
from bench.peers.nginx import Nginx, NginxNjs
from bench.peers.stunnel import Stunnel
from bench.plan import FULL, QUICK
from bench.policy import plan as policy_plan
from bench.policy import session as policy_session
from bench.policy.engines import ENGINES
from bench.policy.session import PolicySession
from bench.session import PHASES, Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.mqtt.peers import MqttPeer
    from bench.opcua.programs import Program
    from bench.peers.base import Peer
    from bench.policy.engines import Engine

MEASURED, MISSED, ENVIRONMENT = 0, 1, 3
MODBUS, MQTT, OPCUA, POLICY = "modbus", "mqtt", "opcua", "policy"
PARTS = (MODBUS, MQTT, OPCUA, POLICY)


def all_peers() -> dict[str, Peer]:
    peers: list[Peer] = [
        Bulkhead(shared=True), Bulkhead(shared=False), HAProxy(), Nginx(), NginxNjs(), Stunnel(),
    ]  # fmt: skip
    return {peer.name: peer for peer in peers}


def all_mqtt_peers() -> dict[str, MqttPeer]:
    peers: list[MqttPeer] = [MqttBulkhead(), MqttHAProxy(), NginxTls()]
    return {peer.name: peer for peer in peers}


def all_opcua_programs() -> dict[str, Program]:
    programs: list[Program] = [OpcuaHAProxy(), OpcuaBulkhead(), Asyncua()]
    return {program.name: program for program in programs}


def all_engines() -> dict[str, Engine]:
    engines: list[Engine] = [kind() for kind in ENGINES]
    return {engine.name: engine for engine in engines}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is measured: `--only` names parts, targets or both; what it names none of is not narrowed."""

    peers: list[Peer]
    phases: list[str]
    mqtt_peers: list[MqttPeer]
    mqtt_phases: list[str]
    opcua_programs: list[Program]
    opcua_phases: list[str]
    engines: list[Engine]
    policy_phases: list[str]

    @classmethod
    def of(cls, only: Sequence[str], phases: Sequence[str]) -> Chosen:
        parts = set(PARTS) & set(only) or set(PARTS)
        names = set(only) - set(PARTS) or {*all_peers(), *all_mqtt_peers(), *all_opcua_programs(), *all_engines()}
        return cls(
            [peer for name, peer in all_peers().items() if name in names and MODBUS in parts],
            [name for name in PHASES if name in phases and MODBUS in parts],
            [peer for name, peer in all_mqtt_peers().items() if name in names and MQTT in parts],
            [name for name in mqtt_session.PHASES if name in phases and MQTT in parts],
            [program for name, program in all_opcua_programs().items() if name in names and OPCUA in parts],
            [name for name in opcua_session.PHASES if name in phases and OPCUA in parts],
            [engine for name, engine in all_engines().items() if name in names and POLICY in parts],
            [name for name in policy_session.PHASES if name in phases and POLICY in parts],
        )


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    chosen = Chosen.of(options.only, options.phases)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        allowed = os.sched_getaffinity(0)
        cores = Cores.choose()
        session = Session(QUICK if options.quick else FULL, chosen.peers, chosen.phases, cores, say)
        os.sched_setaffinity(0, {cores.load})  # this process must not disturb the proxy it measures
        report = session.run()
        plan = mqtt_plan.QUICK if options.quick else mqtt_plan.FULL
        MqttSession(plan, chosen.mqtt_peers, chosen.mqtt_phases, cores, say, report).run()
        loads = opcua_plan.QUICK if options.quick else opcua_plan.FULL
        OpcuaSession(loads, chosen.opcua_programs, chosen.opcua_phases, cores, say, report).run()
        os.sched_setaffinity(0, allowed)
        sizes = policy_plan.QUICK if options.quick else policy_plan.FULL
        PolicySession(sizes, chosen.engines, chosen.policy_phases, say, report).run()
    except Unmeasurable as error:
        say(str(error))
        return ENVIRONMENT
    print(report.as_json() if options.output == "json" else report.as_text())
    if report.wrong or report.missed or report.failed:
        return MISSED
    return ENVIRONMENT if report.missing else MEASURED


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Bulkhead beside other TLS proxies.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, fewer idle links")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    names = [*PARTS, *dict.fromkeys((*all_peers(), *all_mqtt_peers(), *all_opcua_programs(), *all_engines()))]
    phases = [*dict.fromkeys((*PHASES, *mqtt_session.PHASES, *opcua_session.PHASES, *policy_session.PHASES))]
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, default=[], help=", ".join(names))
    parser.add_argument("--phases", nargs="+", metavar="NAME", choices=phases, default=phases, help=", ".join(phases))
    return parser.parse_args(arguments)


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
