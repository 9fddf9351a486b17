//! Crashes at every kind of moment, on a disk that loses and damages what was not synced.
//!
//! `THROUGHLINE_CRASHES=10000 cargo test -p throughline-log crashes` runs more of them;
//! `THROUGHLINE_SEED` repeats one.

use throughline_log::faults::FaultCounts;

use crate::world::World;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// One world from one seed; how often it crashed.
fn run(seed: u64) -> (u64, FaultCounts) {
    println!("seed {seed}");
    let mut world = World::new(seed);
    world.open();
    while world.restarts < 8 {
        if world.chance(0.3) {
            world.crash_soon();
        }
        let mut steps = 0;
        while !world.broken() && steps < 150 {
            world.step();
            steps += 1;
        }
        world.restart();
    }
    world.finish();
    (world.restarts, world.files.counts())
}

#[test]
fn no_acknowledged_record_is_lost_doubled_or_uncommitted_over_seeded_crashes() {
    if let Some(seed) = number("THROUGHLINE_SEED") {
        run(seed);
        return;
    }
    let wanted = number("THROUGHLINE_CRASHES").unwrap_or(200);
    let mut crashes = 0;
    let mut total = FaultCounts::default();
    for seed in 0.. {
        let (restarts, counts) = run(seed);
        crashes += restarts;
        total.power_cuts += counts.power_cuts;
        total.crash_points += counts.crash_points;
        total.lost += counts.lost;
        total.torn += counts.torn;
        total.holes += counts.holes;
        total.flipped += counts.flipped;
        total.garbage += counts.garbage;
        total.names_lost += counts.names_lost;
        total.sync_errors += counts.sync_errors;
        total.write_errors += counts.write_errors;
        total.disk_full += counts.disk_full;
        if crashes >= wanted {
            break;
        }
    }
    println!("{crashes} crashes: {total:?}");
    let met = [
        total.power_cuts,
        total.crash_points,
        total.lost,
        total.torn,
        total.holes,
        total.flipped,
        total.garbage,
        total.names_lost,
        total.sync_errors,
        total.write_errors,
    ];
    assert!(met.iter().all(|count| *count > 0), "a kind of fault never happened: {total:?}");
}
