"""Words for regions: each provider's own, mapped to countries (ISO 3166-1) and to areas of several countries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from superpose.errors import ResidencyRulesError

__all__ = ["AREAS", "COUNTRIES", "HERE", "REGIONS", "check_region", "region_codes"]

HERE = "here"
"""This machine, from which nothing goes anywhere."""

_TWO_LETTERS = (
    "ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bl bm bn bo bq br bs bt bv bw by bz "
    "ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg eh er es et fi fj fk fm fo "
    "fr ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je "
    "jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mf mg mh mk ml mm mn mo "
    "mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw "
    "py qa re ro rs ru rw sa sb sc sd se sg sh si sj sk sl sm sn so sr ss st sv sx sy sz tc td tf tg th tj tk tl tm "
    "tn to tr tt tv tw tz ua ug um us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw"
)
COUNTRIES = frozenset(_TWO_LETTERS.split())
"""Countries by their two letters of ISO 3166-1; the United Kingdom is ``gb``."""

_EU_LETTERS = "at be bg cy cz de dk ee es fi fr gr hr hu ie it lt lu lv mt nl pl pt ro se si sk"
_EU = frozenset(_EU_LETTERS.split())

AREAS: Mapping[str, frozenset[str]] = MappingProxyType({"eu": _EU, "eea": _EU | {"is", "li", "no"}})
"""The European Union, and the European Economic Area with it, as countries. Neither Switzerland nor the United Kingdom
is in them, whatever a provider's word begins with (Amazon's eu-central-2 is in Zurich, eu-west-2 in London)."""

_AMAZON = {
    "us-east-1": "us", "us-east-2": "us", "us-west-1": "us", "us-west-2": "us", "us-gov-east-1": "us",
    "us-gov-west-1": "us", "ca-central-1": "ca", "ca-west-1": "ca", "mx-central-1": "mx", "sa-east-1": "br",
    "eu-central-1": "de", "eu-central-2": "ch", "eu-west-1": "ie", "eu-west-2": "gb", "eu-west-3": "fr",
    "eu-north-1": "se", "eu-south-1": "it", "eu-south-2": "es", "il-central-1": "il", "me-central-1": "ae",
    "me-south-1": "bh", "af-south-1": "za", "ap-east-1": "hk", "ap-south-1": "in", "ap-south-2": "in",
    "ap-northeast-1": "jp", "ap-northeast-2": "kr", "ap-northeast-3": "jp", "ap-southeast-1": "sg",
    "ap-southeast-2": "au", "ap-southeast-3": "id", "ap-southeast-4": "au",
}  # fmt: skip
_IBM = {
    "us-east": "us", "us-south": "us", "ca-tor": "ca", "ca-mon": "ca", "br-sao": "br", "eu-de": "de", "eu-es": "es",
    "eu-gb": "gb", "jp-tok": "jp", "jp-osa": "jp", "au-syd": "au",
}  # fmt: skip
_AZURE = {
    "eastus": "us", "eastus2": "us", "centralus": "us", "northcentralus": "us", "southcentralus": "us",
    "westcentralus": "us", "westus": "us", "westus2": "us", "westus3": "us", "canadacentral": "ca", "canadaeast": "ca",
    "brazilsouth": "br", "mexicocentral": "mx", "northeurope": "ie", "westeurope": "nl", "francecentral": "fr",
    "francesouth": "fr", "germanywestcentral": "de", "germanynorth": "de", "swedencentral": "se", "italynorth": "it",
    "polandcentral": "pl", "spaincentral": "es", "norwayeast": "no", "norwaywest": "no", "switzerlandnorth": "ch",
    "switzerlandwest": "ch", "uksouth": "gb", "ukwest": "gb", "uaenorth": "ae", "qatarcentral": "qa",
    "israelcentral": "il", "southafricanorth": "za", "southafricawest": "za", "centralindia": "in", "southindia": "in",
    "westindia": "in", "japaneast": "jp", "japanwest": "jp", "koreacentral": "kr", "koreasouth": "kr",
    "southeastasia": "sg", "eastasia": "hk", "australiaeast": "au", "australiasoutheast": "au",
    "australiacentral": "au",
}  # fmt: skip

REGIONS: Mapping[str, str] = MappingProxyType(_AMAZON | _IBM | _AZURE)
"""Country of each region by the word that Amazon, IBM Cloud or Azure has for it; none means two.

Source: the lists of regions of AWS (docs.aws.amazon.com/global-infrastructure), IBM Cloud (cloud.ibm.com/docs/overview,
"Region and data center locations") and Azure (learn.microsoft.com/azure/reliability/regions-list)."""

_OWN = re.compile(r"[a-z][a-z0-9_-]{0,62}:[a-z0-9][a-z0-9 ._-]{0,62}", re.ASCII)


def region_codes(provider: str, region: str | None) -> frozenset[str]:
    """Return all names by which a rule may mean a provider's region; none where the provider does not tell it.

    A word that nobody here knows has no country: only its own name with the provider's before it is meant by it.

    >>> sorted(region_codes("braket", "eu-north-1"))
    ['braket:eu-north-1', 'eea', 'eu', 'eu-north-1', 'se']
    >>> sorted(region_codes("braket", "eu-west-2")), sorted(region_codes("house", "basement"))
    (['braket:eu-west-2', 'eu-west-2', 'gb'], ['house:basement'])
    """
    if region is None:
        return frozenset()
    if region == HERE:
        return frozenset({HERE})
    own = f"{provider}:{region}"
    country = REGIONS.get(region, region if region in COUNTRIES else None)
    if country is not None:
        areas = {area for area, countries in AREAS.items() if country in countries}
        return frozenset({own, region, country, *areas})
    if region in AREAS:
        return frozenset({own, *(area for area, countries in AREAS.items() if AREAS[region] <= countries)})
    return frozenset({own})


def check_region(name: str) -> str:
    """Return the name of a region as rules take it.

    Raises:
        ResidencyRulesError: It is none that could ever be met.

    >>> check_region("se"), check_region("us-east"), check_region("house:basement")
    ('se', 'us-east', 'house:basement')
    """
    if name == HERE or name in AREAS or name in COUNTRIES or name in REGIONS or _OWN.fullmatch(name):
        return name
    hint = {"uk": " The United Kingdom is 'gb'."}.get(name, " Names are in lower case." if name != name.lower() else "")
    raise ResidencyRulesError(
        f"{name!r} names no region.{hint} A rule takes 'here' (this machine), {' or '.join(map(repr, AREAS))}, a "
        "country by its two letters (ISO 3166-1, 'us'), a region by the word of Amazon, IBM or Azure ('eu-north-1', "
        "'us-east', 'westeurope'), or PROVIDER:WORD for another provider's own word.",
        field="regions",
        got=name,
    )
