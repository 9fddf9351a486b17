//! What is wrong with a set of files, for people and for programs.

use std::fmt;

use serde_json::{Value, json};
use throughline_event::{Path, Violations};

use crate::yaml::{Mark, Node};

/// One thing that is wrong, with its place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The stable code, `TL0110`.
    pub code: &'static str,
    /// The file as it was named, or the file of a pack.
    pub file: String,
    /// Line and column.
    pub mark: Mark,
    /// The place inside the document.
    pub path: Path,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

/// Everything that is wrong, in the order of the files. Never empty as an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// Puts findings into the order in which a person meets them in each file.
    pub fn new(mut findings: Vec<Finding>) -> Self {
        let mut files: Vec<String> = Vec::new();
        for finding in &findings {
            if !files.contains(&finding.file) {
                files.push(finding.file.clone());
            }
        }
        findings.sort_by_key(|finding| {
            (files.iter().position(|file| *file == finding.file), finding.mark)
        });
        Self { findings }
    }

    /// The findings, file by file, from top to bottom.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// One object per finding, for `--output json`.
    pub fn to_json(&self) -> Value {
        self.findings.iter().map(Finding::to_json).collect()
    }

    /// The findings for a terminal. `color` switches the escape codes on.
    pub fn render(&self, color: bool) -> String {
        let (red, bold, reset) =
            if color { ("\x1b[31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
        let mut text = String::new();
        for Finding { code, file, mark, path, message, fix } in &self.findings {
            let at = path.to_string();
            let at = if at.is_empty() { at } else { format!("{at}: ") };
            let (message, fix) = (visible(message), visible(fix));
            text += &format!(
                "{red}{code}{reset} {bold}{}:{}:{}{reset}\n  {at}{message}\n  fix: {fix}\n",
                visible(file),
                mark.line,
                mark.column
            );
        }
        let (count, noun) =
            (self.findings.len(), if self.findings.len() == 1 { "problem" } else { "problems" });
        text + &format!("{count} {noun}\n")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl Finding {
    /// Places what was found in a document. An unknown key is shown at the key, the rest at the
    /// value.
    pub(crate) fn placed(file: &str, root: &Node, found: Violations) -> Vec<Self> {
        let place = |violation: throughline_event::Violation| {
            let mark = if violation.code == crate::codes::UNKNOWN_KEY {
                root.key_mark_of(&violation.path)
            } else {
                root.mark_of(&violation.path)
            };
            Self {
                code: violation.code,
                file: file.to_owned(),
                mark,
                path: violation.path,
                message: violation.message,
                fix: violation.fix,
            }
        };
        found.into_iter().map(place).collect()
    }

    fn to_json(&self) -> Value {
        json!({
            "code": self.code,
            "file": self.file,
            "line": self.mark.line,
            "column": self.mark.column,
            "path": self.path.to_string(),
            "message": self.message,
            "fix": self.fix,
        })
    }
}

/// Control characters of a hostile file must not reach the terminal.
fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(file: &str, line: usize) -> Finding {
        Finding {
            code: "TL0110",
            file: file.into(),
            mark: Mark { line, column: 3 },
            path: Path::from(["sinks", "lake"]).key("foldr"),
            message: "unknown key `foldr`".into(),
            fix: "did you mean `folder`?".into(),
        }
    }

    #[test]
    fn findings_are_shown_file_by_file_from_top_to_bottom() {
        let report = Report::new(vec![finding("b", 9), finding("a", 5), finding("b", 2)]);
        let order: Vec<_> =
            report.findings().iter().map(|f| (f.file.as_str(), f.mark.line)).collect();
        assert_eq!(order, [("b", 2), ("b", 9), ("a", 5)]);
    }

    #[test]
    fn a_finding_reads_as_place_problem_and_fix() {
        let text = Report::new(vec![finding("throughline.yaml", 4)]).render(false);
        assert_eq!(
            text,
            "TL0110 throughline.yaml:4:3\n  sinks.lake.foldr: unknown key `foldr`\n  \
             fix: did you mean `folder`?\n1 problem\n"
        );
    }

    #[test]
    fn programs_get_the_same_as_json() {
        let json = Report::new(vec![finding("throughline.yaml", 4)]).to_json();
        assert_eq!(json[0]["line"], 4);
        assert_eq!(json[0]["path"], "sinks.lake.foldr");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut hostile = finding("throughline.yaml", 4);
        hostile.message = "unknown key `\x1b[2J`".into();
        assert!(!Report::new(vec![hostile]).render(false).contains('\x1b'));
    }
}
