"""Residency rules: what a region's words mean, what each rule allows, and that no unknown place passes."""

from __future__ import annotations

from typing import Any

import pytest

from superpose.backends.residency import Place, ResidencyRules, check_region, region_codes
from superpose.backends.residency.regions import AREAS, COUNTRIES, REGIONS
from superpose.errors import ResidencyRulesError

FEZ = Place("ibm:ibm_fez", "us-east", True)
GARNET = Place("braket:Garnet", "eu-north-1", True)
LONDON = Place("braket:Lucy", "eu-west-2", True)
SV1 = Place("braket:SV1", "us-west-1", False)
EMULATOR = Place("emulator:ibm_fez", "here", False)
UNTOLD = Place("house:attic", None, True)
OWN_WORD = Place("house:cellar", "basement", True)
LOCAL = Place("local", "here", False)
PLACES = (FEZ, GARNET, LONDON, SV1, EMULATOR, UNTOLD, OWN_WORD, LOCAL)


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        ({"regions": ["eu"]}, [GARNET, EMULATOR, LOCAL]),
        ({"regions": ["se"]}, [GARNET, EMULATOR, LOCAL]),
        ({"regions": ["eu-north-1", "gb"]}, [GARNET, LONDON, EMULATOR, LOCAL]),
        ({"regions": ["us"]}, [FEZ, SV1, EMULATOR, LOCAL]),
        ({"regions": ["us-east"]}, [FEZ, EMULATOR, LOCAL]),
        ({"regions": ["here"]}, [EMULATOR, LOCAL]),
        ({"regions": ["house:basement"]}, [OWN_WORD, EMULATOR, LOCAL]),
        ({"providers": ["braket"]}, [GARNET, LONDON, SV1, LOCAL]),
        ({"deny_providers": ["braket", "house"]}, [FEZ, EMULATOR, LOCAL]),
        ({"backends": ["ibm:*", "braket:SV1"]}, [FEZ, SV1, LOCAL]),
        ({"deny_backends": ["*:ibm_fez"]}, [GARNET, LONDON, SV1, UNTOLD, OWN_WORD, LOCAL]),
        ({"processors": False}, [SV1, EMULATOR, LOCAL]),
        ({"regions": ["us"], "processors": False, "deny_providers": ["emulator"]}, [SV1, LOCAL]),
    ],
)
def test_each_rule_allows_what_it_says_and_all_must_hold(rules: dict[str, Any], allowed: list[Place]) -> None:
    held = ResidencyRules.from_json(rules)
    assert [place for place in PLACES if not held.refusals(place)] == [p for p in PLACES if p in allowed]
    assert ResidencyRules.from_json(held.to_json()) == held


def test_a_refusal_says_what_was_got_and_what_is_allowed() -> None:
    rules = ResidencyRules(regions=frozenset({"eu", "ch"}), providers=frozenset({"braket"}), processors=False)
    assert list(map(str, rules.refusals(FEZ))) == [
        "ibm:ibm_fez is in 'us-east' (us), and rule regions allows ch, eu.",
        "ibm:ibm_fez is of provider 'ibm', and rule providers allows braket.",
        "ibm:ibm_fez is a quantum processor, and rule processors allows none.",
    ]
    told = [str(rules.refusals(place)[0]) for place in (UNTOLD, OWN_WORD)]
    assert told == [
        "house:attic does not tell its region, and rule regions allows ch, eu.",
        "house:cellar is in 'basement', which nobody here knows, and rule regions allows ch, eu.",
    ]
    assert rules.refusals(FEZ)[0].to_json() == {
        "backend": "ibm:ibm_fez", "rule": "regions", "got": "is in 'us-east' (us)", "allowed": ["ch", "eu"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({}, "At least one rule"),
        ({"processors": True, "deny_backends": []}, "At least one rule"),
        ({"regions": []}, "regions is empty"),
        ({"regions": ["uk"]}, "The United Kingdom is 'gb'"),
        ({"regions": ["EU"]}, "lower case"),
        ({"regions": ["europe"]}, "'europe' names no region"),
        ({"regions": "eu"}, "regions must be a list"),
        ({"providers": [1]}, "providers must be a list"),
        ({"backends": [""]}, "backends must be a list"),
        ({"providers": ["x"] * 201}, "at most 200"),
        ({"processors": "no"}, "processors must be true or false"),
        ({"deny_backends": ["local"]}, "cannot be denied"),
        ({"region": ["eu"]}, "no residency rule region; there are backends"),
        ([], "a JSON object, got list"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(rules: Any, said: str) -> None:
    with pytest.raises(ResidencyRulesError, match=said):
        ResidencyRules.from_json(rules)


def test_every_word_has_a_country_and_no_area_is_taken_from_a_word() -> None:
    assert set(REGIONS.values()) <= COUNTRIES and len(AREAS["eu"]) == 27 and len(AREAS["eea"]) == 30
    assert not set(REGIONS) & (COUNTRIES | set(AREAS))
    for word, country in REGIONS.items():
        assert check_region(word) == word
        assert region_codes("p", word) == {f"p:{word}", word, country} | {a for a in AREAS if country in AREAS[a]}
    assert "eu" not in region_codes("braket", "eu-central-2") | region_codes("ibm", "eu-gb")  # Zurich and London
    assert region_codes("x", "eu") == {"x:eu", "eu", "eea"} and region_codes("x", "us") == {"x:us", "us"}
    assert region_codes("x", None) == frozenset()
