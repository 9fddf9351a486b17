//! Random programs of the constructs that are known.

use proptest::prelude::*;

use super::*;

/// Writes a program out of random bytes; when they end, the program does.
struct Writer<'a> {
    bytes: std::slice::Iter<'a, u8>,
    /// Variables that are assigned.
    variables: usize,
    /// Whether it is in the block of `each`.
    inside: bool,
}

/// Deeper expressions say nothing new.
const DEPTH: usize = 4;

impl Writer<'_> {
    fn choose(&mut self, choices: usize) -> usize {
        self.bytes.next().map_or(0, |byte| usize::from(*byte) % choices)
    }

    fn program(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.choose(4) {
            let value = self.any(DEPTH);
            text.push_str(&format!("v{} = {value}\n", self.variables));
            self.variables += 1;
        }
        text + &self.any(DEPTH)
    }

    fn variable(&mut self) -> String {
        match self.variables {
            0 => ".x".to_owned(),
            known => format!("v{}", self.choose(known)),
        }
    }

    fn any(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.leaf();
        }
        let deeper = depth - 1;
        match self.choose(16) {
            0 => self.leaf(),
            1 | 2 => self.integer(deeper),
            3 | 4 => self.text(deeper),
            5 => self.boolean(deeper),
            6 | 7 => self.list(deeper),
            8 | 9 => self.object(deeper),
            10 => {
                let (condition, then) = (self.boolean(deeper), self.any(deeper));
                let otherwise = self.any(deeper);
                format!("{{ if {condition} {{ {then} }} else {{ {otherwise} }} }}")
            }
            11 => {
                let (condition, message) = (self.boolean(deeper), self.text(deeper));
                format!("{{ if {condition} {{ abort {message} }}; {} }}", self.any(deeper))
            }
            12 => format!("({} ?? {})", self.fallible(deeper), self.any(deeper)),
            13 => format!("({} || {})", self.leaf(), self.any(deeper)),
            14 => format!("get!({}, [{}])", self.object(deeper), self.text(deeper)),
            _ => format!("{}!({})", self.assertion(), self.leaf()),
        }
    }

    fn leaf(&mut self) -> String {
        let variable = self.variable();
        let leaves = [
            "null",
            ".x",
            ".m",
            ".u",
            ".o",
            ".o.a",
            ".o.b",
            ".rows[0].p",
            ".rows[-1].s",
            ".at",
            "%settings.list",
            "%settings.yes",
        ];
        match self.choose(leaves.len() + 6) {
            0 if self.inside => "item".to_owned(),
            1 if self.inside => "index".to_owned(),
            2 if self.inside => "item.p".to_owned(),
            at @ 0..3 => format!("{variable}{}", [".a", "[0]", ".b.a"][at]),
            3..6 => variable,
            at => leaves[at - 6].to_owned(),
        }
    }

    fn assertion(&mut self) -> &'static str {
        ["string", "int", "array", "object", "bool", "timestamp"][self.choose(6)]
    }

    fn fallible(&mut self, depth: usize) -> String {
        match self.choose(7) {
            0 => format!("{}({})", self.assertion(), self.leaf()),
            1 => format!("upcase({})", self.leaf()),
            2 => format!("{} + {}", self.leaf(), self.any(depth)),
            3 => format!("{} < {}", self.leaf(), self.any(depth)),
            4 => format!("phone({})", self.text(depth)),
            5 => format!("to_money({}, \"EUR\")", self.text(depth)),
            _ => format!("join({}, {})", self.list(depth), self.text(depth)),
        }
    }

    fn integer(&mut self, depth: usize) -> String {
        if depth == 0 {
            return [".n", "0", "7", "-3"][self.choose(4)].to_owned();
        }
        let deeper = depth - 1;
        match self.choose(7) {
            0 => ".n".to_owned(),
            1 => format!("length({})", self.list(deeper)),
            2 => format!("({} + {})", self.integer(deeper), self.integer(deeper)),
            3 => format!("({} * {})", self.integer(deeper), self.integer(deeper)),
            4 => format!("({} - {})", self.integer(deeper), self.integer(deeper)),
            5 => format!("(.m || {})", self.integer(deeper)),
            _ => format!("int!({})", self.leaf()),
        }
    }

    fn text(&mut self, depth: usize) -> String {
        if depth == 0 {
            return [".t", "\"\"", "\" ä \"", "s'12.5'", "\"a\""][self.choose(5)].to_owned();
        }
        let deeper = depth - 1;
        match self.choose(9) {
            0 => ".t".to_owned(),
            1 => format!("({} + {})", self.text(deeper), self.text(deeper)),
            2 => format!("upcase({})", self.text(deeper)),
            3 => format!("strip_whitespace({})", self.text(deeper)),
            4 => format!("to_string({})", self.integer(deeper)),
            5 => format!("(filled({}) || {})", self.text(deeper), self.text(deeper)),
            6 => format!("(.u || {})", self.text(deeper)),
            7 => "format_timestamp!(.at, \"%F\")".to_owned(),
            _ => format!("string!({})", self.leaf()),
        }
    }

    fn boolean(&mut self, depth: usize) -> String {
        if depth == 0 {
            return [".b", "true", "false"][self.choose(3)].to_owned();
        }
        let deeper = depth - 1;
        match self.choose(9) {
            0 => ".b".to_owned(),
            1 => format!("({} == {})", self.any(deeper), self.any(deeper)),
            2 => format!("({} != {})", self.any(deeper), self.any(deeper)),
            3 => format!("({} < {})", self.integer(deeper), self.integer(deeper)),
            4 => format!("({} >= {})", self.text(deeper), self.text(deeper)),
            5 => format!("(!{})", self.boolean(deeper)),
            6 => format!("({} && {})", self.boolean(deeper), self.boolean(deeper)),
            7 => format!("contains({}, {})", self.text(deeper), self.text(deeper)),
            _ => format!("includes({}, {})", self.list(deeper), self.any(deeper)),
        }
    }

    fn list(&mut self, depth: usize) -> String {
        if depth == 0 {
            return [".rows", "[]", "[1, null]"][self.choose(3)].to_owned();
        }
        let deeper = depth - 1;
        match self.choose(7) {
            0 => format!("[{}, {}]", self.any(deeper), self.any(deeper)),
            1 => format!("append({}, {})", self.list(deeper), self.list(deeper)),
            2 => format!("compact({})", self.list(deeper)),
            3 => format!("flatten({})", self.list(deeper)),
            4 => format!("unique({})", self.list(deeper)),
            5 => format!("array!({})", self.leaf()),
            _ => {
                let items = self.list(deeper);
                let outer = std::mem::replace(&mut self.inside, true);
                let block = self.any(deeper);
                self.inside = outer;
                format!("each({items}) -> |index, item| {{ {block} }}")
            }
        }
    }

    fn object(&mut self, depth: usize) -> String {
        if depth == 0 {
            return ["{}", "{\"a\": .n}", "{\"b\": .u, \"a\": .x}"][self.choose(3)].to_owned();
        }
        let deeper = depth - 1;
        match self.choose(6) {
            0 => format!("{{\"b\": {}, \"a\": {}}}", self.any(deeper), self.any(deeper)),
            1 => format!("merge({}, {})", self.object(deeper), self.object(deeper)),
            2 => format!("({} | {})", self.object(deeper), self.object(deeper)),
            3 => format!("flatten({})", self.object(deeper)),
            4 => format!("object!({})", self.leaf()),
            _ => format!(
                "multiply_money!(to_money!({}, \"EUR\"), {})",
                self.text(deeper),
                self.integer(deeper)
            ),
        }
    }
}

/// Checks one program; whether VRL took it.
fn check_random(bytes: &[u8]) -> Result<bool, TestCaseError> {
    let text = Writer { bytes: bytes.iter(), variables: 0, inside: false }.program();
    let Some(pair) = Pair::new(&text) else { return Ok(false) };
    for document in documents() {
        prop_assert_eq!(pair.run(&document), pair.run_by_vrl(&document), "{}\n{}", text, document);
    }
    Ok(true)
}

#[test]
fn random_programs_give_the_same_as_by_vrl() {
    let taken = std::cell::Cell::new(0);
    let config = ProptestConfig { cases: 400, ..ProptestConfig::with_source_file(file!()) };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let bytes = proptest::collection::vec(any::<u8>(), 0..120);
    let result = runner.run(&bytes, |bytes| {
        taken.set(taken.get() + u32::from(check_random(&bytes)?));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert!(taken.get() > 80, "VRL took {} programs", taken.get());
}
