//! Sinks that do not keep up: nobody's memory grows with what waits, the others flow on, and they
//! catch up.

use std::fs;

use crate::oracle;
use crate::sandbox::{Running, Sandbox};

/// Rows of the export; their long names make a record of about two kilobytes of each.
const ROWS: usize = 8_000;

/// How often all of them change.
const ROUNDS: usize = 7;

/// What waits at least: each record has a key and a value with the name.
const BACKLOG: u64 = (ROWS * ROUNDS * 2 * NAME) as u64;

const NAME: usize = 1_000;

/// More than the binary and the queues of the configuration take.
const MOST_MEMORY: u64 = 100 << 20;

fn stock(sandbox: &Sandbox, round: usize) {
    let name = |n: usize| format!("{n:0>NAME$}");
    let rows: String = (0..ROWS).map(|n| format!("{},{round},\n", name(n))).collect();
    sandbox.replace("exports/inventory.csv", &format!("sku,quantityOnStock,supplyChannel\n{rows}"));
}

fn until_in(sandbox: &Sandbox, folder: &str) {
    let expected = oracle::expected(sandbox);
    sandbox.until("the target never held what the files say", || {
        oracle::difference(&expected, &oracle::in_folder(&sandbox.path(folder)))
    });
}

#[test]
fn sinks_that_stand_still_cost_no_memory_and_hold_nobody_up() {
    const { assert!(BACKLOG > MOST_MEMORY, "keeping the backlog would exceed the bound") };
    let sandbox = Sandbox::new();
    sandbox.configure(|yaml| {
        let lake = yaml.split_once("sinks:\n").unwrap().1;
        let more = |name: &str| {
            lake.replace("lake:", &format!("{name}:")).replace("./target", &format!("./{name}"))
        };
        format!("memory: 64MiB\n{yaml}{}{}", more("stuck"), more("frozen"))
    });
    let bus = sandbox.start(&["run", "bus"]);
    sandbox.until_running();
    let mut parts: Vec<(&str, Running)> = vec![("bus", bus)];
    for part in [["producer", "shop-exports"], ["processor", "shop"]] {
        parts.push((part[0], sandbox.start(&["run", part[0], part[1]])));
    }
    // GIVEN a sink whose target cannot be written, and one that is stopped in the middle,
    fs::create_dir(sandbox.path("stuck")).unwrap();
    fs::write(sandbox.path("stuck/canonical.inventory"), "in the way").unwrap();
    for name in ["lake", "stuck", "frozen"] {
        parts.push((name, sandbox.start(&["run", "sink", name])));
    }
    let frozen = parts.len() - 1;
    stock(&sandbox, 0);
    until_in(&sandbox, "frozen");
    parts[frozen].1.signal("STOP");

    // WHEN much more is published than anybody may hold,
    let mut peaks = Vec::new();
    for round in 1..=ROUNDS {
        stock(&sandbox, round);
        // THEN the healthy one has it,
        until_in(&sandbox, "target");
        peaks = parts.iter().map(|(name, part)| (*name, part.peak_memory())).collect();
        println!("round {round}: {peaks:?}");
    }
    // AND the memory of none has grown with it.
    for (name, peak) in peaks {
        assert!(peak < MOST_MEMORY, "{name} took {peak} bytes for a backlog of {BACKLOG}");
    }
    // Both catch up when they can.
    fs::remove_file(sandbox.path("stuck/canonical.inventory")).unwrap();
    parts[frozen].1.signal("CONT");
    for name in ["stuck", "frozen"] {
        until_in(&sandbox, name);
    }
    for (name, part) in parts.iter_mut().rev() {
        let peak = part.peak_memory();
        assert!(peak < MOST_MEMORY, "{name} took {peak} bytes for a backlog of {BACKLOG}");
        assert!(!part.has_ended(), "{}", sandbox.logs());
    }
    for (_, part) in parts.into_iter().rev() {
        assert_eq!(part.drain(), Some(0), "{}", sandbox.logs());
    }
}
