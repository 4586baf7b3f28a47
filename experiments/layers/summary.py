"""Seconds of rounds, ours and theirs, as one entry for each layer, as totals, and as a table."""

import statistics
from collections.abc import Mapping, Sequence

from experiments.common import markdown, spreads
from experiments.layers.of_step import Seen

HEAD = ("layer", "GFLOP", "forward, ms", "all, ms", "GFLOP/s")
THEIRS = ("theirs: forward, ms", "all, ms", "theirs / ours")


def of_layer(seen: Seen, ours: Sequence[Mapping], theirs: Sequence[Mapping | None]) -> dict:
    """Medians over rounds; theirs in the memory format in which all that a step takes is faster.

    Args:
      seen: the layer.
      ours: of each round, as `ours.Timed` gives it.
      theirs: of each round, as `outside` gives it; none without an opponent.
    """
    entry = {"name": seen.name, "network": seen.network, "flops": seen.flops, "ours": _medians(ours)}
    if theirs and None not in theirs:
        formats = {name: _medians([each[name] for each in theirs]) for name in theirs[0]}
        best = min(formats, key=lambda name: formats[name]["step"])
        ratios = [them[best]["step"] / us["step"] for us, them in zip(ours, theirs, strict=True)]
        entry |= {"theirs": formats, "best": best, "ratio": spreads.median_and_range(ratios)}
    return entry


def _medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


def totals(entries: Sequence[Mapping]) -> list[dict]:
    """Sums for each network and for all; theirs, and the ratio, of layers that have a counterpart."""
    found = []
    for network in (*dict.fromkeys(entry["network"] for entry in entries), "all"):
        own = [entry for entry in entries if network in ("all", entry["network"])]
        both = [entry for entry in own if "theirs" in entry]
        total = {"name": network, "flops": sum(entry["flops"] for entry in own)}
        total["ours"] = _sums([entry["ours"] for entry in own])
        if both:
            total["theirs"] = _sums([entry["theirs"][entry["best"]] for entry in both])
            ratio = total["theirs"]["step"] / sum(entry["ours"]["step"] for entry in both)
            total |= {"compared_layers": len(both), "ratio": ratio}
        found.append(total)
    return found


def _sums(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(part[name] for part in parts) for name in parts[0]}


def table(results: Mapping) -> str:
    """Markdown: layers, totals, a whole step, and what a large matrix product reaches."""
    rows = []
    for entry in results["layers"]:
        ratio = spreads.told(entry["ratio"], 2) if "ratio" in entry else ""
        rows.append(_cells(entry, entry.get("theirs", {}).get(entry.get("best")), ratio))
    for total in results["totals"]:
        ratio = f"{total['ratio']:.2f}" if "ratio" in total else ""
        rows.append([f"**{cell}**" if cell else "" for cell in _cells(total, total.get("theirs"), ratio)])
    rows.append(["a whole step", "", "", f"{1e3 * results['step_seconds']:,.2f}", *[""] * 4])
    rows.append(["a large matrix product", *[""] * 3, _rate(results["matmul_flops_per_second"]), *[""] * 3])
    if not any("theirs" in entry for entry in results["layers"]):
        return markdown.table(HEAD, [row[: len(HEAD)] for row in rows])
    return markdown.table((*HEAD, *THEIRS), rows)


def _cells(of: Mapping, theirs: Mapping | None, ratio: str) -> list[str]:
    rate = _rate(of["flops"] / of["ours"]["step"]) if of["flops"] else ""
    named = [of["name"], f"{of['flops'] / 1e9:.2f}", *_milliseconds(of["ours"]), rate]
    return [*named, *(_milliseconds(theirs) if theirs else ("", "")), ratio]


def _milliseconds(of: Mapping[str, float]) -> list[str]:
    return [f"{1e3 * of[name]:,.2f}" for name in ("forward", "step")]


def _rate(flops_per_second: float) -> str:
    return f"{flops_per_second / 1e9:,.1f}"
