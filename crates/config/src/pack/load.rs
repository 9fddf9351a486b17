//! From the files of a pack to a [`Pack`].
//!
//! A mistake hides only what depends on it: the rest of its file and the other files are checked as
//! well, so that whoever writes a pack sees in one round what can be seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::de::DeserializeOwned;
use serde_json::Value;
use throughline_event::{EntityName, Path, Role, Segment, Violations, suggest};

use super::{Pack, PackFiles, SettingType, system::SystemYaml};
use crate::{
    Catalog, Finding, Report, codes,
    schema::Shape,
    yaml::{self, Mark, Node},
};

mod entity;

/// Reads and checks a pack.
///
/// # Errors
/// Everything that is wrong with its files.
pub fn load(files: Arc<dyn PackFiles>, catalog: &dyn Catalog) -> Result<Pack, Report> {
    let mut loader = Loader { files: &*files, catalog, findings: Vec::new() };
    let Some(System { root, yaml, names, doubtful }) = loader.system() else {
        loader.capture(None);
        return Err(Report::new(loader.findings));
    };
    let known = (!names.is_empty()).then_some(&names);
    let (mut capture, capture_file) = loader.capture(known).unwrap_or_default();
    let entities = loader.entities(&root, &yaml, &doubtful);
    let mut findings = loader.findings;
    // What has a mistake is not looked at any further: what follows from it is no finding.
    capture.values_mut().for_each(|kind| kind.retain(|name, _| entities.contains_key(name)));
    let SystemYaml { name, title, version, settings, .. } = yaml;
    let pack = Pack { name, title, version, settings, entities, capture, capture_file, files };
    findings.extend(catalog.check_pack(&pack));
    if findings.is_empty() {
        return Ok(pack);
    }
    findings.extend(catalog.check_mappings(&pack));
    Err(Report::new(findings))
}

const SYSTEM: &str = "system.yaml";
const CAPTURE: &str = "capture.yaml";

type Capture = BTreeMap<String, BTreeMap<EntityName, Value>>;

/// `system.yaml`, as far as it can be read.
struct System {
    root: Node,
    yaml: SystemYaml,
    /// The names of all entities, those that cannot be read included.
    names: BTreeSet<String>,
    /// The entities with a mistake.
    doubtful: BTreeSet<String>,
}

fn place(files: &dyn PackFiles, path: &str) -> String {
    format!("{}/{path}", files.place())
}

struct Loader<'a> {
    files: &'a dyn PackFiles,
    catalog: &'a dyn Catalog,
    findings: Vec<Finding>,
}

impl Loader<'_> {
    fn system(&mut self) -> Option<System> {
        let Some(bytes) = self.bytes(SYSTEM) else {
            let message = "the pack has no `system.yaml`".to_owned();
            self.whole_file(SYSTEM, message, "check the name or the folder of the pack");
            return None;
        };
        let root = yaml::parse(&place(self.files, SYSTEM), &bytes?, &mut self.findings)?;
        let value = root.to_json();
        let mut found = Violations::new();
        shape(schemars::schema_for!(SystemYaml).to_value(), &value, &mut found);
        if found.is_empty()
            && let Err(error) = serde_json::from_value::<SystemYaml>(value.clone())
        {
            found.add(codes::MISMATCH, Path::root(), error.to_string(), "report this");
        }
        let yaml = readable(&without_unknown(value.clone(), &found));
        self.settings(&value, &mut found);
        let names: BTreeSet<String> = entries(&value, "entities").map(|(n, _)| n.clone()).collect();
        // A mapping may read any setting.
        let settings = at_or_below(&found, &Path::from("settings"));
        let doubtful = |name: &&String| {
            settings || at_or_below(&found, &Path::from(["entities", name.as_str()]))
        };
        let doubtful = names.iter().filter(doubtful).cloned().collect();
        self.findings.extend(Finding::placed(&place(self.files, SYSTEM), &root, found));
        Some(System { root, yaml, names, doubtful })
    }

    /// A default must be what its setting takes.
    fn settings(&self, root: &Value, found: &mut Violations) {
        for (name, setting) in entries(root, "settings") {
            let Ok(setting) = serde_json::from_value::<super::Setting>(setting.clone()) else {
                continue;
            };
            if setting.format.is_some() && setting.kind != SettingType::String {
                let path = Path::from(["settings", name, "type"]);
                let message = "only a text has a format";
                found.add(codes::WRONG_TYPE, path, message, "write `string`, or remove `format`");
            } else if let Some(wanted) = setting.default.as_ref().and_then(|v| setting.wanted(v)) {
                let path = Path::from(["settings", name, "default"]);
                let message = format!("the default must be {wanted}");
                found.add(codes::WRONG_TYPE, path, message, format!("write {wanted}"));
            }
        }
    }

    /// `capture.yaml`, as far as it can be read, and the place of its parts.
    fn capture(
        &mut self,
        known: Option<&BTreeSet<String>>,
    ) -> Option<(Capture, Option<(String, Node)>)> {
        let bytes = self.bytes(CAPTURE)??;
        let file = place(self.files, CAPTURE);
        let root = yaml::parse(&file, &bytes, &mut self.findings)?;
        let mut found = Violations::new();
        let value = root.to_json();
        shape(capture_schema(), &value, &mut found);
        let mut capture = Capture::new();
        for (kind, entities) in value.as_object().into_iter().flatten() {
            let section = self.section(kind, entities, known, &mut found);
            capture.insert(kind.clone(), section);
        }
        self.findings.extend(Finding::placed(&file, &root, found));
        Some((capture, Some((file, root))))
    }

    /// What one kind of producer reads: the entities without a mistake.
    fn section(
        &self,
        kind: &str,
        entities: &Value,
        names: Option<&BTreeSet<String>>,
        found: &mut Violations,
    ) -> BTreeMap<EntityName, Value> {
        let mut section = BTreeMap::new();
        let known = self.catalog.kinds(Role::Producer);
        if !known.iter().any(|name| name == kind) {
            let fix =
                suggest::instead_of(kind, known.iter().map(String::as_str), "kinds of producer");
            let message = format!("there is no producer of the kind `{kind}`");
            found.add(codes::UNKNOWN_KIND, kind, message, fix);
            return section;
        }
        let shape = self.catalog.capture_schema(kind).and_then(|schema| Shape::new(schema).ok());
        for (entity, options) in entities.as_object().into_iter().flatten() {
            let at = Path::from([kind, entity]);
            if let Some(names) = names.filter(|names| !names.contains(entity)) {
                let names = names.iter().map(String::as_str);
                let fix = suggest::instead_of(entity, names, "entities of `system.yaml`");
                let message = format!("`system.yaml` has no entity `{entity}`");
                found.add(codes::UNKNOWN_ENTITY, at, message, fix);
                continue;
            }
            let mut part = Violations::new();
            if let Some(shape) = shape.as_ref().filter(|_| options.is_object()) {
                shape.check(options, &mut part);
            }
            match EntityName::new(entity) {
                Ok(name) if part.is_empty() && options.is_object() => {
                    section.insert(name, options.clone());
                }
                _ => {}
            }
            found.add_from(&at, part);
        }
        section
    }

    /// The bytes of a file: nothing when there is none, nothing inside when it cannot be read.
    fn bytes(&mut self, path: &str) -> Option<Option<Vec<u8>>> {
        match self.files.read(path) {
            Ok(bytes) => bytes.map(Some),
            Err(error) => {
                self.whole_file(
                    path,
                    format!("the file could not be read: {error}"),
                    "check its permissions",
                );
                Some(None)
            }
        }
    }

    fn whole_file(&mut self, path: &str, message: String, fix: &str) {
        self.findings.push(Finding {
            code: codes::PACK_FILE,
            file: place(self.files, path),
            mark: Mark::START,
            path: Path::root(),
            message,
            fix: fix.to_owned(),
        });
    }
}

/// `capture.yaml`: kind of producer -> entity -> what that producer needs to know.
fn capture_schema() -> Value {
    serde_json::json!({
        "type": "object",
        "additionalProperties": {"type": "object", "additionalProperties": {"type": "object"}}
    })
}

fn shape(schema: Value, value: &Value, found: &mut Violations) {
    match Shape::new(schema) {
        Ok(shape) => shape.check(value, found),
        Err(error) => found.add(codes::MISMATCH, Path::root(), error.to_string(), "report this"),
    }
}

/// What can be read of `system.yaml`: settings and entities that cannot are left out.
fn readable(value: &Value) -> SystemYaml {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    SystemYaml {
        name: text("name"),
        title: text("title"),
        version: text("version"),
        settings: read(value, "settings"),
        entities: read(value, "entities"),
    }
}

fn read<T: DeserializeOwned>(value: &Value, section: &str) -> BTreeMap<String, T> {
    let read = |entry: &Value| serde_json::from_value(entry.clone()).ok();
    entries(value, section).filter_map(|(name, entry)| Some((name.clone(), read(entry)?))).collect()
}

fn entries<'v>(value: &'v Value, section: &str) -> impl Iterator<Item = (&'v String, &'v Value)> {
    value.get(section).and_then(Value::as_object).into_iter().flatten()
}

/// A value without the keys that are said not to exist.
fn without_unknown(mut value: Value, found: &Violations) -> Value {
    for unknown in found.iter().filter(|violation| violation.code == codes::UNKNOWN_KEY) {
        let Some((Segment::Key(key), parents)) = unknown.path.segments().split_last() else {
            continue;
        };
        let parent = parents.iter().try_fold(&mut value, |at, segment| match segment {
            Segment::Key(key) => at.get_mut(key),
            Segment::Index(index) => at.get_mut(index),
        });
        if let Some(map) = parent.and_then(Value::as_object_mut) {
            map.remove(key);
        }
    }
    value
}

fn at_or_below(found: &Violations, place: &Path) -> bool {
    found.iter().any(|violation| violation.path.starts_with(place))
}
