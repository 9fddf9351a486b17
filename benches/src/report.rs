//! One result file, printed while it grows.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context, Result};

use crate::machine;

/// A file under `results/`.
pub(crate) struct Report {
    name: &'static str,
    text: String,
}

/// Whether a goal was reached.
pub(crate) struct Goal {
    pub(crate) what: String,
    pub(crate) goal: String,
    pub(crate) found: String,
    pub(crate) met: bool,
    /// Whether what was found lies so near the goal that noise alone could turn the verdict.
    pub(crate) close: bool,
}

impl Report {
    /// A report that begins with where its numbers come from.
    pub(crate) fn new(name: &'static str, title: &str) -> Self {
        let mut report = Self { name, text: String::new() };
        report.add(&format!("# {title}\n"));
        let facts = machine::describe();
        let rows: Vec<_> =
            facts.iter().map(|(what, fact)| vec![(*what).to_owned(), fact.clone()]).collect();
        report.table(&["what", "value"], &rows);
        report
    }

    /// A section's heading.
    pub(crate) fn heading(&mut self, text: &str) {
        self.add(&format!("## {text}\n"));
    }

    /// Some sentences.
    pub(crate) fn paragraph(&mut self, text: &str) {
        self.add(&format!("{text}\n"));
    }

    /// A table.
    pub(crate) fn table(&mut self, header: &[&str], rows: &[Vec<String>]) {
        let mut text = format!("| {} |\n|{}\n", header.join(" | "), " --- |".repeat(header.len()));
        for row in rows {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        self.add(&text);
    }

    /// The table of the goals.
    pub(crate) fn goals(&mut self, goals: &[Goal]) {
        self.heading("Goals");
        let verdict = |goal: &Goal| {
            let verdict = if goal.met { "met" } else { "**missed**" };
            if goal.close { format!("{verdict}, within the noise") } else { verdict.to_owned() }
        };
        let row = |goal: &Goal| {
            vec![goal.what.clone(), goal.goal.clone(), goal.found.clone(), verdict(goal)]
        };
        let rows: Vec<_> = goals.iter().map(row).collect();
        self.table(&["what", "goal", "found", ""], &rows);
    }

    /// Writes the file.
    pub(crate) fn write(self) -> Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        let path = folder.join(self.name).with_extension("md");
        let write = || {
            fs::create_dir_all(&folder)?;
            fs::write(&path, self.text.trim_end().to_owned() + "\n")
        };
        write().with_context(|| format!("could not write {}", path.display()))
    }

    fn add(&mut self, text: &str) {
        print(text);
        self.text.push_str(text);
        self.text.push('\n');
    }
}

/// Says what is going on; not part of a result.
#[expect(clippy::print_stderr, reason = "a bench talks to the one who started it")]
pub(crate) fn progress(text: &str) {
    eprintln!("... {text}");
}

#[expect(clippy::print_stdout, reason = "a bench prints its result")]
fn print(text: &str) {
    println!("{text}");
}

/// A whole number with separators.
pub(crate) fn whole(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = if number < 0.0 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with two digits behind the point.
pub(crate) fn fine(number: f64) -> String {
    format!("{number:.2}")
}

/// A share in percent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_separators() {
        assert_eq!(whole(0.4), "0");
        assert_eq!(whole(999.0), "999");
        assert_eq!(whole(1000.0), "1,000");
        assert_eq!(whole(-1_234_567.4), "-1,234,567");
    }
}
