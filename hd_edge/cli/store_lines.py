"""What ``hd-edge db info`` prints of a store, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hd_edge.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator


def lines(report: dict[str, Any]) -> Iterator[str]:
    """Lines of a report of ``store/report.py``; what a file says of itself is shown with escapes."""
    return map(printable, _lines(report))


def _lines(report: dict[str, Any]) -> Iterator[str]:
    if "error" in report:
        yield report["error"]
        return
    learned = report["kind"] == "model"
    source = f"{report['answers']:,} answers" if learned else f"{report['corpus_tokens']:,} tokens"
    yield f"{report['kind']} tier: {report['path']}"
    size = f"{report['bytes'] / 2**20:.1f} MiB, {report['records']:,} records from {source}"
    yield f"  {report['model']}, {report['n_vocab']:,} tokens; {size}"
    for tier, rates in report["tiers"].items():
        if rates["drafted"] or rates["lookups"]:
            found = f"; look-ups {rates['lookups']:,}, found {rates['hit_rate']:.0%}" if rates["lookups"] else ""
            yield f"  {tier:<10} drafted {rates['drafted']:,}, accepted {rates['acceptance_rate']:.0%}{found}"
    for item in report.get("continuations", []):
        yield f"  {item['count']:>7,}  {item['text']!r} -> {item['next']!r}"
