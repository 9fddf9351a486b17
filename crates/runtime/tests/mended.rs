//! Dead letters of files that were mended.

use throughline_runtime::Shutdown;

use crate::scripted::{Script, Step, worker};
use crate::support::{Flow, run_until};

/// Reads a version of a file, some lines of which are bad, and returns when these letters are open.
#[track_caller]
fn read(flow: &Flow, file: &str, version: u64, bad: &[u64], whole: bool, open: &[&str]) {
    let file = || file.to_owned();
    let line_of = |line: &u64| Step::Bad { file: file(), version, line: *line };
    let mut steps: Vec<_> = bad.iter().map(line_of).collect();
    steps.extend(whole.then(|| Step::Whole { file: file(), version }));
    let shutdown = Shutdown::new();
    let worker = worker(flow, &shutdown, &Script { steps, moved: false });
    run_until(worker, &shutdown, &format!("version {version}: {open:?}"), || {
        let letters = flow.letters();
        letters.iter().map(|letter| letter.place.as_str()).collect::<Vec<_>>() == open
    });
}

#[test]
fn letters_of_a_file_are_resolved_when_a_later_version_of_it_is_read_whole() {
    let flow = Flow::start();
    read(&flow, "a", 1, &[2, 3], true, &["a line 2", "a line 3"]);
    read(&flow, "b", 1, &[9], true, &["a line 2", "a line 3", "b line 9"]);
    // A version that is refused in the middle mends nothing.
    read(&flow, "a", 2, &[3, 4], false, &["a line 2", "b line 9", "a line 3", "a line 4"]);
    // What is still bad stays open, and so does what is another file's.
    read(&flow, "a", 3, &[4], true, &["b line 9", "a line 4"]);
    // The store is a cache: a new one knows what the letters came from.
    std::fs::remove_file(flow.state().join("shop.sqlite")).unwrap();
    read(&flow, "a", 4, &[], true, &["b line 9"]);
    read(&flow, "b", 2, &[], true, &[]);
}

#[test]
fn letters_that_were_published_before_a_restart_stay_open_when_the_version_is_read_to_its_end() {
    let flow = Flow::start();
    read(&flow, "a", 1, &[2], false, &["a line 2"]);
    read(&flow, "a", 1, &[7], true, &["a line 2", "a line 7"]);
}
