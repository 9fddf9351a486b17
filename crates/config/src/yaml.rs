//! YAML with the line and column of every key and value.
//!
//! The parser's events are read directly rather than a finished tree, for three reasons: a tree
//! keeps only the last of two equal keys, aliases are counted before they are copied, and depth is
//! bounded without recursion. Limits: [`MAX_BYTES`], [`MAX_DEPTH`], [`MAX_NODES`].

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value};
use throughline_event::{Path, Segment};

use crate::{codes, report::Finding};

mod scalar;
#[cfg(test)]
mod tests;

/// The largest file that is read; real ones have a few kilobytes.
pub const MAX_BYTES: u64 = 1 << 20;
/// The deepest nesting of lists and maps.
pub const MAX_DEPTH: usize = 64;
/// The largest number of values, those copied by aliases included.
pub const MAX_NODES: usize = 100_000;

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The line, counted from one.
    pub line: usize,
    /// The column in characters, counted from one.
    pub column: usize,
}

impl Mark {
    /// The first character of a file.
    pub const START: Mark = Mark { line: 1, column: 1 };
}

impl From<Marker> for Mark {
    fn from(marker: Marker) -> Self {
        Self { line: marker.line(), column: marker.col() + 1 }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where the value starts.
    pub mark: Mark,
    /// The value itself.
    pub content: Content,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Null, a boolean, a number or a text.
    Scalar(Value),
    /// A list.
    List(Vec<Node>),
    /// A map in the order of the file; no key stands twice.
    Map(Vec<Entry>),
}

/// One entry of a map.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key starts.
    pub mark: Mark,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The same value without places.
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => items.iter().map(Node::to_json).collect(),
            Content::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.value.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// Where the value at `path` starts, or the nearest part of the file that contains it. A map or
    /// list is shown at its key, since its first entry may stand lines below.
    pub fn mark_of(&self, path: &Path) -> Mark {
        self.find(path).1
    }

    /// Where the key of the value at `path` starts; for a list item, where the item starts.
    pub fn key_mark_of(&self, path: &Path) -> Mark {
        self.find(path).0
    }

    /// The places of the last key on the way and of the value it leads to.
    fn find(&self, path: &Path) -> (Mark, Mark) {
        let mut node = self;
        let mut key = self.mark;
        for segment in path.segments() {
            let next = match (segment, &node.content) {
                (Segment::Key(name), Content::Map(entries)) => {
                    entries.iter().find(|e| e.key == *name).map(|e| (e.mark, &e.value))
                }
                (Segment::Index(index), Content::List(items)) => {
                    items.get(*index).map(|item| (item.mark, item))
                }
                _ => None,
            };
            match next {
                Some((mark, value)) => (key, node) = (mark, value),
                // A missing key is shown at its map's own key, not at the map's first entry.
                None => return (key, key),
            }
        }
        let scalar = matches!(node.content, Content::Scalar(_));
        (key, if scalar { node.mark } else { key })
    }
}

/// Reads one document. What can be tolerated (a key that stands twice: the first one counts) is
/// added to `found`; `None` means that nothing usable is left.
pub fn parse(file: &str, bytes: &[u8], found: &mut Vec<Finding>) -> Option<Node> {
    let fail = |code, mark, message: String, fix: &str| Finding {
        code,
        file: file.to_owned(),
        mark,
        path: Path::root(),
        message,
        fix: fix.into(),
    };
    if bytes.len() as u64 > MAX_BYTES {
        let message = format!("the file has {} bytes, more than {MAX_BYTES}", bytes.len());
        found.push(fail(
            codes::TOO_LARGE,
            Mark::START,
            message,
            "check that this is the right file",
        ));
        return None;
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            let start = before.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
            let mark = Mark {
                line: before.iter().filter(|&&b| b == b'\n').count() + 1,
                column: String::from_utf8_lossy(&before[start..]).chars().count() + 1,
            };
            let message = "this is not UTF-8 text".to_owned();
            found.push(fail(codes::NOT_TEXT, mark, message, "save the file as UTF-8"));
            return None;
        }
    };
    let mut builder = Builder { file, found, anchors: HashMap::new(), stack: vec![], nodes: 0 };
    match builder.run(text) {
        Ok(Some(node)) if node.content != Content::Scalar(Value::Null) => Some(node),
        Ok(_) => {
            let message = "the file has no content".to_owned();
            found.push(fail(
                codes::EMPTY,
                Mark::START,
                message,
                "`throughline init` writes a first one",
            ));
            None
        }
        Err(stop) => {
            found.push(fail(stop.code, stop.mark, stop.message, &stop.fix));
            None
        }
    }
}

/// Why reading ended early.
struct Stop {
    code: &'static str,
    mark: Mark,
    message: String,
    fix: String,
}

impl Stop {
    fn unsupported(mark: Mark, message: &str, fix: &str) -> Self {
        Self { code: codes::NOT_SUPPORTED, mark, message: message.into(), fix: fix.into() }
    }

    fn syntax(mark: Mark, message: &str, text: &str) -> Self {
        let line = text.lines().nth(mark.line.saturating_sub(1)).unwrap_or_default();
        let indent = &line[..line.len() - line.trim_start().len()];
        let (message, fix) = if indent.contains('\t') {
            ("a tab is used for indentation", "indent with spaces".to_owned())
        } else {
            (message, "check the indentation, quotes and brackets around this place".to_owned())
        };
        Self { code: codes::SYNTAX, mark, message: message.to_owned(), fix }
    }
}

/// A list or map that is not complete yet.
struct Open {
    mark: Mark,
    anchor: usize,
    nodes_before: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map { path: Path, entries: Vec<Entry>, key: Option<(String, Mark)>, repeated: bool },
}

struct Builder<'a> {
    file: &'a str,
    found: &'a mut Vec<Finding>,
    /// Finished nodes by anchor, with the number of values in each.
    anchors: HashMap<usize, (Node, usize)>,
    stack: Vec<Open>,
    nodes: usize,
}

impl Builder<'_> {
    fn run(&mut self, text: &str) -> Result<Option<Node>, Stop> {
        let mut root = None;
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event
                .map_err(|error| Stop::syntax((*error.marker()).into(), error.info(), text))?;
            let mark = Mark::from(span.start);
            let finished = match event {
                Event::DocumentStart(_) if root.is_some() => {
                    return Err(Stop::unsupported(
                        mark,
                        "the file has a second document",
                        "keep one document; remove the line `---`",
                    ));
                }
                Event::Scalar(value, style, anchor, tag) => {
                    self.count(1, mark)?;
                    let node = scalar_node(&value, style, tag.as_deref(), mark)?;
                    Some(self.anchored(anchor, node, 1)?)
                }
                Event::Alias(anchor) => Some(self.alias(anchor, mark)?),
                Event::SequenceStart(anchor, tag) => {
                    self.open(anchor, tag.as_deref(), mark, OpenKind::List(vec![]))?;
                    None
                }
                Event::MappingStart(anchor, tag) => {
                    let kind = OpenKind::Map {
                        path: self.path(),
                        entries: vec![],
                        key: None,
                        repeated: false,
                    };
                    self.open(anchor, tag.as_deref(), mark, kind)?;
                    None
                }
                Event::SequenceEnd | Event::MappingEnd => self.close()?,
                _ => None,
            };
            if let Some(node) = finished {
                if self.stack.is_empty() {
                    root = Some(node);
                } else {
                    self.add(node)?;
                }
            }
        }
        Ok(root)
    }

    fn count(&mut self, more: usize, mark: Mark) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes > MAX_NODES {
            return Err(Stop::unsupported(
                mark,
                &format!("the file has more than {MAX_NODES} values, those copied by `*` included"),
                "remove the aliases, or check that this is the right file",
            ));
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, mark: Mark) -> Result<Node, Stop> {
        let Some(nodes) = self.anchors.get(&anchor).map(|(_, nodes)| *nodes) else {
            return Err(Stop::unsupported(
                mark,
                "the alias points at the value that contains it",
                "write the value out",
            ));
        };
        self.count(nodes, mark)?;
        Ok(self.anchors[&anchor].0.clone())
    }

    fn open(
        &mut self,
        anchor: usize,
        tag: Option<&Tag>,
        mark: Mark,
        kind: OpenKind,
    ) -> Result<(), Stop> {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            return Err(unknown_tag(tag, mark));
        }
        self.count(1, mark)?;
        if self.stack.len() >= MAX_DEPTH {
            return Err(Stop::unsupported(
                mark,
                &format!("lists and maps are nested more than {MAX_DEPTH} deep"),
                "check that this is the right file",
            ));
        }
        self.stack.push(Open { mark, anchor, nodes_before: self.nodes - 1, kind });
        Ok(())
    }

    fn close(&mut self) -> Result<Option<Node>, Stop> {
        let Some(open) = self.stack.pop() else { return Ok(None) };
        let content = match open.kind {
            OpenKind::List(items) => Content::List(items),
            OpenKind::Map { entries, .. } => Content::Map(entries),
        };
        let nodes = self.nodes - open.nodes_before;
        self.anchored(open.anchor, Node { mark: open.mark, content }, nodes).map(Some)
    }

    fn anchored(&mut self, anchor: usize, node: Node, nodes: usize) -> Result<Node, Stop> {
        if anchor != 0 {
            // The copy counts too: nested anchors would otherwise hold each value once per level.
            self.count(nodes, node.mark)?;
            self.anchors.insert(anchor, (node.clone(), nodes));
        }
        Ok(node)
    }

    /// Adds a finished node to the innermost open list or map.
    fn add(&mut self, node: Node) -> Result<(), Stop> {
        let Some(open) = self.stack.last_mut() else { return Ok(()) };
        match &mut open.kind {
            OpenKind::List(items) => items.push(node),
            OpenKind::Map { path, entries, key, repeated } => match key.take() {
                Some(_) if *repeated => *repeated = false,
                Some((key, mark)) => entries.push(Entry { key, mark, value: node }),
                None => {
                    let name = key_text(&node)?;
                    if let Some(first) = entries.iter().find(|entry| entry.key == name) {
                        *repeated = true;
                        self.found.push(Finding {
                            code: codes::DUPLICATE_KEY,
                            file: self.file.to_owned(),
                            mark: node.mark,
                            path: path.key(&name),
                            message: format!(
                                "the key `{name}` stands twice, first in line {}",
                                first.mark.line
                            ),
                            fix: "remove one of the two".to_owned(),
                        });
                    }
                    *key = Some((name, node.mark));
                }
            },
        }
        Ok(())
    }

    /// The path of the value that comes next.
    fn path(&self) -> Path {
        self.stack
            .iter()
            .filter_map(|open| match &open.kind {
                OpenKind::List(items) => Some(Segment::Index(items.len())),
                OpenKind::Map { key, .. } => key.as_ref().map(|(key, _)| Segment::Key(key.clone())),
            })
            .collect()
    }
}

fn scalar_node(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    mark: Mark,
) -> Result<Node, Stop> {
    let value = match tag {
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Value::from(text),
        Some(tag) => return Err(unknown_tag(tag, mark)),
        None if style == ScalarStyle::Plain => scalar::plain(text),
        None => Value::from(text),
    };
    Ok(Node { mark, content: Content::Scalar(value) })
}

fn unknown_tag(tag: &Tag, mark: Mark) -> Stop {
    Stop::unsupported(mark, &format!("the tag `{tag}` is not supported"), "remove the tag")
}

/// Keys are texts; a plain `1:` or `true:` is taken as the text it is written as.
fn key_text(node: &Node) -> Result<String, Stop> {
    match &node.content {
        Content::Scalar(Value::String(text)) => Ok(text.clone()),
        Content::Scalar(Value::Null) => Ok("null".to_owned()),
        Content::Scalar(value) => Ok(value.to_string()),
        _ => Err(Stop::unsupported(
            node.mark,
            "a list or map is used as a key",
            "use a text as the key; quote it when it starts with `[` or `{`",
        )),
    }
}
