//! Files that earlier versions accepted must be accepted for ever.

use std::{fs, path::Path};

use crate::catalog::TestCatalog;

#[test]
fn every_file_of_version_1_still_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/v1");
    let mut files: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        let config = throughline_config::load(&file, &TestCatalog);
        assert!(config.is_ok(), "{}", config.unwrap_err());
    }
}
