"""`bulkhead policy`: what a security team does with the policy files of a site. One verb is one file."""

from __future__ import annotations

import click

from proxy.cli.lazy import LazyGroup

VERBS = {
    "check": ("proxy.cli.check", "Check a site: files, names, rules and its own tests."),
    "fmt": ("proxy.cli.policy.fmt", "Write the site files in one form; comments stay."),
    "show": ("proxy.cli.policy.show", "Show the rules of the files in words; --casbin: as model and rows."),
    "test": ("proxy.cli.policy.test", "Run the policy's own tests; say which rules no test touches."),
    "diff": ("proxy.cli.policy.diff", "Say what access appears and disappears between two versions."),
    "explain": ("proxy.cli.explain", "Say what the policy answers to one request, and why."),
    "simulate": ("proxy.cli.policy.simulate", "Answer a table of questions, at any time and in any state."),
    "backtest": ("proxy.cli.policy.backtest", "Say which recorded flows a changed policy would answer otherwise."),
    "learn": ("proxy.cli.policy.learn", "Propose rules from recorded flows, as a file for review."),
    "monitor": ("proxy.cli.policy.monitor", "Show what monitored rules would have refused or allowed."),
    "reach": ("proxy.cli.policy.reach", "Say what somebody who takes a device over can touch, step by step."),
    "failmodes": ("proxy.cli.policy.failmodes", "Show what happens to each kind of flow when a part fails."),
    "apply": ("proxy.cli.policy.apply", "Take the files into use: check, test, compare, acknowledge, reload."),
    "promote": ("proxy.cli.policy.promote", "Enforce what was monitored."),
    "history": ("proxy.cli.policy.history", "Show which versions were in force, and when."),
    "rollback": ("proxy.cli.policy.rollback", "Return to an earlier version."),
}


@click.command(cls=LazyGroup, nouns=VERBS, name="policy")
def command() -> None:
    """Write, test, preview, prove and change the policy of a site."""
