//! The state behind [`super::FaultyFiles`].

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::FaultCounts;

/// A change of a file's bytes that is not on the disk.
#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    SetLen(usize),
}

/// A file's bytes, on the disk and in the cache.
#[derive(Debug, Default)]
struct Content {
    durable: Vec<u8>,
    cached: Vec<u8>,
    changes: Vec<Change>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

/// A change of names that is not on the disk.
#[derive(Clone, Debug)]
enum NameChange {
    Add(PathBuf, Node),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

type Names = BTreeMap<PathBuf, Node>;

#[derive(Debug)]
pub(super) struct Disk {
    random: SmallRng,
    files: Vec<Content>,
    names: Names,
    durable_names: Names,
    journal: Vec<NameChange>,
    pub(super) life: u64,
    pub(super) locked_by: Option<u64>,
    pub(super) crash_in: Option<u64>,
    pub(super) crashed: bool,
    pub(super) capacity: Option<u64>,
    pub(super) failing_syncs: u32,
    pub(super) failing_writes: u32,
    pub(super) counts: FaultCounts,
}

fn crash() -> io::Error {
    io::Error::other("simulated crash")
}

fn input_output() -> io::Error {
    io::Error::other("simulated input/output error")
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { at, bytes: written } => {
            let end = at + written.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*at..end].copy_from_slice(written);
        }
        Change::SetLen(len) => bytes.resize(*len, 0),
    }
}

fn apply_name(names: &mut Names, change: &NameChange) {
    match change {
        NameChange::Add(path, node) => {
            names.insert(path.clone(), *node);
        }
        NameChange::Remove(path) => names.retain(|name, _| !name.starts_with(path)),
        NameChange::Rename(from, to) => {
            let moved: Vec<_> = names
                .iter()
                .filter_map(|(name, node)| Some((name.strip_prefix(from).ok()?.to_owned(), *node)))
                .collect();
            if moved.is_empty() {
                return;
            }
            names.retain(|name, _| !name.starts_with(from) && !name.starts_with(to));
            for (rest, node) in moved {
                // Joining an empty path would add a separator.
                let name = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
                names.insert(name, node);
            }
        }
    }
}

impl NameChange {
    /// Whether syncing this folder makes the change durable.
    fn in_folder(&self, folder: &Path) -> bool {
        match self {
            Self::Add(path, _) | Self::Remove(path) => path.parent() == Some(folder),
            Self::Rename(from, to) => from.parent() == Some(folder) || to.parent() == Some(folder),
        }
    }
}

impl Disk {
    pub(super) fn new(seed: u64) -> Self {
        let root = Names::from([(PathBuf::from("/"), Node::Folder)]);
        Self {
            random: SmallRng::seed_from_u64(seed),
            files: Vec::new(),
            names: root.clone(),
            durable_names: root,
            journal: Vec::new(),
            life: 0,
            locked_by: None,
            crash_in: None,
            crashed: false,
            capacity: None,
            failing_syncs: 0,
            failing_writes: 0,
            counts: FaultCounts::default(),
        }
    }

    pub(super) fn check_alive(&self, life: u64) -> io::Result<()> {
        if self.crashed || life != self.life { Err(crash()) } else { Ok(()) }
    }

    /// Counts a change; an error when the crash point is reached.
    fn step(&mut self) -> io::Result<()> {
        self.check_alive(self.life)?;
        match &mut self.crash_in {
            Some(0) => {
                self.crash_in = None;
                self.crashed = true;
                self.counts.crash_points += 1;
                Err(crash())
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn content(&self, file: usize) -> &[u8] {
        &self.files[file].cached
    }

    fn used(&self) -> u64 {
        let file = |node: &Node| match node {
            Node::File(file) => Some(self.files[*file].cached.len() as u64),
            Node::Folder => None,
        };
        self.names.values().filter_map(file).sum()
    }

    pub(super) fn available(&self) -> u64 {
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used()))
    }

    fn write(&mut self, file: usize, bytes: &[u8]) {
        let content = &mut self.files[file];
        let change = Change::Write { at: content.cached.len(), bytes: bytes.to_vec() };
        apply(&mut content.cached, &change);
        content.changes.push(change);
    }

    pub(super) fn append(&mut self, file: usize, bytes: &[u8]) -> io::Result<()> {
        let part = self.random.random_range(0..=bytes.len());
        let before = self.crashed;
        if let Err(error) = self.step() {
            if !before {
                self.write(file, &bytes[..part]);
            }
            return Err(error);
        }
        if self.failing_writes > 0 {
            self.failing_writes -= 1;
            self.counts.write_errors += 1;
            self.write(file, &bytes[..part]);
            return Err(input_output());
        }
        let room = usize::try_from(self.available()).unwrap_or(usize::MAX);
        if room < bytes.len() {
            self.counts.disk_full += 1;
            self.write(file, &bytes[..room]);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.write(file, bytes);
        Ok(())
    }

    pub(super) fn set_len(&mut self, file: usize, len: usize) -> io::Result<()> {
        self.step()?;
        let content = &mut self.files[file];
        let change = Change::SetLen(len);
        apply(&mut content.cached, &change);
        content.changes.push(change);
        Ok(())
    }

    pub(super) fn sync(&mut self, file: usize) -> io::Result<()> {
        self.step()?;
        let content = &mut self.files[file];
        let changes = std::mem::take(&mut content.changes);
        if self.failing_syncs > 0 {
            // The pages count as clean from now on, but never reached the disk.
            self.failing_syncs -= 1;
            self.counts.sync_errors += 1;
            return Err(input_output());
        }
        changes.iter().for_each(|change| apply(&mut content.durable, change));
        Ok(())
    }

    fn change_name(&mut self, change: NameChange) {
        apply_name(&mut self.names, &change);
        self.journal.push(change);
    }

    pub(super) fn open(&mut self, path: &Path, create: bool) -> io::Result<usize> {
        self.check_alive(self.life)?;
        match self.names.get(path) {
            Some(Node::File(file)) => return Ok(*file),
            Some(Node::Folder) => return Err(io::ErrorKind::IsADirectory.into()),
            None => {}
        }
        let parent = path.parent().and_then(|parent| self.names.get(parent));
        if !create || parent != Some(&Node::Folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.step()?;
        self.files.push(Content::default());
        let file = self.files.len() - 1;
        self.change_name(NameChange::Add(path.to_owned(), Node::File(file)));
        Ok(file)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        if !self.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change_name(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.check_alive(self.life)?;
        if self.names.contains_key(path) {
            self.step()?;
            self.change_name(NameChange::Remove(path.to_owned()));
        }
        Ok(())
    }

    pub(super) fn create_folder(&mut self, path: &Path) -> io::Result<()> {
        let mut missing: Vec<_> =
            path.ancestors().filter(|path| !self.names.contains_key(*path)).collect();
        missing.reverse();
        for path in missing {
            self.step()?;
            self.change_name(NameChange::Add(path.to_owned(), Node::Folder));
        }
        Ok(())
    }

    pub(super) fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.check_alive(self.life)?;
        let inside = self.names.keys().filter(|path| path.parent() == Some(folder));
        let name = |path: &PathBuf| Some(path.file_name()?.to_str()?.to_owned());
        Ok(inside.filter_map(name).collect())
    }

    pub(super) fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
        self.step()?;
        if self.failing_syncs > 0 {
            self.failing_syncs -= 1;
            self.counts.sync_errors += 1;
            return Err(input_output());
        }
        for change in std::mem::take(&mut self.journal) {
            if change.in_folder(folder) {
                apply_name(&mut self.durable_names, &change);
            } else {
                self.journal.push(change);
            }
        }
        Ok(())
    }

    pub(super) fn edit(&mut self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(Node::File(file)) = self.names.get(path) {
            let content = &mut self.files[*file];
            change(&mut content.cached);
            content.durable.clone_from(&content.cached);
            content.changes.clear();
        }
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let file =
            |(path, node): (&PathBuf, &Node)| matches!(node, Node::File(_)).then(|| path.clone());
        self.names.iter().filter_map(file).collect()
    }

    /// A new process finds the cache as it is.
    pub(super) fn restart(&mut self) {
        self.life += 1;
        self.locked_by = None;
        self.crashed = false;
        self.crash_in = None;
        self.failing_syncs = 0;
        self.failing_writes = 0;
    }

    pub(super) fn power_cut(&mut self) {
        self.restart();
        self.counts.power_cuts += 1;
        let journal = std::mem::take(&mut self.journal);
        let kept = self.random.random_range(0..=journal.len());
        self.counts.names_lost += (journal.len() - kept) as u64;
        journal[..kept].iter().for_each(|change| apply_name(&mut self.durable_names, change));
        let names = self.durable_names.clone();
        let has_parents = |path: &Path| {
            path.ancestors().skip(1).all(|parent| names.get(parent) == Some(&Node::Folder))
        };
        self.durable_names.retain(|path, _| has_parents(path));
        self.names = self.durable_names.clone();
        for file in 0..self.files.len() {
            self.settle(file);
        }
    }

    /// Decides what a power cut leaves of a file's unsynced changes.
    fn settle(&mut self, file: usize) {
        let Self { random, files, counts, .. } = self;
        let content = &mut files[file];
        let mut bytes = std::mem::take(&mut content.durable);
        let synced = bytes.len();
        let mut changes = std::mem::take(&mut content.changes);
        if !changes.is_empty() {
            match random.random_range(0..6) {
                0 => {
                    counts.lost += 1;
                    changes.clear();
                }
                1 => {}
                2 => {
                    counts.torn += 1;
                    tear(&mut changes, random);
                }
                3 if changes.len() > 1 => {
                    counts.holes += 1;
                    let keep = |change: &Change| matches!(change, Change::SetLen(_));
                    changes.retain(|change| keep(change) || random.random_bool(0.5));
                }
                _ => {}
            }
            changes.iter().for_each(|change| apply(&mut bytes, change));
            if bytes.len() > synced && random.random_range(0..4) == 0 {
                counts.flipped += 1;
                for _ in 0..random.random_range(1..4) {
                    let at = random.random_range(synced..bytes.len());
                    bytes[at] ^= 1 << random.random_range(0..8);
                }
            }
            if random.random_range(0..6) == 0 {
                counts.garbage += 1;
                let length = random.random_range(1..200);
                bytes.extend((0..length).map(|_| random.random::<u8>()));
            }
        }
        content.cached.clone_from(&bytes);
        content.durable = bytes;
    }
}

/// Keeps the changes before a random one, and that one in part.
fn tear(changes: &mut Vec<Change>, random: &mut SmallRng) {
    let indexes: Vec<usize> = (0..changes.len()).collect();
    let at = indexes.choose(random).copied().unwrap_or(0);
    changes.truncate(at + 1);
    if let Some(Change::Write { bytes, .. }) = changes.last_mut() {
        bytes.truncate(random.random_range(0..=bytes.len()));
    }
}
