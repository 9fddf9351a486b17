//! `kill -9` at random: nothing lost, nothing twice, order per key kept.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::oracle::{self, State};
use crate::sandbox::{Running, Sandbox};

/// How many processes are killed in one test, from the environment for longer runs.
fn crashes() -> u32 {
    number("THROUGHLINE_KILLS").and_then(|n| u32::try_from(n).ok()).unwrap_or(60)
}

fn seed() -> u64 {
    number("THROUGHLINE_SEED").unwrap_or_else(|| rand::rng().random())
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// A shop whose exports change all the time.
struct Shop<'s> {
    sandbox: &'s Sandbox,
    random: StdRng,
    stock: Vec<(String, i64)>,
    orders: u32,
}

impl<'s> Shop<'s> {
    fn new(sandbox: &'s Sandbox, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let stock = (0..400).map(|n| (format!("SKU{n}"), random.random_range(0..50))).collect();
        let header = "customerEmail,orderNumber,lineitems.variant.sku,lineitems.price,\
                      lineitems.quantity,totalPrice\n";
        sandbox.replace("exports/orders.csv", header);
        let shop = Self { sandbox, random, stock, orders: 0 };
        shop.dump();
        shop
    }

    fn dump(&self) {
        let mut text = "sku,quantityOnStock,supplyChannel\n".to_owned();
        for (sku, quantity) in &self.stock {
            text.push_str(&format!("{sku},{quantity},\n"));
        }
        self.sandbox.replace("exports/inventory.csv", &text);
    }

    /// One change: orders are appended, or the stock is replaced with some rows changed, gone, new.
    fn change(&mut self) {
        if self.random.random_bool(0.6) {
            self.order();
            return;
        }
        for _ in 0..self.random.random_range(1..6) {
            let at = self.random.random_range(0..self.stock.len());
            match self.random.random_range(0..3) {
                0 => drop(self.stock.swap_remove(at)),
                1 => self.stock[at].1 = self.random.random_range(0..50),
                _ => {
                    let sku = format!("NEW{}", self.random.random_range(0..1_000_000));
                    self.stock.push((sku, 7));
                }
            }
        }
        self.dump();
    }

    /// An order whose lines may arrive in two pieces, cut anywhere.
    fn order(&mut self) {
        self.orders += 1;
        let lines: Vec<(u32, i64, i64)> = (0..self.random.random_range(1..5))
            .map(|_| {
                let random = &mut self.random;
                (
                    random.random_range(0..400),
                    random.random_range(1..9_999),
                    random.random_range(1..4),
                )
            })
            .collect();
        let total: i64 = lines.iter().map(|(_, cents, quantity)| cents * quantity).sum();
        let money = |cents: i64| format!("{}.{:02}", cents / 100, cents % 100);
        let number = self.orders;
        let rows: String = lines
            .iter()
            .map(|(sku, cents, quantity)| {
                format!("7,{number},SKU{sku},{},{quantity},{}\n", money(*cents), money(total))
            })
            .collect();
        let mut file =
            OpenOptions::new().append(true).open(self.sandbox.path("exports/orders.csv")).unwrap();
        let cut = self.random.random_range(0..rows.len());
        file.write_all(&rows.as_bytes()[..cut]).unwrap();
        std::thread::sleep(Duration::from_millis(self.random.random_range(0..30)));
        file.write_all(&rows.as_bytes()[cut..]).unwrap();
    }

    fn pause(&mut self) {
        std::thread::sleep(Duration::from_millis(self.random.random_range(10..120)));
    }
}

/// Kills the processes of `parts` at random while the shop changes, then compares.
fn survive(parts: &[&[&str]], seed: u64) {
    println!("THROUGHLINE_SEED={seed}");
    let sandbox = Sandbox::new();
    let mut shop = Shop::new(&sandbox, seed);
    let mut running: Vec<Running> = parts.iter().map(|part| sandbox.start(part)).collect();
    for _ in 0..crashes() {
        for _ in 0..shop.random.random_range(1..12) {
            shop.change();
            shop.pause();
        }
        let victim = shop.random.random_range(0..parts.len());
        running[victim].kill();
        running[victim] = sandbox.start(parts[victim]);
        // A worker that finds no bus ends with an error, as its supervisor outside expects.
        for (process, part) in running.iter_mut().zip(parts) {
            if process.has_ended() {
                *process = sandbox.start(part);
            }
        }
    }
    let expected = oracle::expected(&sandbox);
    assert_eq!(expected.orders.len(), shop.orders as usize, "every order sums up");
    settle(&sandbox, &mut running, parts, &expected);
    let on_topics = oracle::on_topics(&sandbox);
    oracle::difference(&expected, &on_topics).unwrap();
    oracle::difference(&expected, &oracle::at_target(&sandbox)).unwrap();
}

fn settle(sandbox: &Sandbox, running: &mut [Running], parts: &[&[&str]], expected: &State) {
    sandbox.until("the target never held what the files say", || {
        for (process, part) in running.iter_mut().zip(parts) {
            if process.has_ended() {
                *process = sandbox.start(part);
            }
        }
        oracle::difference(expected, &oracle::at_target(sandbox))
    });
}

#[test]
fn killing_the_whole_process_changes_nothing_in_the_end() {
    survive(&[&["up"]], seed());
}

#[test]
fn killing_single_workers_and_the_bus_changes_nothing_in_the_end() {
    survive(
        &[
            &["run", "bus"],
            &["run", "producer", "shop-exports"],
            &["run", "processor", "shop"],
            &["run", "sink", "lake"],
        ],
        seed(),
    );
}

#[test]
fn killing_the_bus_under_its_workers_ends_none_of_them() {
    let seed = seed();
    println!("THROUGHLINE_SEED={seed}");
    let sandbox = Sandbox::new();
    let mut shop = Shop::new(&sandbox, seed);
    let mut bus = sandbox.start(&["run", "bus"]);
    sandbox.until_running();
    let workers = [["producer", "shop-exports"], ["processor", "shop"], ["sink", "lake"]];
    let mut workers = workers.map(|[role, name]| sandbox.start(&["run", role, name]));
    for _ in 0..crashes() / 6 {
        for _ in 0..shop.random.random_range(1..12) {
            shop.change();
            shop.pause();
        }
        bus.kill();
        shop.change();
        shop.pause();
        bus = sandbox.start(&["run", "bus"]);
    }
    let expected = oracle::expected(&sandbox);
    sandbox.until("the target never held what the files say", || {
        oracle::difference(&expected, &oracle::at_target(&sandbox))
    });
    oracle::difference(&expected, &oracle::on_topics(&sandbox)).unwrap();
    for worker in &mut workers {
        assert!(!worker.has_ended(), "{}", sandbox.logs());
    }
    for process in workers.into_iter().chain([bus]) {
        assert_eq!(process.drain(), Some(0), "{}", sandbox.logs());
    }
}
