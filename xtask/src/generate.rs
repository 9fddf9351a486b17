//! The generated pages of `docs/reference`.
//!
//! Error pages are made from the sources. Everything else is what the program says of itself: it
//! alone knows its connectors and its metrics.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::repo::Repo;

mod codes;
mod texts;

/// One generated file: its path and its content.
#[derive(Debug)]
struct Page {
    path: String,
    text: String,
}

/// What `throughline reference` prints, and the file that holds it.
const PROGRAM: [(&str, &str); 3] = [
    ("schema", "docs/reference/throughline.schema.json"),
    ("config", "docs/reference/config.md"),
    ("metrics", "docs/reference/metrics.md"),
];

fn pages(repo: &Repo) -> Result<Vec<Page>> {
    let program = program(repo)?;
    let mut pages = codes::pages(repo)?;
    for (what, path) in PROGRAM {
        let output = Command::new(&program).args(["reference", what]).output();
        let output = output.with_context(|| format!("could not start {}", program.display()))?;
        if !output.status.success() {
            bail!("`throughline reference {what}`: {}", String::from_utf8_lossy(&output.stderr));
        }
        pages.push(Page { path: path.to_owned(), text: String::from_utf8(output.stdout)? });
    }
    Ok(pages)
}

/// The program as the tests have it: asking for the same build as they do compiles nothing twice.
fn program(repo: &Repo) -> Result<PathBuf> {
    let arguments = ["test", "--locked", "--workspace", "--no-run", "--quiet"];
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(&repo.root)
        .args(arguments)
        .arg("--message-format=json-render-diagnostics")
        .env("CARGO_INCREMENTAL", "0")
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("could not start cargo")?;
    if !output.status.success() {
        bail!("the program does not build");
    }
    let messages = String::from_utf8(output.stdout)?;
    messages.lines().find_map(executable).context("the build made no program `throughline`")
}

/// The program in a message of cargo, when the message is about it and not about its tests.
fn executable(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let ours = message.pointer("/target/name")? == "throughline"
        && message.pointer("/target/kind/0")? == "bin"
        && message.pointer("/profile/test")? == false;
    message.get("executable").filter(|_| ours)?.as_str().map(PathBuf::from)
}

/// Writes every page that has changed, and removes those whose reason is gone.
pub(crate) fn write(repo: &Repo) -> Result<()> {
    let pages = pages(repo)?;
    for page in &pages {
        let path = repo.root.join(&page.path);
        if fs::read_to_string(&path).ok().as_ref() != Some(&page.text) {
            fs::create_dir_all(path.parent().context("a page has no folder")?)?;
            fs::write(&path, &page.text)
                .with_context(|| format!("could not write {}", page.path))?;
            println!("wrote {}", page.path);
        }
    }
    for path in leftovers(repo, &pages)? {
        fs::remove_file(repo.root.join(&path))?;
        println!("removed {path}");
    }
    Ok(())
}

/// Fails when a page differs from what would be written.
pub(crate) fn check(repo: &Repo) -> Result<()> {
    let pages = pages(repo)?;
    let differs = |page: &&Page| {
        fs::read_to_string(repo.root.join(&page.path)).ok() != Some(page.text.clone())
    };
    let mut stale: Vec<String> =
        pages.iter().filter(differs).map(|page| page.path.clone()).collect();
    stale.extend(leftovers(repo, &pages)?);
    if !stale.is_empty() {
        bail!("out of date: {}; run `cargo xtask gen` and commit the result", stale.join(", "));
    }
    println!("{} generated files are up to date", pages.len());
    Ok(())
}

/// Error pages of codes that are no more.
fn leftovers(repo: &Repo, pages: &[Page]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(repo.root.join(codes::FOLDER))? {
        let path = format!("{}/{}", codes::FOLDER, entry?.file_name().to_string_lossy());
        if !pages.iter().any(|page| page.path == path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_told_from_its_tests_and_from_other_programs() {
        let message = |name: &str, test: bool| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"kind":["bin"],"name":"{name}"}},"profile":{{"test":{test}}},"executable":"/x/{name}"}}"#
            )
        };
        assert_eq!(executable(&message("throughline", false)), Some("/x/throughline".into()));
        assert_eq!(executable(&message("throughline", true)), None);
        assert_eq!(executable(&message("throughline-xtask", false)), None);
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(executable("warning: not JSON"), None);
    }
}
