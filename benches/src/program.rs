//! The program that is measured, and folders for what it writes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::report::progress;

/// Builds the program as the README does and returns where it is: beside this one.
pub(crate) fn build() -> Result<PathBuf> {
    progress("cargo builds the program");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--release", "--quiet", "--package", "throughline-cli"])
        .status()
        .context("could not start cargo")?;
    ensure!(status.success(), "the program could not be built, {status}");
    let program = profile_folder()?.join("throughline");
    ensure!(program.is_file(), "cargo did not write {}", program.display());
    Ok(program)
}

/// The same program as packages ship it, when it has been built.
pub(crate) fn dist() -> Result<Option<PathBuf>> {
    let program = target_folder()?.join("dist/throughline");
    Ok(program.is_file().then_some(program))
}

/// A new folder on the disk of the target folder: a temporary folder may be memory.
pub(crate) fn data_folder() -> Result<TempDir> {
    let parent = target_folder()?.join("benches");
    fs::create_dir_all(&parent)
        .with_context(|| format!("could not create {}", parent.display()))?;
    tempfile::Builder::new()
        .prefix("data-")
        .tempdir_in(&parent)
        .context("could not create a folder")
}

/// What one run left in the page cache is not written during another.
pub(crate) fn sync() -> Result<()> {
    let status = Command::new("sync").status().context("could not start sync")?;
    ensure!(status.success(), "sync failed, {status}");
    Ok(())
}

fn profile_folder() -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program has no path")?;
    Ok(own.parent().unwrap_or(Path::new("/")).to_owned())
}

fn target_folder() -> Result<PathBuf> {
    Ok(profile_folder()?.parent().unwrap_or(Path::new("/")).to_owned())
}
