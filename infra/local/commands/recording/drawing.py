"""The recording as a picture that moves: all lines in a column, which moves up behind a window as they came.

Browsers run the animation of a picture, too, and GitHub lets it pass. Who wants no animations sees the end.
"""

import html

FONT_SIZE, LINE, CHARACTER = 14, 18, 8.43
"""In pixels. A character of the fonts below is 0.602 of their size wide."""

MARGIN = 14
END_SECONDS = 6
"""How long the end stays."""


def svg(lines, columns, rows):
    width, height = round(columns * CHARACTER) + 2 * MARGIN, rows * LINE + 2 * MARGIN
    length = lines[-1].at + END_SECONDS
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" xml:space="preserve">
<style>
text {{ font: {FONT_SIZE}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d1d7e0; white-space: pre }}
.b {{ font-weight: bold; fill: #ffffff }}
@media (prefers-reduced-motion: no-preference) {{
#lines {{ animation: come {length:.1f}s step-end infinite }}
}}
@keyframes come {{
{keyframes(lines, rows, length)}
}}
</style>
<rect width="{width}" height="{height}" rx="8" fill="#151b23"/>
<svg x="{MARGIN}" y="{MARGIN}" width="{width - 2 * MARGIN}" height="{rows * LINE}">
<g id="lines" transform="translate(0 {moved(len(lines), rows)})">
{column(lines)}
</g>
</svg>
</svg>
"""


def moved(count, rows):
    """Where the column is when so many lines are there: the last of them at the bottom of the window."""
    return (rows - count) * LINE


def keyframes(lines, rows, length):
    """A place of the column for each moment at which lines came."""
    places = {}
    for count, line in enumerate(lines, 1):
        places[f"{100 * line.at / length:.2f}%"] = moved(count, rows)
    return "\n".join(f"{when} {{ transform: translateY({place}px) }}" for when, place in {"0%": moved(0, rows), **places}.items())


def column(lines):
    return "\n".join(
        f'<text y="{number * LINE + FONT_SIZE}">{"".join(map(part, line.parts))}</text>'
        for number, line in enumerate(lines)
        if line.parts
    )


def part(part):
    text = html.escape(part.text, quote=False)
    return f'<tspan class="b">{text}</tspan>' if part.bold else text
