from __future__ import annotations

import pytest

from lwyolo.data.checks.rule import REPAIRS, SEVERITIES, all_rules, find_rule
from lwyolo.errors import RegistrationError, UnknownNameError
from lwyolo.reports.data_check import rules_report


def test_the_docs_hold_the_table_of_rules(root):
    # `lwyolo data check --list-rules --format md` prints it
    assert rules_report(all_rules(), "md") in (root / "docs/data.md").read_text(encoding="utf-8")


def test_the_worst_rules_come_first():
    severities = [SEVERITIES.index(rule.severity) for rule in all_rules()]

    assert sorted(severities) == severities


def test_every_repair_is_used():
    assert set(REPAIRS) == {rule.repair for rule in all_rules()}


def test_an_unknown_rule_is_named_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean box-twice"):
        find_rule("box-twic")


def test_a_rule_is_registered_once():
    from lwyolo.data.checks.rule import rule

    with pytest.raises(RegistrationError, match="box-twice"):
        rule("box-twice", "info", what="Again.", upstream="Nothing.")(lambda context: iter(()))
