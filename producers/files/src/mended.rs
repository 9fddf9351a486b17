//! Which version of a file a dead letter came from, and when a later one has mended it.

use throughline_connector::{Item, Reading};

use crate::hash::fnv;
use crate::job::{Job, Purpose, Step};
use crate::position::Version;

/// A number that tells versions of a file apart. Inode and ctime have no part in it: content that is put
/// back is the version that it was.
pub(crate) fn version(version: &Version) -> u64 {
    let Version { file: _, changed: _, size, modified, head, options } = version;
    let mut bytes = Vec::with_capacity(40);
    for number in [*size, modified.cast_unsigned(), head.len.into(), head.hash, *options] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    fnv(&bytes)
}

/// What a letter about this version of a file came from.
pub(crate) fn reading(name: &str, of: &Version) -> Reading {
    Reading { source: name.to_owned(), version: version(of) }
}

/// Says that what was wrong with other versions of the file is mended, when this step tells it: a
/// dump that was read to its end, a delivery that was mended in place, or an append-only file that
/// was refused and is read again.
pub(crate) fn whole(job: &Job, step: &Step, refused: bool) -> Option<Item> {
    let append = matches!(job.purpose, Purpose::Append { .. });
    let reading = match step {
        Step::Complete if job.mends => reading(&job.name, &job.version),
        // Its versions follow each other; letters about the file itself are of earlier ones.
        Step::Pause | Step::Waiting { .. } if append && refused => {
            Reading { source: job.name.clone(), version: 0 }
        }
        _ => return None,
    };
    Some(Item::ReadWhole { entity: job.entity, reading })
}

/// The same for a version that was read before and is back.
pub(crate) fn back(entity: usize, name: &str, of: &Version) -> Item {
    Item::ReadWhole { entity, reading: reading(name, of) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Mark;

    #[test]
    fn a_file_that_is_put_back_is_the_version_that_it_was() {
        let head = Mark { len: 3, hash: 7 };
        let was = Version { file: 1, size: 9, modified: -1, changed: 2, head, options: 5 };
        let back = Version { file: 2, changed: 3, ..was.clone() };
        assert_eq!(version(&was), version(&back));
        for other in [
            Version { size: 8, ..was.clone() },
            Version { modified: 1, ..was.clone() },
            Version { head: Mark { len: 4, ..head }, ..was.clone() },
            Version { head: Mark { hash: 8, ..head }, ..was.clone() },
            Version { options: 4, ..was.clone() },
        ] {
            assert_ne!(version(&was), version(&other), "{other:?}");
        }
    }
}
