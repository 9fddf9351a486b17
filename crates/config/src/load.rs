//! From a file to a [`Config`] or to everything that is wrong with it.

use std::{fs, io::Read, path::Path};

use crate::{Catalog, Config, Finding, Report, check, codes, yaml};

/// Reads and checks a file.
///
/// # Errors
/// Everything that is wrong with it and with the packs that it names.
pub fn load(file: &Path, catalog: &dyn Catalog) -> Result<Config, Report> {
    let name = file.display().to_string();
    let bytes = bounded(file).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let (message, fix) = if missing {
            ("the file does not exist".to_owned(), "`throughline init` writes a first one")
        } else {
            (format!("the file could not be read: {error}"), "check its permissions")
        };
        Report::new(vec![Finding {
            code: codes::UNREADABLE,
            file: name.clone(),
            mark: yaml::Mark::START,
            path: throughline_event::Path::root(),
            message,
            fix: fix.to_owned(),
        }])
    })?;
    let folder = file.parent().unwrap_or(Path::new(""));
    read(&name, &bytes, folder, catalog)
}

/// Checks the bytes of a file that is called `name` and stands in `folder`.
///
/// # Errors
/// Everything that is wrong with it and with the packs that it names.
pub fn read(
    name: &str,
    bytes: &[u8],
    folder: &Path,
    catalog: &dyn Catalog,
) -> Result<Config, Report> {
    let mut findings = Vec::new();
    let Some(root) = yaml::parse(name, bytes, &mut findings) else {
        return Err(Report::new(findings));
    };
    let checked = check::check(&root, folder, catalog);
    findings.extend(Finding::placed(name, &root, checked.found));
    findings.extend(checked.pack_findings);
    match checked.config {
        Some(config) if findings.is_empty() => Ok(config),
        _ => Err(Report::new(findings)),
    }
}

/// Reads one byte more than is allowed, so that a larger file is noticed and never held.
pub(crate) fn bounded(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(yaml::MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
