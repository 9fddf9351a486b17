//! The producer: looks at the folder, reads what is new, and keeps the position.

mod append;
mod refused;
mod watch;
mod whole;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use throughline_connector::{
    CaptureBatch, CaptureError, Captured, CapturedEntity, ConnectError, Producer, ProducerContext,
};
use throughline_event::{Position, SystemName};

use crate::error::{self, FOLDER, OPTION};
use crate::folder::{Entry, Folder, marks};
use crate::job::{Filling, Job, Step};
use crate::layout::Layout;
use crate::mended;
use crate::options::{FilesOptions, ModeOptions};
use crate::position::{EntityState, MOST_DELIVERED, Mark, Progress, State, Underway, Version};
use crate::settings::{EntitySettings, Settings};

/// Files of one entity that are read before the others have a turn, and a stop is noticed.
const FILES_PER_TURN: usize = 1_000;

/// Reads the files of one folder.
#[derive(Debug)]
pub struct FilesProducer {
    captured: Vec<CapturedEntity>,
    watches: Vec<Watch>,
    state: State,
    poll: Duration,
    /// The entity whose turn it is.
    turn: usize,
    /// Met while a batch was filled that had to go first.
    failed: Option<CaptureError>,
}

/// One entity: its files, and the one that is being read.
#[derive(Debug)]
struct Watch {
    entity: usize,
    settings: Arc<EntitySettings>,
    layout: Layout,
    folder: Arc<Folder>,
    scratch: PathBuf,
    /// How long a file must not change to count as complete.
    settle: Duration,
    job: Option<Job>,
    /// Why it waits, until a look comes to its end without it.
    waiting: Option<CaptureError>,
    /// Which of its files are refused and still there, as the last look found it.
    aside: Option<CaptureError>,
    /// No file fits the pattern.
    empty: bool,
    /// By name: what it was when it was last looked at, and since when.
    seen: HashMap<String, Seen>,
    /// By name: deliveries that were read or have to wait, and the number that the position has of
    /// each that was read.
    known: HashMap<String, (Version, u64)>,
    /// Deliveries that were read since the start and moved away, as far as they fit.
    away: HashSet<u64>,
    /// Append-only files that were read and may be renamed or removed.
    held: HashMap<String, File>,
    /// Append-only files that were missing at some look.
    missed: HashSet<String>,
    /// Those whose renamed or removed file was read to its end.
    finished: HashSet<String>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    file: u64,
    size: u64,
    modified: i64,
    since: Instant,
    /// All that is complete in it was read.
    done: bool,
    /// It ends in an open quotation.
    quoted: bool,
    /// It ends in a line without its line break, which was not told yet.
    partial: bool,
}

/// One entity's turn in a batch.
struct Turn<'t, 'b> {
    state: &'t mut EntityState,
    /// The state changed.
    moved: bool,
    /// Files that were opened.
    files: usize,
    /// The last look met more files than the position can hold.
    surplus: bool,
    /// What the other entities take of the position.
    others: usize,
    /// What the first entity listed, while nothing was read since.
    listed: &'t mut Option<(String, Vec<Entry>)>,
    out: &'t mut Filling<'b>,
}

impl Turn<'_, '_> {
    fn is_over(&self) -> bool {
        self.out.full() || self.files >= FILES_PER_TURN
    }

    /// Whether the position can hold the file: it does already, or one more fits.
    fn has_room(&self, name: &str) -> bool {
        let weight = self.others + self.state.weight();
        weight < MOST_DELIVERED || self.state.files.contains_key(name)
    }
}

/// What the folder held at one moment. All of its complete files are taken from one look: listing
/// anew for each would take the square of their number.
struct Look {
    matching: Vec<Entry>,
    /// The place of the first one that was not looked at.
    next: usize,
    /// How long until the first of those that are still written may be complete.
    wait: Duration,
    /// It is known of every file which one it is.
    all: bool,
    /// A delivery is still written: those behind it wait.
    held: bool,
}

/// What there is to do for an entity.
enum Found {
    Job(Box<Job>),
    /// Nothing more in this turn.
    Later,
    /// Nothing before this time.
    Nothing(Duration),
}

/// What an entity's columns or schema make of it.
fn publishes(
    system: &SystemName,
    settings: &EntitySettings,
) -> Result<(Layout, CapturedEntity), ConnectError> {
    let layout = Layout::new(system, settings).map_err(|error| ConnectError::Refused {
        code: OPTION,
        problem: format!("entity {}: {error}", settings.name),
        fix: "correct the columns or the document_schema".to_owned(),
    })?;
    let publishes = CapturedEntity {
        name: settings.name.clone(),
        key: layout.key.clone(),
        document: layout.document.clone(),
        ignore: settings.ignore.clone(),
        partitions: settings.partitions,
    };
    Ok((layout, publishes))
}

impl Producer for FilesProducer {
    const KIND: &'static str = "files";
    type Options = FilesOptions;

    async fn connect(settings: Settings, cx: ProducerContext) -> Result<Self, ConnectError> {
        let path = cx.path(&settings.folder);
        let folder = Folder::open(&path).map_err(|cause| ConnectError::Unreachable {
            code: FOLDER,
            target: path.display().to_string(),
            fix: "create the folder and let this user read it".to_owned(),
            cause: Box::new(cause),
        })?;
        let folder = Arc::new(folder);
        let scratch = match settings.scratch {
            Some(scratch) => cx.path(scratch),
            None => std::env::temp_dir(),
        };
        let poll = settings.poll;
        let mut captured = Vec::new();
        let mut watches = Vec::new();
        for (entity, settings) in settings.entities.into_iter().enumerate() {
            let (layout, publishes) = publishes(&cx.system, &settings)?;
            captured.push(publishes);
            let listed = folder.list(&settings.pattern.folder).unwrap_or_default();
            watches.push(Watch {
                entity,
                empty: !listed.iter().any(|entry| settings.pattern.matches(&entry.name)),
                settings: Arc::new(settings),
                layout,
                folder: Arc::clone(&folder),
                scratch: scratch.clone(),
                settle: poll,
                job: None,
                waiting: None,
                aside: None,
                seen: HashMap::new(),
                known: HashMap::new(),
                away: HashSet::new(),
                held: HashMap::new(),
                missed: HashSet::new(),
                finished: HashSet::new(),
            });
        }
        Ok(Self { captured, watches, state: State::default(), poll, turn: 0, failed: None })
    }

    fn declared(
        settings: &Settings,
        system: &SystemName,
    ) -> Result<Vec<CapturedEntity>, ConnectError> {
        let of = |entity| publishes(system, entity).map(|(_, publishes)| publishes);
        settings.entities.iter().map(of).collect()
    }

    fn entities(&self) -> &[CapturedEntity] {
        &self.captured
    }

    fn missing(&self) -> Vec<String> {
        let empty = self.watches.iter().filter(|watch| watch.empty);
        empty
            .map(|of| format!("{}: no file fits {}", of.settings.name, of.settings.pattern))
            .collect()
    }

    fn resume(&mut self, position: Option<Position>) -> Result<(), CaptureError> {
        self.state = match position {
            Some(position) => State::from_position(&position)?,
            None => State::default(),
        };
        self.failed = None;
        for watch in &mut self.watches {
            watch.job = None;
            watch.waiting = None;
            watch.aside = None;
            watch.seen.clear();
            watch.known.clear();
            watch.away.clear();
            watch.held.clear();
            watch.missed.clear();
            watch.finished.clear();
        }
        Ok(())
    }

    async fn capture(
        &mut self,
        batch: &mut CaptureBatch,
        budget: usize,
    ) -> Result<Captured, CaptureError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut idle = self.poll;
        let mut failed = None;
        let mut out = Filling { batch, size: 0, budget };
        let (mut full, mut moved) = (false, false);
        let mut listed = None;
        for _ in 0..self.watches.len() {
            let watch = &mut self.watches[self.turn];
            let name = watch.settings.name.as_str();
            let all: usize = self.state.entities.values().map(EntityState::weight).sum();
            let state = self.state.entities.entry(name.to_owned()).or_default();
            let (others, listed) = (all - state.weight(), &mut listed);
            let mut turn = Turn {
                state,
                moved: false,
                files: 0,
                surplus: false,
                others,
                listed,
                out: &mut out,
            };
            match watch.read(&mut turn) {
                Ok(Some(wait)) => {
                    idle = idle.min(wait);
                    watch.waiting = None;
                }
                Ok(None) => full = true,
                Err(error) if watch.waits_alone(&error) => watch.waiting = Some(error),
                Err(error) => failed = failed.or(Some(error)),
            }
            moved |= turn.moved;
            // The next one begins the next batch, so that a large dump does not hold up the others.
            self.turn = (self.turn + 1) % self.watches.len();
            if full {
                break;
            }
        }
        // With each batch, also those of entities that had no turn in it.
        let waiting =
            self.watches.iter().flat_map(|watch| watch.waiting.iter().chain(&watch.aside));
        out.batch.waiting.extend(waiting.filter_map(error::again));
        if moved || !out.batch.items.is_empty() {
            out.batch.position = Some(self.state.to_position());
        }
        match failed {
            // What was read goes first.
            Some(error) if out.batch.position.is_some() => {
                self.failed = Some(error);
                Ok(Captured::More)
            }
            Some(error) => Err(error),
            None if full => Ok(Captured::More),
            None => Ok(Captured::Idle(idle)),
        }
    }

    fn committed(&mut self, _: &Position) {}
}

impl Watch {
    /// Whether an error holds up this entity alone, and is looked at again by the next look: the
    /// state of a log, whose rows must not be overtaken by later ones, or of too many files.
    /// Anything else starts the worker again, with a pause that grows.
    fn waits_alone(&self, error: &CaptureError) -> bool {
        let append = self.settings.mode == ModeOptions::Append;
        let of_file = |code: &str| append && code != FOLDER;
        matches!(error, CaptureError::Halt { .. })
            || matches!(error, CaptureError::Unavailable { code, .. } if of_file(code))
    }

    /// Reads until the batch is full (nothing) or there is nothing to read for some time.
    fn read(&mut self, turn: &mut Turn<'_, '_>) -> Result<Option<Duration>, CaptureError> {
        let mut look = None;
        while !turn.is_over() {
            let mut job = match self.job.take() {
                Some(job) => job,
                None => match self.find(&mut look, turn)? {
                    Found::Job(job) => *job,
                    Found::Later => break,
                    Found::Nothing(wait) => return Ok(Some(wait)),
                },
            };
            let before = turn.out.batch.items.len();
            let stepped = job.step(turn.out);
            let reached = stepped.as_ref().unwrap_or(&Step::Pause);
            let known = turn.state.files.get(&job.name);
            let refused = known.is_some_and(|file| file.refused.is_some());
            if let Err(error) = self.keep(&job, reached, turn.state) {
                // What the position does not cover would be published again.
                turn.out.batch.items.truncate(before);
                return Err(error);
            }
            turn.moved = true;
            let step = stepped?;
            if let Some(whole) = mended::whole(&job, &step, refused) {
                turn.out.push(whole, 0);
            }
            match step {
                Step::Pause => {
                    self.job = Some(job);
                    break;
                }
                // It is listed as what it was, and what follows it in a delivery waits for it.
                Step::Changed => look = None,
                _ => {}
            }
        }
        Ok(None)
    }

    fn find(
        &mut self,
        look: &mut Option<Look>,
        turn: &mut Turn<'_, '_>,
    ) -> Result<Found, CaptureError> {
        let found = match self.settings.mode {
            ModeOptions::Append => {
                let (entries, matching) = self.list(turn)?;
                let found = self.find_append(&entries, &matching, turn);
                self.aside = self.set_aside(&matching, turn.state);
                found?
            }
            ModeOptions::Replace | ModeOptions::Deliver => {
                let look = match look {
                    Some(look) => look,
                    None => {
                        let (_, matching) = self.list(turn)?;
                        look.insert(Look {
                            matching,
                            next: 0,
                            wait: self.settle,
                            all: true,
                            held: false,
                        })
                    }
                };
                let found = self.find_whole(look, turn);
                if !matches!(found, Ok(Found::Job(_))) {
                    self.aside = self.set_aside(&look.matching, turn.state);
                }
                found?
            }
        };
        if matches!(found, Found::Nothing(_)) && !turn.state.caught_up && !turn.state.is_empty() {
            turn.state.caught_up = true;
            turn.moved = true;
        }
        Ok(found)
    }

    /// Notes how far the file was read.
    fn keep(
        &mut self,
        job: &Job,
        step: &Step,
        state: &mut EntityState,
    ) -> Result<(), CaptureError> {
        if *step == Step::Complete && self.settings.mode == ModeOptions::Deliver {
            let digest = job.version.digest();
            state.files.remove(&job.name);
            state.delivered.insert(digest);
            self.known.insert(job.name.clone(), (job.version.clone(), digest));
            return Ok(());
        }
        let file = state.files.entry(job.name.clone()).or_default();
        match step {
            Step::Complete => {
                file.applied = Some(job.version.clone());
                file.keys = job.keys;
                file.reading = None;
                file.accept();
            }
            Step::Changed => file.reading = None,
            Step::Refused(code) => {
                let append = self.settings.mode == ModeOptions::Append;
                file.reading = if append { Some(underway(job)?) } else { None };
                file.refuse(job.version.clone(), code);
            }
            Step::Pause | Step::Waiting { .. } => {
                file.reading = Some(underway(job)?);
                if self.settings.mode == ModeOptions::Append {
                    file.accept();
                }
            }
        }
        if let Step::Waiting { quoted } = *step {
            self.waits(job, quoted);
        }
        Ok(())
    }
}

/// Forgets files that are gone, as long as others show that the folder itself is there: an
/// unmounted folder looks like one whose files were all removed.
fn forget_gone(turn: &mut Turn<'_, '_>, matching: &[Entry]) {
    if matching.is_empty() {
        return;
    }
    let before = turn.state.files.len();
    let names = names(matching);
    turn.state.files.retain(|name, _| names.contains(name.as_str()));
    turn.moved |= turn.state.files.len() != before;
}

fn names(entries: &[Entry]) -> HashSet<&str> {
    entries.iter().map(|entry| entry.path.as_str()).collect()
}

/// How far a file was read; a dump is read from its begin again after a restart.
fn underway(job: &Job) -> Result<Underway, CaptureError> {
    let mut progress = job.given;
    progress.rejected = progress.rejected.max(job.known_rejections);
    if !job.resumes() {
        progress = Progress { rejected: progress.rejected, ..Progress::START };
    }
    let mut reading = Underway { version: job.version.clone(), tail: Mark::default(), progress };
    if job.settings.mode == ModeOptions::Append {
        let (head, tail) = marks(job.reader.file(), progress.offset)
            .map_err(|cause| error::unreadable(&job.shown, cause))?;
        (reading.version.head, reading.tail) = (head, tail);
    }
    Ok(reading)
}
