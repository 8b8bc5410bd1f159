"""A picture of a benchmark: speed-up by category, with intervals (matplotlib, extra ``bench``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hd_edge.errors import ConfigError
from hd_edge.extras import install

from .turns import PLAIN


def check_plot(path: str | Path) -> None:
    """Finds out before the benchmark whether it could be drawn afterwards.

    Raises:
        ConfigError: matplotlib is not installed, or it cannot write such a file.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        msg = f"a plot needs {error.name}: {install('bench')} brings it"
        raise ConfigError(msg) from error
    kinds = sorted(Figure().canvas.get_supported_filetypes())
    if Path(path).suffix.lstrip(".") not in kinds:
        msg = f"plot {path}: its name ends in none of {', '.join(kinds)}"
        raise ConfigError(msg)


def plot(summary: dict[str, Any], path: str | Path) -> None:
    """Draws what ``summarise()`` returns: a group of bars for each category, the last one over all.

    Raises:
        ConfigError: matplotlib is not installed, or the file cannot be written.
    """
    check_plot(path)
    from matplotlib.figure import Figure

    ratios = {arm: ratio for arm, ratio in summary["speedup"].items() if arm != PLAIN}
    categories = list(next(iter(ratios.values()))["by_category"]) if ratios else []
    figure = Figure(figsize=(1.5 + 1.2 * (len(categories) + 1), 4), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / max(len(ratios), 1)
    for number, (arm, ratio) in enumerate(ratios.items()):
        for place, found in enumerate([*ratio["by_category"].values(), ratio["overall"]]):
            if found is None:
                continue
            errors = [[found["median"] - found["low"]], [found["high"] - found["median"]]]
            axes.bar(
                place + (number - (len(ratios) - 1) / 2) * width,
                found["median"],
                width,
                yerr=errors,
                color=f"C{number}",
                capsize=3,
                label=arm if place == len(categories) else None,
            )
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(categories) + 1), [*(name.replace("_", "\n") for name in categories), "all"])
    axes.set_ylabel("tokens per second against plain decoding")
    model, machine = summary.get("model", {}), summary.get("hardware", {})
    axes.set_title(" · ".join(str(part) for part in (model.get("file"), machine.get("processor")) if part), fontsize=9)
    if ratios:
        axes.legend()
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        msg = f"plot {path}: {error.strerror or error}"
        raise ConfigError(msg) from error
