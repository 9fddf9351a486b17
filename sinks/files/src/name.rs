//! File names: `<partition>-<first offset>-<last offset>.<extension>`, so that a listing says what
//! the folder holds.

use throughline_event::{Offset, PartitionId};

/// The offsets of a finished file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub partition: PartitionId,
    /// Its first record.
    pub first: Offset,
    /// Its last record; the next file begins behind it.
    pub last: Offset,
}

impl Name {
    /// As many digits as an offset can have, so that names sort as offsets do.
    pub(crate) fn file(&self, extension: &str) -> String {
        let Self { partition, first, last } = self;
        format!("{partition}-{:020}-{:020}.{extension}", first.0, last.0)
    }

    /// Nothing for a name that is not one of ours.
    pub(crate) fn parse(file: &str, extension: &str) -> Option<Self> {
        let stem = file.strip_suffix(extension)?.strip_suffix('.')?;
        let mut parts = stem.split('-');
        let (partition, first, last) = (parts.next()?, parts.next()?, parts.next()?);
        let number = |part: &str| -> Option<i64> {
            part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
        };
        let name = Self {
            partition: PartitionId(i32::try_from(number(partition)?).ok()?),
            first: Offset(number(first)?),
            last: Offset(number(last)?),
        };
        let whole = parts.next().is_none() && name.first <= name.last;
        (whole && name.last.0 < i64::MAX && name.file(extension) == file).then_some(name)
    }
}

/// The hidden name of a file that is being written.
pub(crate) fn hidden(partition: PartitionId, first: Offset, attempt: u32) -> String {
    format!(".{partition}-{}-{attempt}.tmp", first.0)
}

/// The hidden name of the mark that a partition was delivered.
pub(crate) fn mark(partition: PartitionId) -> String {
    format!(".{partition}.delivered")
}

/// Whether a name is that of a file that was being written, of this partition.
pub(crate) fn is_hidden(file: &str, partition: PartitionId) -> bool {
    let own = |name: &str| name.strip_suffix(".tmp").map(str::to_owned);
    file.strip_prefix('.')
        .and_then(own)
        .and_then(|name| name.split('-').next().map(|p| p == partition.0.to_string()))
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_the_file_holds() {
        let name = Name { partition: PartitionId(3), first: Offset(0), last: Offset(41) };
        let file = name.file("jsonl");
        assert_eq!(file, "3-00000000000000000000-00000000000000000041.jsonl");
        assert_eq!(Name::parse(&file, "jsonl"), Some(name));
    }

    #[test]
    fn other_names_are_foreign() {
        for foreign in [
            "",
            ".jsonl",
            "a.jsonl",
            "3-1-2.jsonl",
            "3-00000000000000000002-00000000000000000001.jsonl",
            "3-00000000000000000000-00000000000000000041.parquet",
            "-3-00000000000000000000-00000000000000000041.jsonl",
            "3-00000000000000000000-09223372036854775807.jsonl",
            "3-00000000000000000000-00000000000000000041-1.jsonl",
        ] {
            assert_eq!(Name::parse(foreign, "jsonl"), None, "{foreign}");
        }
    }

    #[test]
    fn only_hidden_files_of_the_partition_are_leftovers() {
        assert!(is_hidden(&hidden(PartitionId(3), Offset(7), 1), PartitionId(3)));
        for other in [".33-7-1.tmp", "3-7-1.tmp", ".3-7-1.jsonl", ".lock", ".tmp"] {
            assert!(!is_hidden(other, PartitionId(3)), "{other}");
        }
    }
}
