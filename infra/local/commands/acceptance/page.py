"""The report as a page."""

import re


def page(report, facts, bill):
    """Markdown. `facts` are pairs of the run, `bill` are rows of (item, count, dollars)."""
    lines = [f"# Acceptance on {report.where}", ""]
    lines += [f"- {name}: {value}" for name, value in facts]
    lines += [f"- {report.where}: {report.summary()}", ""]
    for section in report.sections():
        lines += [f"## {section}", ""]
        lines += table(
            ("where", "tried", "expected", "found", "outcome", "seconds"),
            [
                (report.where, check.tried, check.expected, check.found, check.outcome.value, f"{check.seconds:.1f}")
                for check in report.of(section)
            ],
        )
    lines += ["## Cost", ""]
    rows = [(report.where, item, count, f"{dollars:.4f}") for item, count, dollars in bill]
    total = sum(dollars for _, _, dollars in bill)
    lines += table(("where", "item", "count", "US dollars"), [*rows, (report.where, "all", "", f"{total:.4f}")])
    return "\n".join(lines)


def table(head, rows):
    return [row(head), row(["---"] * len(head)), *map(row, rows), ""]


def row(cells):
    return f"| {' | '.join(cell(text) for text in cells)} |"


def cell(text):
    """Text within a table: one line, without what would end the cell."""
    return re.sub(r"\s+", " ", str(text)).strip().replace("|", "\\|")
