//! The generated pages of `docs/reference`.

use std::fs;

use anyhow::{Context, Result, bail};
use throughline_config::reference;

use crate::repo::Repo;

mod catalog;
mod codes;
mod metrics;

/// One generated file: its path and its content.
struct Page {
    path: &'static str,
    text: String,
}

fn pages(repo: &Repo) -> Result<Vec<Page>> {
    let mut schema = serde_json::to_string_pretty(&reference::schema(&catalog::Open))?;
    schema.push('\n');
    Ok(vec![
        Page { path: reference::SCHEMA_FILE, text: schema },
        Page { path: "docs/reference/config.md", text: reference::page(&catalog::Open) },
        Page { path: "docs/reference/metrics.md", text: metrics::page() },
        Page { path: "docs/reference/errors.md", text: codes::page(repo)? },
    ])
}

/// Writes every page that has changed.
pub(crate) fn write(repo: &Repo) -> Result<()> {
    for page in pages(repo)? {
        let path = repo.root.join(page.path);
        if fs::read_to_string(&path).ok().as_ref() != Some(&page.text) {
            fs::create_dir_all(path.parent().context("a page has no folder")?)?;
            fs::write(&path, page.text)
                .with_context(|| format!("could not write {}", page.path))?;
            println!("wrote {}", page.path);
        }
    }
    Ok(())
}

/// Fails when a page differs from what would be written.
pub(crate) fn check(repo: &Repo) -> Result<()> {
    let pages = pages(repo)?;
    let stale: Vec<&str> = pages
        .iter()
        .filter(|page| {
            fs::read_to_string(repo.root.join(page.path)).ok().as_ref() != Some(&page.text)
        })
        .map(|page| page.path)
        .collect();
    if !stale.is_empty() {
        bail!("out of date: {}; run `cargo xtask gen` and commit the result", stale.join(", "));
    }
    println!("{} generated files are up to date", pages.len());
    Ok(())
}
