import json
import math

import numpy as np
import pytest

from kcnn.callbacks import Finding, print_sink


def a_finding(**changes):
    values = {
        "check": "initial_loss",
        "severity": "warning",
        "seen": "loss 4.1",
        "expected": "2.30 = log(10)",
        "advice": "scale the head down",
        "cause": "bad_initialization",
        "where": "head",
        "evidence": {"loss": np.float32(4.1), "losses": np.array([1.0, 2.0]), "steps": (1, 2)},
    }
    return Finding(**(values | changes))


def test_a_finding_survives_json():
    finding = a_finding(evidence={"loss": float("inf"), "losses": [1.0, float("-inf")]})
    assert Finding.from_dict(json.loads(json.dumps(finding.to_dict(), allow_nan=False))) == finding


def test_nan_survives_json():
    text = json.dumps(a_finding(evidence={"loss": np.nan}).to_dict(), allow_nan=False)
    assert math.isnan(Finding.from_dict(json.loads(text)).evidence["loss"])


def test_evidence_becomes_plain_python():
    evidence = a_finding().evidence
    assert [type(v) for v in evidence.values()] == [float, list, list]


@pytest.mark.parametrize(
    ("severity", "ok"), [("ok", True), ("note", True), ("warning", False), ("failure", False)]
)
def test_ok_means_nothing_to_do(severity, ok):
    assert a_finding(severity=severity).ok is ok


def test_an_unknown_severity_is_refused_by_name():
    with pytest.raises(ValueError, match="'fatal'"):
        a_finding(severity="fatal")


def test_a_finding_cannot_be_changed():
    with pytest.raises(AttributeError):
        a_finding().severity = "ok"


def test_print_sink_says_all_and_keeps_brackets(capsys):
    print_sink(a_finding(where="layers[0]", seen="[bold]loss[/bold]"))
    out = " ".join(capsys.readouterr().out.split())
    for part in ("warning", "initial_loss", "layers[0]", "[bold]loss[/bold]", "scale the head"):
        assert part in out
