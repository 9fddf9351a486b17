//! What no compiler checks.

use anyhow::{Result, bail};

use crate::repo::Repo;

mod dependencies;
mod files;

/// Checks the repository and lists everything that is out of order.
pub(crate) fn run(repo: &Repo) -> Result<()> {
    let members = repo.members()?;
    let mut problems = dependencies::check(&members);
    for path in repo.rust_files()? {
        problems.extend(files::check(&path, &repo.read(&path)?));
    }
    problems.extend(files::unused_exceptions(repo)?);
    for problem in &problems {
        println!("{problem}");
    }
    if !problems.is_empty() {
        bail!("{} problems", problems.len());
    }
    println!("{} crates are in order", members.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_keeps_its_dependency_direction() {
        let members = Repo::here().unwrap().members().unwrap();
        assert_eq!(dependencies::check(&members), [""; 0]);
    }
}
