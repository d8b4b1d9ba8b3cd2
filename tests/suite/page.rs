//! A page: its prose, the files that it writes and the commands that it runs. Reading and writing a page again gives
//! the same text.

/// A page of the suite.
pub(crate) struct Page {
    /// Its parts, in order.
    pub(crate) pieces: Vec<Piece>,
}

/// A part of a page.
pub(crate) enum Piece {
    /// Lines that do nothing, fences and illustrations included.
    Prose(Vec<String>),
    /// A file to write.
    File {
        /// The fence with the language and the path.
        opening: String,
        /// Where, relative to the workspace.
        path: String,
        /// What.
        text: String,
    },
    /// Commands to run.
    Console(Vec<Step>),
    /// A command at a terminal, and all that is seen there.
    Terminal(Step),
}

/// A command and what it writes.
pub(crate) struct Step {
    /// The line of the page that the expected text begins in, counted from 1.
    pub(crate) line: usize,
    /// The command, without `$ `.
    pub(crate) command: String,
    /// Its output, with `[exit N]`.
    pub(crate) expected: String,
}

const FENCE: &str = "```";

impl Page {
    /// Reads a page.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut prose = Vec::new();
        let mut lines = (1..).zip(text.lines());
        while let Some((number, line)) = lines.next() {
            let Some(info) = line.strip_prefix(FENCE) else {
                prose.push(line.to_owned());
                continue;
            };
            let mut body = Vec::new();
            let mut is_closed = false;
            for (number, line) in lines.by_ref() {
                is_closed = line == FENCE;
                if is_closed {
                    break;
                }
                body.push((number, line));
            }
            if !is_closed {
                return Err(format!("The block that begins in line {number} has no end"));
            }
            let piece = match info.split_once(' ') {
                Some((_, path)) => Piece::File {
                    opening: line.to_owned(),
                    path: path.trim().to_owned(),
                    text: body.iter().map(|(_, line)| format!("{line}\n")).collect(),
                },
                None if info == "console" => Piece::Console(steps(&body)?),
                None if info == "terminal" => match <[Step; 1]>::try_from(steps(&body)?) {
                    Ok([step]) => Piece::Terminal(step),
                    Err(_) => return Err(format!("The block in line {number} has not one command")),
                },
                None => {
                    prose.push(line.to_owned());
                    prose.extend(body.iter().map(|(_, line)| (*line).to_owned()));
                    prose.push(FENCE.to_owned());
                    continue;
                }
            };
            pieces.push(Piece::Prose(std::mem::take(&mut prose)));
            pieces.push(piece);
        }
        pieces.push(Piece::Prose(prose));
        Ok(Self { pieces })
    }

    /// Writes the page.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Prose(lines) => lines.iter().for_each(|line| text.push_str(&format!("{line}\n"))),
                Piece::File { opening, text: body, .. } => {
                    text.push_str(&format!("{opening}\n{body}{FENCE}\n"));
                }
                Piece::Console(steps) => {
                    text.push_str(&format!("{FENCE}console\n"));
                    for step in steps {
                        text.push_str(&format!("$ {}\n{}", step.command, step.expected));
                    }
                    text.push_str(&format!("{FENCE}\n"));
                }
                Piece::Terminal(Step { command, expected, .. }) => {
                    text.push_str(&format!("{FENCE}terminal\n$ {command}\n{expected}{FENCE}\n"));
                }
            }
        }
        text
    }
}

fn steps(body: &[(usize, &str)]) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    for (number, line) in body {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => {
                steps.push(Step { line: number + 1, command: command.to_owned(), expected: String::new() });
            }
            (None, Some(step)) => step.expected.push_str(&format!("{line}\n")),
            (None, None) => return Err(format!("Line {number} is no command; expected `$ …`")),
        }
    }
    Ok(steps)
}

#[test]
fn a_page_is_written_as_it_was_read() {
    let text = "# A\n\n```kdl models/package.kdl\na \"b\"\n```\n```kdl\nshown\n```\n\n```console\n$ mc check\nok\n\n[exit 2]\n$ ls\n```\nend\n```terminal\n$ mc run\n> hello\nok\n```\n";
    let page = Page::parse(text).unwrap();
    assert_eq!(page.text(), text);
    let Piece::Console(steps) = &page.pieces[3] else { panic!("expected the console block") };
    let seen: Vec<_> =
        steps.iter().map(|step| (step.line, step.command.as_str(), step.expected.as_str())).collect();
    assert_eq!(seen, [(12, "mc check", "ok\n\n[exit 2]\n"), (16, "ls", "")]);
}

#[test]
fn a_block_without_an_end_is_an_error() {
    assert!(Page::parse("```console\n$ ls\n").is_err());
}
