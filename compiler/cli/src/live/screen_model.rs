//! A model of a terminal's screen, for tests: characters, the codes that `mc` writes, and resizing.
//!
//! Lines are kept as they were written. A terminal that reflows rewraps them at each width; any other terminal shows
//! them cut. In both cases the cursor stays at its character.

/// A screen with everything that scrolled out of it.
pub(crate) struct Screen {
    n_columns: usize,
    /// Lines as they were written; a line that is too long for the screen continues in the next row.
    lines: Vec<Vec<char>>,
    /// The line of the cursor, and the cell in it.
    cursor: (usize, usize),
    n_rows: usize,
    /// True if lines are rewrapped when the width changes.
    pub(crate) is_reflowing: bool,
    /// True if a frame that does not fit the screen is a failure.
    pub(crate) is_strict: bool,
}

impl Screen {
    pub(crate) fn new(n_columns: usize, n_rows: usize) -> Self {
        Self {
            n_columns,
            lines: vec![Vec::new()],
            cursor: (0, 0),
            n_rows,
            is_reflowing: true,
            is_strict: true,
        }
    }

    /// Applies the output of a program.
    pub(crate) fn write(&mut self, text: &str) {
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            rest = &rest[character.len_utf8()..];
            match character {
                '\r' => self.cursor.1 -= self.cursor.1 % self.row_cells(),
                '\n' => {
                    self.cursor.0 += 1;
                    if self.cursor.0 == self.lines.len() {
                        self.lines.push(Vec::new());
                    }
                }
                '\u{1b}' => rest = self.apply(rest),
                _ => self.put(character),
            }
        }
    }

    /// Changes the size.
    pub(crate) fn resize(&mut self, n_columns: usize, n_rows: usize) {
        if !self.is_reflowing {
            self.lines.iter_mut().for_each(|line| line.truncate(n_columns));
        }
        (self.n_columns, self.n_rows) = (n_columns, n_rows);
    }

    /// Everything that was written and not erased, without trailing blank lines.
    pub(crate) fn text(&self) -> String {
        let lines: Vec<String> = self.lines.iter().map(|line| line.iter().collect()).collect();
        lines.join("\n").trim_end().to_owned()
    }

    fn row_cells(&self) -> usize {
        if self.is_reflowing { self.n_columns } else { usize::MAX }
    }

    fn put(&mut self, character: char) {
        let (line, cell) = self.cursor;
        assert!(!self.is_strict || cell < self.n_columns, "a line of a frame is broken by the terminal");
        let line = &mut self.lines[line];
        line.resize(line.len().max(cell + 1), ' ');
        line[cell] = character;
        self.cursor.1 += 1;
    }

    /// Applies the code after an escape character, and returns the remaining text.
    fn apply<'a>(&mut self, code: &'a str) -> &'a str {
        let code = code.strip_prefix('[').expect("a control sequence");
        let end = code.find(|character: char| !character.is_ascii_digit() && character != ';').unwrap();
        let n: usize = code[..end].parse().unwrap_or(1);
        match &code[end..=end] {
            "A" => {
                assert!(!self.is_strict || n < self.n_rows, "a frame is taller than the screen");
                self.cursor.0 = self.cursor.0.saturating_sub(n);
            }
            "J" => {
                let (line, cell) = self.cursor;
                self.lines.truncate(line + 1);
                self.lines[line].truncate(cell);
            }
            "m" => {}
            other => panic!("`{other}` is not a code of ours"),
        }
        &code[end + 1..]
    }
}
