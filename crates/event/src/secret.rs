//! Secrets: references in files, values only in memory.
//!
//! A file names where a secret lives ([`SecretRef`]) and never holds the secret itself, so that the
//! file can be shared, committed and put into a support bundle. The value ([`Secret`]) cannot be
//! serialised and shows itself as `[redacted]`.

use std::{borrow::Cow, fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Deserializer};

/// Where a secret comes from: `${env:NAME}` or `${file:path}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretRef {
    /// The environment variable of this name.
    Env(String),
    /// The content of this file, without the line break at its end.
    File(PathBuf),
}

/// The text is not a reference. It says nothing about the text, which may be the secret itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret is written as `${{env:NAME}}` or `${{file:path}}`, never as its value")]
pub struct NotAReference;

impl SecretRef {
    /// The pattern of a reference, for JSON Schema; a text that matches it can be parsed.
    pub const PATTERN: &'static str = r"^\$\{(env:[A-Za-z_][A-Za-z0-9_]*|file:[^}]+)\}$";

    /// Fetches the secret.
    ///
    /// # Errors
    /// When the source does not have it.
    pub fn resolve(&self, source: &dyn SecretSource) -> Result<Secret<String>, SecretError> {
        source.fetch(self)
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "${{env:{name}}}"),
            Self::File(path) => write!(f, "${{file:{}}}", path.display()),
        }
    }
}

impl FromStr for SecretRef {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        match inner.and_then(|inner| inner.split_once(':')) {
            Some(("env", name)) if is_variable(name) => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() && !path.contains('}') => {
                Ok(Self::File(path.into()))
            }
            _ => Err(NotAReference),
        }
    }
}

fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The reader's own message would repeat the value, which may be a secret.
        let text = String::deserialize(deserializer)
            .map_err(|_| serde::de::Error::custom(NotAReference))?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for SecretRef {
    fn schema_name() -> Cow<'static, str> {
        "SecretRef".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": Self::PATTERN})
    }
}

/// A secret value. It shows as `[redacted]`, cannot be serialised, and leaves only by
/// [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value that must not be shown.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the one call that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Where secrets are fetched from when a worker starts.
pub trait SecretSource {
    /// Fetches the secret that `reference` names.
    ///
    /// # Errors
    /// When it is not there, empty, or cannot be read.
    fn fetch(&self, reference: &SecretRef) -> Result<Secret<String>, SecretError>;
}

/// A secret could not be fetched. None of these ever holds the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable or the file does not exist.
    #[error("TL0031: {reference} does not exist; set it, or correct the reference")]
    Missing {
        /// The reference as it is written.
        reference: SecretRef,
    },
    /// The variable or the file is empty.
    #[error("TL0032: {reference} is empty")]
    Empty {
        /// The reference as it is written.
        reference: SecretRef,
    },
    /// The variable or the file is not UTF-8 text.
    #[error("TL0033: {reference} is not UTF-8 text")]
    NotText {
        /// The reference as it is written.
        reference: SecretRef,
    },
    /// The file is larger than any secret.
    #[error("TL0034: {reference} is larger than {limit} bytes, so it is no secret")]
    TooLarge {
        /// The reference as it is written.
        reference: SecretRef,
        /// The largest size that is read.
        limit: u64,
    },
    /// The file could not be read.
    #[error("TL0035: could not read {reference}; check its permissions")]
    Unreadable {
        /// The reference as it is written.
        reference: SecretRef,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_shown_alike() {
        for text in ["${env:SHOP_PASSWORD}", "${file:/run/secrets/shop}", "${file:./a b}"] {
            assert_eq!(text.parse::<SecretRef>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_but_a_reference_is_refused() {
        for text in ["hunter2", "${SHOP}", "${env:}", "${env:1A}", "${file:}", "x${env:A}", ""] {
            assert_eq!(text.parse::<SecretRef>(), Err(NotAReference), "{text}");
        }
    }

    #[test]
    fn a_refused_literal_is_not_repeated() {
        for written in ["\"hunter2\"", "48151623"] {
            let error = serde_json::from_str::<SecretRef>(written).unwrap_err().to_string();
            assert!(!error.contains("hunter2") && !error.contains("4815"), "{error}");
        }
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2"))), "Some([redacted])");
    }
}
