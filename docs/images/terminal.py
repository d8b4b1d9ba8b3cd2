"""Draws what a command leaves on a terminal of 80 columns as an SVG.

usage: terminal.py OUT.svg COMMAND [ARGUMENT ...]

`docs/images/build.svg` is made by this, from the root of the repository:

    python3 docs/images/terminal.py docs/images/build.svg target/debug/mc build //models:roadtrip-q4km-ios
"""

import fcntl
import html
import os
import pty
import re
import struct
import sys
import termios

COLUMNS, ROWS = 80, 40
CHARACTER, LINE, MARGIN = 8.4, 18, 14
COLORS = {
    31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 34: "#79c0ff", 35: "#d2a8ff", 36: "#76e3ea",
    90: "#8b949e", 91: "#ffa198", 92: "#7ee787", 93: "#e3b341", 94: "#79c0ff", 96: "#76e3ea",
}
FOREGROUND, BACKGROUND = "#e6edf3", "#0d1117"


def output_of(command):
    """Runs a command on a pseudo terminal, and returns everything that it writes."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS=str(COLUMNS), LINES=str(ROWS))
        os.environ.pop("NO_COLOR", None)
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    parts = []
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        parts.append(part)
    os.waitpid(child, 0)
    return b"".join(parts).decode()


class Screen:
    """Lines of (character, style); a style is (color, is_bold)."""

    def __init__(self):
        self.lines, self.row, self.column, self.style = [[]], 0, 0, (None, False)

    def write(self, text):
        for escape, parameters, letter, other in re.findall(r"(\x1b\[([0-9;?]*)([A-Za-z]))|([\s\S])", text):
            if escape:
                self.control(parameters, letter)
            else:
                self.put(other)

    def control(self, parameters, letter):
        numbers = [int(number) for number in re.findall(r"\d+", parameters)]
        count = numbers[0] if numbers else 1
        if letter == "m":
            self.restyle(numbers or [0])
        elif letter == "A":
            self.row = max(0, self.row - count)
        elif letter == "B":
            self.row += count
        elif letter == "G":
            self.column = count - 1
        elif letter == "K":
            del self.line()[0 if numbers == [2] else self.column :]
        elif letter == "J":
            del self.line()[self.column :]
            del self.lines[self.row + 1 :]

    def restyle(self, numbers):
        color, is_bold = self.style
        for number in numbers:
            if number == 0:
                color, is_bold = None, False
            elif number == 1:
                is_bold = True
            elif number == 2:
                color = COLORS[90]
            elif number == 22:
                is_bold = False
            elif number == 39:
                color = None
            elif number in COLORS:
                color = COLORS[number]
        self.style = (color, is_bold)

    def line(self):
        while len(self.lines) <= self.row:
            self.lines.append([])
        return self.lines[self.row]

    def put(self, character):
        if character == "\n":
            self.row += 1
            self.line()
        elif character == "\r":
            self.column = 0
        elif character >= " ":
            line = self.line()
            line.extend([(" ", (None, False))] * (self.column + 1 - len(line)))
            line[self.column] = (character, self.style)
            self.column += 1


def spans(line):
    """Runs of one style."""
    start = 0
    for end in range(1, len(line) + 1):
        if end == len(line) or line[end][1] != line[start][1]:
            yield start, "".join(character for character, _ in line[start:end]), line[start][1]
            start = end


def draw(lines):
    width, height = COLUMNS * CHARACTER + 2 * MARGIN, len(lines) * LINE + 2 * MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" font-size="14"',
        ' font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" xml:space="preserve">',
        f'<rect width="100%" height="100%" rx="6" fill="{BACKGROUND}"/>',
    ]
    for number, line in enumerate(lines):
        for column, text, (color, is_bold) in spans(line):
            if text.strip():
                x, y = MARGIN + column * CHARACTER, MARGIN + (number + 0.75) * LINE
                weight = ' font-weight="bold"' if is_bold else ""
                length = f'textLength="{len(text) * CHARACTER:.1f}" lengthAdjust="spacingAndGlyphs"'
                fill = color or FOREGROUND
                out.append(f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}"{weight} {length}>{html.escape(text)}</text>')
    return "\n".join([*out, "</svg>", ""])


def main():
    path, command = sys.argv[1], sys.argv[2:]
    screen = Screen()
    screen.write(output_of(command))
    words = [os.path.basename(command[0]), *command[1:]]
    prompt = [(character, (None, True)) for character in f"$ {' '.join(words)}"]
    lines = [prompt, *screen.lines]
    while lines and not any(character.strip() for character, _ in lines[-1]):
        lines.pop()
    with open(path, "w", encoding="utf-8") as file:
        file.write(draw(lines))


if __name__ == "__main__":
    main()
