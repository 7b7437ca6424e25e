"""
What a run amounted to in a few numbers, and what many runs amount to: a mean and how far it may be trusted.

A run is one sample.  Two runs with different seeds are independent, so the
mean over n of them has the 95 % confidence interval of Student's distribution
with n - 1 degrees of freedom; within a run nothing is independent of anything,
and no interval is claimed for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, sqrt
from typing import Any

import attrs

from p2p.simulation.measure import SURVIVING


@attrs.frozen
class Metric:
    """
    A number that can be had of each run.

    @ivar name: its key in results.
    @ivar unit: empty for a count or a share.
    @ivar text: what it is, for people.
    """

    name: str
    unit: str
    text: str


METRICS = (
    Metric("reach", "", "share of peers reached"),
    Metric("incomplete", "", "broadcasts that missed a peer"),
    Metric("lastDelivery", "s", "time to last delivery, mean"),
    Metric("lastDeliveryMax", "s", "time to last delivery, longest"),
    Metric("lastHop", "hops", "hops of the last, most"),
    Metric("redundancy", "", "superfluous payloads per useful one"),
    Metric("firstDetected", "s", "time to detect a death, mean"),
    Metric("firstDetectedMax", "s", "time to detect a death, longest"),
    Metric("removedFromSeeds", "s", "time to leave the seeds' lists, mean"),
    Metric("undetected", "", "deaths that nobody detected"),
    Metric("falseDeaths", "", "live peers called dead, unexcused"),
    Metric("components", "", "components of the overlay"),
    Metric("meanDegree", "links", "degree, mean"),
    Metric("maxDegree", "links", "degree, largest"),
    Metric("averagePath", "links", "path length, mean"),
    Metric("diameter", "links", "path length, longest"),
    Metric("frames", "frames", "frames that arrived"),
    Metric("bytes", "B", "bytes that arrived"),
)
"""All of them, in the order in which they are shown."""


def metrics(results: dict[str, Any]) -> dict[str, float | None]:
    """
    The metrics of a run's results; C{None} is what it has no answer to, for instance how fast deaths are detected if
    nobody died.
    """
    broadcasts, deaths, overlay = results["broadcasts"], results["deaths"], results["overlay"]
    live = sum(broadcast["live"] for broadcast in broadcasts)
    last = [broadcast["lastDelivery"] for broadcast in broadcasts if broadcast["reached"]]
    # Of all whom it reached, those who died later included: the copies that went to them are counted, too.
    spread = [b for b in broadcasts if b["live"] and b["payloads"] is not None and b["payloads"] > b["duplicates"]]
    first = [death["firstDetected"] for death in deaths if death["firstDetected"] is not None]
    removed = [death["removedFromSeeds"] for death in deaths if death["removedFromSeeds"] is not None]
    # Who came back sooner, or died too near the end, need not have been missed by anybody.
    fair = [
        death
        for death in deaths
        if death["survivors"]
        and death["at"] + SURVIVING <= overlay["at"]
        and (death["restarted"] is None or death["restarted"] >= SURVIVING)
    ]
    traffic = results["traffic"]
    found: dict[str, float | None] = {
        "reach": sum(broadcast["reached"] for broadcast in broadcasts) / live if live else None,
        "incomplete": sum(b["reached"] < b["live"] for b in broadcasts) if live else None,
        "lastDelivery": _mean(last),
        "lastDeliveryMax": max(last, default=None),
        "lastHop": max((broadcast["lastHop"] for broadcast in broadcasts if broadcast["reached"]), default=None),
        "redundancy": _mean([b["duplicates"] / (b["payloads"] - b["duplicates"]) for b in spread]),
        "firstDetected": _mean(first),
        "firstDetectedMax": max(first, default=None),
        "removedFromSeeds": _mean(removed),
        "undetected": sum(death["firstDetected"] is None for death in fair) if fair else None,
        "falseDeaths": sum(death["excuse"] is None for death in results["falseDeaths"]),
        "frames": sum(kind["frames"] for kind in traffic.values()) if traffic is not None else None,
        "bytes": sum(kind["bytes"] for kind in traffic.values()) if traffic is not None else None,
    }
    for name in ("components", "meanDegree", "maxDegree", "averagePath", "diameter"):
        found[name] = overlay[name]
    return {metric.name: found[metric.name] for metric in METRICS}


@attrs.frozen
class Estimate:
    """
    What a metric is, from several runs.

    @ivar runs: how many had an answer.
    @ivar half: half the width of the 95 % confidence interval of the mean; C{None} for a single run.
    """

    runs: int
    mean: float
    half: float | None
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Estimate:
        """
        From at least one value.
        """
        count = len(values)
        mean = fsum(values) / count
        half = None
        if count > 1:
            variance = fsum((value - mean) ** 2 for value in values) / (count - 1)
            half = studentQuantile(count - 1) * sqrt(variance / count)
        return cls(count, mean, half, min(values), max(values))


_STUDENT = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)
_NORMAL = 1.959964


def studentQuantile(freedom: int) -> float:
    """
    The 97.5 % quantile of Student's distribution: how many standard errors a 95 % interval goes to each side.

    Up to ten degrees of freedom it is looked up; from there on Fisher's expansion around the normal distribution
    (Abramowitz and Stegun, 26.7.5) is right to four places.
    """
    if freedom <= len(_STUDENT):
        return _STUDENT[freedom - 1]
    z, n = _NORMAL, freedom
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )


def _mean(values: Sequence[float]) -> float | None:
    return fsum(values) / len(values) if values else None
