//! Secrets from the environment and from files.

use std::{env, fs::File, io::Read};

use throughline_event::{Secret, SecretError, SecretRef, SecretSource};

/// Larger than any key or token, and small enough for a wrong file to do no harm.
const MAX_BYTES: u64 = 64 * 1024;

/// Reads the environment and the file system of this process, each time it is asked: a rotated file
/// is seen by the next worker that starts.
///
/// Relative paths start at the folder of the configuration file.
#[derive(Debug, Clone)]
pub struct ProcessSecrets {
    folder: std::path::PathBuf,
}

impl ProcessSecrets {
    /// Files are looked up from `folder`, the folder of the configuration file.
    pub fn new(folder: impl Into<std::path::PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn read_file(
        &self,
        reference: &SecretRef,
        path: &std::path::Path,
    ) -> Result<String, SecretError> {
        let unreadable = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::NotFound => SecretError::Missing { reference: reference.clone() },
            _ => SecretError::Unreadable { reference: reference.clone(), source },
        };
        let file = File::open(self.folder.join(path)).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(SecretError::TooLarge { reference: reference.clone(), limit: MAX_BYTES });
        }
        String::from_utf8(bytes).map_err(|_| SecretError::NotText { reference: reference.clone() })
    }
}

impl SecretSource for ProcessSecrets {
    fn fetch(&self, reference: &SecretRef) -> Result<Secret<String>, SecretError> {
        let text = match reference {
            SecretRef::Env(name) => env::var(name).map_err(|error| match error {
                env::VarError::NotPresent => SecretError::Missing { reference: reference.clone() },
                env::VarError::NotUnicode(_) => {
                    SecretError::NotText { reference: reference.clone() }
                }
            })?,
            SecretRef::File(path) => self.read_file(reference, path)?,
        };
        // Editors and `echo` end a file with a line break that is not part of the secret.
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err(SecretError::Empty { reference: reference.clone() });
        }
        Ok(Secret::new(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetch(folder: &std::path::Path, text: &str) -> Result<Secret<String>, SecretError> {
        ProcessSecrets::new(folder).fetch(&text.parse().unwrap())
    }

    #[test]
    fn a_file_gives_its_text_without_the_line_break_at_its_end() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "hunter2\r\n").unwrap();
        assert_eq!(fetch(folder.path(), "${file:token}").unwrap().expose(), "hunter2");
    }

    #[test]
    fn the_environment_gives_its_variable() {
        // Cargo sets this one for every test.
        let name = fetch("/".as_ref(), "${env:CARGO_PKG_NAME}").unwrap();
        assert_eq!(name.expose(), "throughline-config");
    }

    #[test]
    fn what_cannot_be_fetched_is_named_by_its_reference() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes);
        write("empty", b"\n").unwrap();
        write("binary", &[0xff]).unwrap();
        write("large", &vec![b'x'; 70_000]).unwrap();
        let error = |text: &str| fetch(folder.path(), text).unwrap_err();
        assert!(matches!(error("${file:empty}"), SecretError::Empty { .. }));
        assert!(matches!(error("${file:binary}"), SecretError::NotText { .. }));
        assert!(matches!(error("${file:large}"), SecretError::TooLarge { .. }));
        assert!(matches!(error("${file:.}"), SecretError::Unreadable { .. }));
        assert!(matches!(error("${env:THROUGHLINE_NOT_SET}"), SecretError::Missing { .. }));
        let missing = error("${file:absent}");
        assert!(matches!(missing, SecretError::Missing { .. }));
        let said = missing.to_string();
        assert!(said.starts_with("TL0031: ${file:absent} does not exist"), "{said}");
    }
}
