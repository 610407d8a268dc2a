"""If the ways to decide ever differ, the answer is no, and it says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.policy.compile import compile_policy
from proxy.policy.explain import explain
from proxy.policy.explained import as_data, as_text
from proxy.policy.suggest import Grammar, Question
from tests.policy.toy import ToyTarget, devices, read, rule, surface, who

if TYPE_CHECKING:
    from proxy.core.action import Action, Target


class Fickle(ToyTarget):
    """Breaks the contract that targets have no state: says yes to the first who ask, then no."""

    def admits(self, action: Action) -> int:
        asked = self.__dict__.get("asked", 0)
        self.__dict__["asked"] = asked + 1
        return super().admits(action) if asked < 2 else 0


def no_grammar(section: object) -> tuple[Target, ...]:
    raise ValueError(f"cannot parse {section}")


def test_a_disagreement_is_a_refusal_and_is_shouted() -> None:
    zone = surface(rule("odd", ["scada"], Fickle("read", 0, 9)))
    policy = compile_policy([zone], [], devices("plc", "scada"))
    question = Question(who("scada", "x509"), "plc", "toy", "read 1", (read(1),))
    told = explain(policy, question, Grammar(no_grammar, lambda text, refused: ()))
    assert told.verdict.allowed
    assert not told.agreed
    assert not told.allowed
    assert as_data(told)["allowed"] is False
    assert as_text(told).startswith("refused: the ways to decide disagree")
    assert "DISAGREEMENT" in as_text(told)
