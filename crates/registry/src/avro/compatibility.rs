//! Whether data written with one schema can be read with another.
//!
//! The rules are those of the Java library's `SchemaCompatibility` (1.11), which every other
//! registry uses: names match by their last part or by a reader's alias, logical types do not
//! count, and a union is read when each of its branches is. The verdicts are pinned by
//! `tests/fixtures/compatibility.json`, which that library wrote.
//!
//! A schema is a graph: it may contain itself and may share parts. Every pair of types is compared
//! once, a pair that is being compared counts as compatible, and the work, the depth and the number
//! of findings are bounded, because a small hostile document can describe an enormous graph.

use std::collections::HashMap;

use super::{Field, Kind, Named, Node, NodeId, Primitive, Schema};

/// One reason why the reader cannot read what the writer wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incompatibility {
    pub(crate) kind: IncompatibilityKind,
    /// JSON pointer into the reader's schema; inside a writer's union, the branch's number.
    pub(crate) location: String,
    /// The name, the sizes, the symbols or the types in question.
    pub(crate) detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum IncompatibilityKind {
    NameMismatch,
    FixedSizeMismatch,
    MissingEnumSymbols,
    ReaderFieldMissingDefaultValue,
    TypeMismatch,
    MissingUnionBranch,
    /// A field's aliases name several of the writer's fields.
    AmbiguousAlias,
    /// The comparison exceeded its bounds; nothing can be promised.
    TooComplex,
}

impl IncompatibilityKind {
    /// The name that clients see.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NameMismatch => "NAME_MISMATCH",
            Self::FixedSizeMismatch => "FIXED_SIZE_MISMATCH",
            Self::MissingEnumSymbols => "MISSING_ENUM_SYMBOLS",
            Self::ReaderFieldMissingDefaultValue => "READER_FIELD_MISSING_DEFAULT_VALUE",
            Self::TypeMismatch => "TYPE_MISMATCH",
            Self::MissingUnionBranch => "MISSING_UNION_BRANCH",
            Self::AmbiguousAlias => "AMBIGUOUS_ALIAS",
            Self::TooComplex => "TOO_COMPLEX",
        }
    }
}

/// Why `reader` cannot read data of `writer`; empty when it can.
pub(crate) fn check(reader: &Schema, writer: &Schema) -> Vec<Incompatibility> {
    let mut checker =
        Checker { reader, writer, seen: HashMap::new(), path: Vec::new(), work: 0, stopped: false };
    let mut found = checker.pair(reader.root, writer.root);
    if checker.stopped {
        let detail = format!("more than {MAX_WORK} comparisons or {MAX_DEPTH} levels");
        found.push(checker.finding(IncompatibilityKind::TooComplex, None, detail));
    }
    found
}

/// Findings kept per pair: shared parts would otherwise multiply them without bound.
const MAX_FINDINGS: usize = 64;
/// Comparisons of two types: two unions of 500 records each use half of them.
const MAX_WORK: usize = 250_000;
/// Nesting through named types; written nesting cannot pass 128.
const MAX_DEPTH: usize = 512;

enum Progress {
    Running,
    Done(Vec<Incompatibility>),
}

struct Checker<'a> {
    reader: &'a Schema,
    writer: &'a Schema,
    seen: HashMap<(NodeId, NodeId), Progress>,
    path: Vec<String>,
    work: usize,
    stopped: bool,
}

impl<'a> Checker<'a> {
    fn pair(&mut self, reader: NodeId, writer: NodeId) -> Vec<Incompatibility> {
        match self.seen.get(&(reader, writer)) {
            Some(Progress::Done(found)) => return found.clone(),
            Some(Progress::Running) => return Vec::new(),
            None => {}
        }
        self.work += 1;
        if self.work > MAX_WORK || self.path.len() > MAX_DEPTH {
            self.stopped = true;
            return Vec::new();
        }
        self.seen.insert((reader, writer), Progress::Running);
        let mut found = self.compare(reader, writer);
        found.truncate(MAX_FINDINGS);
        self.seen.insert((reader, writer), Progress::Done(found.clone()));
        found
    }

    fn pair_at(&mut self, step: &str, reader: NodeId, writer: NodeId) -> Vec<Incompatibility> {
        self.path.push(step.to_owned());
        let found = self.pair(reader, writer);
        self.path.pop();
        found
    }

    fn finding(
        &self,
        kind: IncompatibilityKind,
        step: Option<&str>,
        detail: String,
    ) -> Incompatibility {
        let steps = self.path.iter().map(String::as_str).chain(step);
        let location: String = steps.flat_map(|step| ["/", step]).collect();
        let location = if location.is_empty() { "/".to_owned() } else { location };
        Incompatibility { kind, location, detail }
    }

    fn compare(&mut self, reader_id: NodeId, writer_id: NodeId) -> Vec<Incompatibility> {
        let (reader, writer): (&'a Node, &'a Node) =
            (self.reader.node(reader_id), self.writer.node(writer_id));
        match (&reader.kind, &writer.kind) {
            (Kind::Union(_), Kind::Union(branches)) => self.union_by_union(reader_id, branches),
            (_, Kind::Union(branches)) => branches
                .iter()
                .flat_map(|branch| self.pair(reader_id, *branch))
                .take(MAX_FINDINGS)
                .collect(),
            (Kind::Union(branches), writer) => {
                if branches.iter().any(|branch| self.pair(*branch, writer_id).is_empty()) {
                    return Vec::new();
                }
                vec![self.lacking(writer, None)]
            }
            (Kind::Primitive(reader), Kind::Primitive(writer)) if promotes(*writer, *reader) => {
                Vec::new()
            }
            (Kind::Array(reader), Kind::Array(writer)) => self.pair_at("items", *reader, *writer),
            (Kind::Map(reader), Kind::Map(writer)) => self.pair_at("values", *reader, *writer),
            (
                Kind::Fixed { named: reader, size: reader_size },
                Kind::Fixed { named: writer, size },
            ) => {
                let mut found = self.names(reader, writer);
                if size != reader_size {
                    let kind = IncompatibilityKind::FixedSizeMismatch;
                    let detail = format!("expected: {size}, found: {reader_size}");
                    found.push(self.finding(kind, Some("size"), detail));
                }
                found
            }
            (
                Kind::Enum { named: reader, symbols: known, default },
                Kind::Enum { named: writer, symbols, .. },
            ) => {
                let mut found = self.names(reader, writer);
                if default.is_none() {
                    found.extend(self.symbols(known, symbols));
                }
                found
            }
            (
                Kind::Record { named: reader, fields: wanted, .. },
                Kind::Record { named: writer, fields: written, .. },
            ) => {
                let mut found = self.names(reader, writer);
                found.extend(self.fields(wanted, written, writer_id));
                found
            }
            (reader, writer) => {
                let detail = format!(
                    "reader type: {} not compatible with writer type: {}",
                    reader.label(),
                    writer.label()
                );
                vec![self.finding(IncompatibilityKind::TypeMismatch, None, detail)]
            }
        }
    }

    fn union_by_union(&mut self, reader: NodeId, branches: &'a [NodeId]) -> Vec<Incompatibility> {
        let mut found = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            let step = index.to_string();
            if !self.pair_at(&step, reader, *branch).is_empty() {
                let writer: &'a Node = self.writer.node(*branch);
                found.push(self.lacking(&writer.kind, Some(&step)));
            }
        }
        found
    }

    fn lacking(&self, writer: &Kind, step: Option<&str>) -> Incompatibility {
        let detail = format!("reader union lacking writer type: {}", writer.label());
        self.finding(IncompatibilityKind::MissingUnionBranch, step, detail)
    }

    /// Namespaces do not count; a reader's alias matches the writer's full name.
    fn names(&self, reader: &Named, writer: &Named) -> Vec<Incompatibility> {
        let full = writer.name.full();
        let matches = reader.name.name == writer.name.name
            || reader.aliases.iter().any(|alias| alias.full() == full);
        if matches {
            return Vec::new();
        }
        let detail = format!("expected: {full}");
        vec![self.finding(IncompatibilityKind::NameMismatch, Some("name"), detail)]
    }

    fn symbols(&self, known: &[String], written: &[String]) -> Option<Incompatibility> {
        let known: std::collections::HashSet<_> = known.iter().collect();
        let mut missing: Vec<&str> =
            written.iter().filter(|symbol| !known.contains(symbol)).map(String::as_str).collect();
        if missing.is_empty() {
            return None;
        }
        missing.sort_unstable();
        let detail = format!("[{}]", missing.join(", "));
        Some(self.finding(IncompatibilityKind::MissingEnumSymbols, Some("symbols"), detail))
    }

    fn fields(
        &mut self,
        wanted: &'a [Field],
        written: &'a [Field],
        writer: NodeId,
    ) -> Vec<Incompatibility> {
        let by_name: HashMap<&str, &Field> =
            written.iter().map(|field| (field.name.as_str(), field)).collect();
        let mut found = Vec::new();
        self.path.push("fields".to_owned());
        for (index, field) in wanted.iter().enumerate() {
            self.path.push(index.to_string());
            let mut sources = std::iter::once(&field.name)
                .chain(&field.aliases)
                .filter_map(|name| by_name.get(name.as_str()));
            match (sources.next(), sources.next()) {
                (Some(source), None) => {
                    found.extend(self.pair_at("type", field.schema, source.schema));
                }
                (Some(_), Some(_)) => {
                    let detail = field.name.clone();
                    found.push(self.finding(IncompatibilityKind::AmbiguousAlias, None, detail));
                }
                (None, _) if field.default.is_some() => {}
                (None, _) => found.extend(self.missing(field, writer)),
            }
            self.path.pop();
            if found.len() > MAX_FINDINGS {
                break;
            }
        }
        self.path.pop();
        found
    }

    /// A field that the writer lacks and that has no default.
    ///
    /// For an enum with a default of its own, Java's library compares the enum with the writer's
    /// whole record, which never fits: the verdict is the same, the finding is another.
    fn missing(&mut self, field: &'a Field, writer: NodeId) -> Vec<Incompatibility> {
        let node: &'a Node = self.reader.node(field.schema);
        if matches!(node.kind, Kind::Enum { default: Some(_), .. }) {
            return self.pair_at("type", field.schema, writer);
        }
        let kind = IncompatibilityKind::ReaderFieldMissingDefaultValue;
        vec![self.finding(kind, None, field.name.clone())]
    }
}

fn promotes(writer: Primitive, reader: Primitive) -> bool {
    use Primitive::{Bytes, Double, Float, Int, Long, String};
    writer == reader
        || matches!(
            (writer, reader),
            (Int, Long | Float | Double)
                | (Long, Float | Double)
                | (Float, Double)
                | (String, Bytes)
                | (Bytes, String)
        )
}
