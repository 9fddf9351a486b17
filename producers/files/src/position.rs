//! Where the producer is: what was read of which file. JSON text, committed with the events.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use throughline_connector::CaptureError;
use throughline_event::Position;

use crate::error::POSITION;
use crate::hash::fnv;
use crate::rows::Place;

/// The form of the position; another one is refused.
const FORM: u32 = 1;

/// Everything that is needed to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    form: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub entities: BTreeMap<String, EntityState>,
}

impl Default for State {
    fn default() -> Self {
        Self { form: FORM, entities: BTreeMap::new() }
    }
}

/// The files of one entity.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EntityState {
    /// Everything that was there at the start has been read: what follows is no snapshot.
    #[serde(default, skip_serializing_if = "is_false")]
    pub caught_up: bool,
    /// By name within the watched folder.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, FileState>,
    /// The deliveries that were read to their end and are still there.
    #[serde(default, skip_serializing_if = "Delivered::is_empty")]
    pub delivered: Delivered,
}

/// Deliveries that one position can hold: with the names of other files they take about two thirds
/// of the largest record.
pub(crate) const MOST_DELIVERED: usize = 50_000;

/// Dumps and append-only files that one position can hold, and deliveries that are refused.
pub(crate) const MOST_FILES: usize = MOST_DELIVERED / FILE_WEIGHT;

/// What one entry of [`EntityState::files`] takes in the position, counted in deliveries.
const FILE_WEIGHT: usize = 40;

impl EntityState {
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.delivered.is_empty()
    }

    /// How much of the position it takes, counted in deliveries.
    pub(crate) fn weight(&self) -> usize {
        self.delivered.0.len() + self.files.len() * FILE_WEIGHT
    }
}

/// Deliveries that were read, a number for each: whole entries of some thousand files would not fit
/// into one record.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Delivered(BTreeSet<u64>);

impl Delivered {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn holds(&self, digest: u64) -> bool {
        self.0.contains(&digest)
    }

    pub(crate) fn insert(&mut self, digest: u64) {
        self.0.insert(digest);
    }

    /// Keeps those that are still there; returns the others.
    pub(crate) fn retain(&mut self, there: &BTreeSet<u64>) -> BTreeSet<u64> {
        self.0.extract_if(.., |digest| !there.contains(digest)).collect()
    }
}

/// Each number is eleven characters of six bits.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const DIGITS_OF_EACH: usize = 11;

impl Serialize for Delivered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(self.0.len() * DIGITS_OF_EACH);
        for digest in &self.0 {
            let digit = |at: usize| DIGITS[(digest >> (6 * at) & 63) as usize];
            text.extend((0..DIGITS_OF_EACH).map(|at| char::from(digit(at))));
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Delivered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let number = |digits: &[u8]| {
            digits.iter().rev().try_fold(0_u64, |number, digit| {
                let value = DIGITS.iter().position(|known| known == digit)?;
                Some(number << 6 | value as u64)
            })
        };
        let (numbers, rest) = text.as_bytes().as_chunks::<DIGITS_OF_EACH>();
        let all: Option<BTreeSet<u64>> = numbers.iter().map(|digits| number(digits)).collect();
        match all {
            Some(all) if rest.is_empty() => Ok(Self(all)),
            _ => Err(serde::de::Error::custom("the list of deliveries is damaged")),
        }
    }
}

/// One file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileState {
    /// The version that was read to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Version>,
    /// How many keys it had.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub keys: u64,
    /// The version that was refused as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Version>,
    /// The code it was refused with; empty in positions that were written without it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub refused_with: String,
    /// The version that is being read; for an append-only file it always is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Underway>,
}

impl FileState {
    pub(crate) fn refuse(&mut self, version: Version, code: &str) {
        (self.refused, self.refused_with) = (Some(version), code.to_owned());
    }

    /// What was refused is not refused any more.
    pub(crate) fn accept(&mut self) {
        (self.refused, self.refused_with) = (None, String::new());
    }

    /// Whether another version than this one was refused, or begun and not read to its end.
    pub(crate) fn unread_but(&self, version: &Version) -> bool {
        let other = |known: &Version| known != version;
        self.refused.as_ref().is_some_and(other)
            || self.reading.as_ref().is_none_or(|reading| other(&reading.version))
    }
}

/// What a file is, as far as it can be told without reading all of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Version {
    /// The inode.
    pub file: u64,
    /// Bytes.
    pub size: u64,
    /// Modification time, nanoseconds since the epoch.
    pub modified: i64,
    /// When its description changed (ctime), nanoseconds since the epoch; of a dump only. It tells
    /// of a file that was written over in place and given the same size and time.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub changed: i64,
    /// The first bytes; the hash is of the last ones too where the file is complete.
    pub head: Mark,
    /// The options it was read with.
    pub options: u64,
}

impl Version {
    /// The number that stands for a delivery with this content, whatever its name.
    pub(crate) fn digest(&self) -> u64 {
        let Mark { len, hash } = self.head;
        fnv(format!("{} {} {len} {hash}", self.size, self.modified).as_bytes())
    }
}

/// Some bytes of a file, to know them again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// How many.
    pub len: u32,
    /// Their FNV-1a hash.
    pub hash: u64,
}

/// How far a version was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Underway {
    pub version: Version,
    /// The last bytes that were read, of an append-only file.
    #[serde(default)]
    pub tail: Mark,
    pub progress: Progress,
}

/// A place in a file, and the counts that decide about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The byte behind the last row; 0 for what has to be read from its begin again.
    pub offset: u64,
    /// The line there.
    pub line: u64,
    /// The rest of the line was refused already.
    #[serde(default, skip_serializing_if = "is_false")]
    pub skipping: bool,
    /// Rejections so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rejected: u64,
    /// Good rows so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub good: u64,
    /// Rows in the current stretch that quarantine looks at.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stretch: u64,
    /// Bad ones among them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stretch_bad: u64,
}

impl Progress {
    pub(crate) const START: Self = Self {
        offset: 0,
        line: 1,
        skipping: false,
        rejected: 0,
        good: 0,
        stretch: 0,
        stretch_bad: 0,
    };

    pub(crate) fn place(&self) -> Place {
        Place { offset: self.offset, line: self.line, skipping: self.skipping }
    }

    pub(crate) fn move_to(&mut self, place: Place) {
        (self.offset, self.line, self.skipping) = (place.offset, place.line, place.skipping);
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_nothing(value: &i64) -> bool {
    *value == 0
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl State {
    pub(crate) fn from_position(position: &Position) -> Result<Self, CaptureError> {
        let refused = |problem: String| CaptureError::Halt {
            code: POSITION,
            problem,
            fix: "start the version that wrote it, or reset the producer's position".to_owned(),
        };
        let state: Self = serde_json::from_str(position.as_str())
            .map_err(|error| refused(format!("the stored position cannot be read: {error}")))?;
        if state.form != FORM {
            return Err(refused(format!(
                "the stored position has form {}, not {FORM}",
                state.form
            )));
        }
        Ok(state)
    }

    pub(crate) fn to_position(&self) -> Position {
        let text = serde_json::to_string(self);
        Position::new(text.expect("maps of strings and numbers have a JSON form"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_as_it_was() {
        let head = Mark { len: 3, hash: u64::MAX };
        let version =
            Version { file: u64::MAX, size: 9, modified: -1, changed: 3, head, options: 5 };
        let progress = Progress { offset: 4, skipping: true, stretch_bad: 2, ..Progress::START };
        let reading = Underway { version: version.clone(), tail: head, progress };
        let file =
            FileState { applied: Some(version), reading: Some(reading), ..Default::default() };
        let mut state = State::default();
        let entity = state.entities.entry("order".to_owned()).or_default();
        entity.files.insert("orders.csv".to_owned(), file);
        for digest in [0, 1, u64::MAX] {
            entity.delivered.insert(digest);
        }
        assert_eq!(State::from_position(&state.to_position()).unwrap(), state);
    }

    #[test]
    fn a_foreign_position_halts_with_its_code() {
        let damaged = r#"{"form":1,"entities":{"a":{"delivered":"AAAAAAAAAAA?"}}}"#;
        for text in ["", "{}", "{\"form\":2}", "7", damaged] {
            let error = State::from_position(&Position::new(text)).unwrap_err();
            assert!(error.to_string().starts_with("TL1005"), "{error}");
        }
    }
}
