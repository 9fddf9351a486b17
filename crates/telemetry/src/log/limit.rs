//! Holds back lines that repeat.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{Event, Level, Subscriber, callsite::Identifier};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// More than all workers of a process say when they start.
const LINES: u32 = 100;
/// The time in which one place may write that many lines.
const WINDOW: Duration = Duration::from_secs(10);

/// Writes at most [`LINES`] lines per [`WINDOW`] from one place in the code, and then how many were
/// held back. `debug` and `trace` are never held back: somebody asked for them.
#[derive(Debug)]
pub(super) struct Limited<F> {
    inner: F,
    json: bool,
    places: Mutex<HashMap<Identifier, Place>>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    since: Instant,
    lines: u32,
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Write,
    /// Write it, after saying how many lines of this place were held back.
    WriteAfter(u32),
    Hold,
}

impl Place {
    fn admit(&mut self, now: Instant) -> Verdict {
        if now.duration_since(self.since) >= WINDOW {
            let held = self.lines.saturating_sub(LINES);
            *self = Self { since: now, lines: 1 };
            return if held == 0 { Verdict::Write } else { Verdict::WriteAfter(held) };
        }
        self.lines = self.lines.saturating_add(1);
        if self.lines > LINES { Verdict::Hold } else { Verdict::Write }
    }
}

impl<F> Limited<F> {
    pub(super) fn text(inner: F) -> Self {
        Self { inner, json: false, places: Mutex::default() }
    }

    pub(super) fn json(inner: F) -> Self {
        Self { inner, json: true, places: Mutex::default() }
    }

    fn admit(&self, event: &Event<'_>) -> Verdict {
        if *event.metadata().level() > Level::INFO {
            return Verdict::Write;
        }
        let now = Instant::now();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let first = Place { since: now, lines: 0 };
        places.entry(event.metadata().callsite()).or_insert(first).admit(now)
    }

    fn held_back(&self, writer: &mut Writer<'_>, event: &Event<'_>, held: u32) -> fmt::Result {
        let (level, target) = (event.metadata().level(), event.metadata().target());
        if self.json {
            writeln!(
                writer,
                r#"{{"level":"{level}","message":"repeated lines were held back","lines":{held},"target":"{target}"}}"#
            )
        } else {
            writeln!(writer, "{level} {target}: {held} repeated lines were held back")
        }
    }
}

impl<S, N, F> FormatEvent<S, N> for Limited<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match self.admit(event) {
            Verdict::Hold => return Ok(()),
            Verdict::WriteAfter(held) => self.held_back(&mut writer, event, held)?,
            Verdict::Write => {}
        }
        self.inner.format_event(context, writer, event)
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(emit: impl FnOnce()) -> usize {
        let sink = Sink::default();
        let writer = sink.clone();
        let format = Limited::text(tracing_subscriber::fmt::format());
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .event_format(format);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), emit);
        let bytes = sink.0.lock().unwrap();
        bytes.iter().filter(|byte| **byte == b'\n').count()
    }

    #[test]
    fn one_place_cannot_flood_the_log() {
        assert_eq!(lines(|| (0..1_000).for_each(|_| tracing::warn!("target refused"))), 100);
    }

    #[test]
    fn other_places_and_debug_lines_are_not_held_back() {
        let count = lines(|| {
            (0..200).for_each(|_| tracing::warn!("target refused"));
            tracing::warn!("another place");
            (0..200).for_each(|_| tracing::debug!("asked for"));
        });
        assert_eq!(count, 301);
    }

    #[test]
    fn the_next_window_says_how_many_lines_were_held_back() {
        let start = Instant::now();
        let mut place = Place { since: start, lines: 0 };
        let verdicts: Vec<_> = (0..103).map(|_| place.admit(start)).collect();
        assert!(verdicts[..100].iter().all(|verdict| *verdict == Verdict::Write));
        assert_eq!(verdicts[100], Verdict::Hold);
        assert_eq!(place.admit(start + WINDOW), Verdict::WriteAfter(3));
        assert_eq!(place.admit(start + WINDOW), Verdict::Write);
        assert_eq!(place.admit(start + WINDOW * 3), Verdict::Write);
    }
}
