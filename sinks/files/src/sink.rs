//! The sink: partitions in, files out.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use throughline_connector::{
    BoxError, ConnectError, DeliverError, Holding, Receipt, Sink, SinkContext,
};
use throughline_event::{Offset, Record, RecordBatch, TopicPartition};

use crate::error::{FOLDER, away, taken_away};
use crate::lane::Lane;
use crate::listing::{extension, last};
use crate::options::{FilesOptions, Settings};

/// The file that one worker holds locked.
const LOCK: &str = ".lock";

/// A file's device, and its number there.
type FileId = (u64, u64);

/// Writes canonical records to the files of one folder.
#[derive(Debug)]
pub struct FilesSink {
    settings: Settings,
    lanes: Vec<Lane>,
    /// The lane of the last record: most records of a batch are of one partition.
    last: usize,
    /// Held as long as the sink lives; released by the system when the process dies.
    _lock: File,
    /// Which file that is.
    lock_id: FileId,
}

impl Sink for FilesSink {
    const KIND: &'static str = "files";
    type Options = FilesOptions;

    async fn connect(mut settings: Settings, cx: SinkContext) -> Result<Self, ConnectError> {
        settings.folder = cx.path(&settings.folder);
        let (lock, lock_id) = lock(&settings.folder)?;
        Ok(Self { settings, lanes: Vec::new(), last: 0, _lock: lock, lock_id })
    }

    /// The lock is not tried: the worker that holds it may be this one, running.
    async fn check(settings: Settings, cx: SinkContext) -> Result<(), ConnectError> {
        let folder = cx.path(&settings.folder);
        // A folder that is missing is made by `connect`, inside of the first one that is there.
        let existing = folder.ancestors().find(|at| at.exists()).unwrap_or(Path::new("."));
        let probe = existing.join(format!(".throughline-check-{}", std::process::id()));
        let written = OpenOptions::new().create_new(true).write(true).open(&probe);
        written.and_then(|_| fs::remove_file(&probe)).map_err(|error| {
            unreachable(&folder, error.into(), "create the folder and let this user write to it")
        })
    }

    async fn holds(
        settings: Settings,
        cx: SinkContext,
        at: &TopicPartition,
    ) -> Result<Option<Holding>, DeliverError> {
        let folder = cx.path(&settings.folder);
        let folder = folder.join(at.topic.as_str());
        let remove = folder.join(format!("{}-*.{}", at.partition, extension(settings.format)));
        let last = last(&folder, at.partition, settings.format)?;
        let holding =
            |last: Offset| Holding { next: last.next(), remove: remove.display().to_string() };
        Ok(last.map(holding))
    }

    async fn assigned(&mut self, partitions: &[TopicPartition]) -> Result<Receipt, DeliverError> {
        self.is_there()?;
        let mut receipt = Receipt::default();
        for partition in partitions {
            self.forget(std::slice::from_ref(partition));
            receipt.next.extend(self.open(partition)?.map(|next| (partition.clone(), next)));
        }
        Ok(receipt)
    }

    fn has_seen(&self, partition: &TopicPartition) -> bool {
        self.lanes.iter().any(|lane| lane.partition == *partition && lane.has_seen())
    }

    async fn revoked(&mut self, partitions: &[TopicPartition]) {
        self.forget(partitions);
    }

    async fn deliver(&mut self, batch: &RecordBatch) -> Result<Receipt, DeliverError> {
        self.is_there()?;
        for record in batch.iter() {
            let at = self.lane(&record)?;
            self.lanes[at].take(&record, &self.settings)?;
        }
        self.settle(false)
    }

    async fn retry(&mut self, record: &Record<'_>) -> Result<bool, DeliverError> {
        self.is_there()?;
        let at = self.lane(record)?;
        self.lanes[at].retry(record, &self.settings)
    }

    fn flush_due(&self) -> Option<Duration> {
        self.lanes.iter().filter_map(|lane| lane.due(self.settings.roll.max_age)).min()
    }

    async fn flush(&mut self, all: bool) -> Result<Receipt, DeliverError> {
        self.is_there()?;
        self.settle(all)
    }
}

impl FilesSink {
    fn settle(&mut self, all: bool) -> Result<Receipt, DeliverError> {
        for lane in &mut self.lanes {
            lane.settle(&self.settings, all)?;
        }
        // What was written meanwhile may be in a folder that nobody sees.
        self.found().map_err(|error| taken_away(&self.settings.folder, error))?;
        let durable = |lane: &mut Lane| lane.report().map(|next| (lane.partition.clone(), next));
        Ok(Receipt { next: self.lanes.iter_mut().filter_map(durable).collect() })
    }

    /// Whether the folder is still the one that was locked. One that was removed or unmounted would
    /// be made anew, and hold the end of the records without their beginning.
    fn is_there(&self) -> Result<(), DeliverError> {
        self.found().map_err(|error| away(&self.settings.folder, error))
    }

    /// Finds the lock that was taken. An error of the kind `NotFound` when it is not there, another
    /// one when the file system does not tell.
    fn found(&self) -> io::Result<()> {
        let found = fs::metadata(self.settings.folder.join(LOCK))?;
        if id(&found) == self.lock_id {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "its lock is another file"))
    }

    fn forget(&mut self, partitions: &[TopicPartition]) {
        self.lanes.retain(|lane| !partitions.contains(&lane.partition));
    }

    fn open(&mut self, partition: &TopicPartition) -> Result<Option<Offset>, DeliverError> {
        let (lane, next) = Lane::open(partition.clone(), &self.settings)?;
        self.lanes.push(lane);
        Ok(next)
    }

    fn lane(&mut self, record: &Record<'_>) -> Result<usize, DeliverError> {
        let of = |lane: &Lane| {
            lane.partition.partition == record.partition && lane.partition.topic == *record.topic
        };
        if !self.lanes.get(self.last).is_some_and(of) {
            self.last = match self.lanes.iter().position(of) {
                Some(at) => at,
                None => {
                    let (topic, partition) = (record.topic.clone(), record.partition);
                    self.open(&TopicPartition { topic, partition })?;
                    self.lanes.len() - 1
                }
            };
        }
        Ok(self.last)
    }
}

fn unreachable(folder: &Path, cause: BoxError, fix: &str) -> ConnectError {
    ConnectError::Unreachable {
        code: FOLDER,
        target: folder.display().to_string(),
        fix: fix.to_owned(),
        cause,
    }
}

fn id(file: &Metadata) -> FileId {
    (file.dev(), file.ino())
}

fn lock(folder: &Path) -> Result<(File, FileId), ConnectError> {
    let opened = fs::create_dir_all(folder).and_then(|()| {
        let path = folder.join(LOCK);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        let id = id(&file.metadata()?);
        Ok((file, id))
    });
    let (file, id) = opened.map_err(|error| {
        unreachable(folder, error.into(), "create the folder and let this user write to it")
    })?;
    match file.try_lock() {
        Ok(()) => Ok((file, id)),
        Err(TryLockError::WouldBlock) => {
            let cause = io::Error::from(io::ErrorKind::WouldBlock);
            let fix = "another worker writes to it: give each worker a folder of its own";
            Err(unreachable(folder, cause.into(), fix))
        }
        Err(TryLockError::Error(error)) => {
            Err(unreachable(folder, error.into(), "use a file system that has locks"))
        }
    }
}
