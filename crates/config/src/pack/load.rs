//! From the files of a pack to a [`Pack`].

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;
use throughline_event::{EntityName, Path, Violations, suggest};

use super::{
    Entity, Pack, PackFiles, TextFile,
    system::{EntityYaml, SystemYaml},
};
use crate::{
    Catalog, Finding, Report, codes,
    schema::Shape,
    yaml::{self, Mark, Node},
};

/// Reads and checks a pack.
///
/// # Errors
/// Everything that is wrong with its files.
pub fn load(files: Arc<dyn PackFiles>, catalog: &dyn Catalog) -> Result<Pack, Report> {
    let mut loader = Loader { files: &*files, catalog, findings: Vec::new() };
    let system = loader.system();
    let known = system.as_ref().map(|(_, system)| system);
    let capture = loader.capture(known);
    let entities = system.as_ref().map(|(root, system)| loader.entities(root, system));
    if !loader.findings.is_empty() {
        return Err(Report::new(loader.findings));
    }
    let (Some((_, system)), Some(entities)) = (system, entities) else {
        return Err(Report::new(vec![]));
    };
    let (capture, capture_file) = capture.map_or((BTreeMap::new(), None), |(root, capture)| {
        (capture, Some((place(&*files, CAPTURE), root)))
    });
    Ok(Pack {
        name: system.name,
        title: system.title,
        version: system.version,
        settings: system.settings,
        entities,
        capture,
        capture_file,
        files,
    })
}

const SYSTEM: &str = "system.yaml";
const CAPTURE: &str = "capture.yaml";

type Capture = BTreeMap<String, BTreeMap<EntityName, Value>>;

fn place(files: &dyn PackFiles, path: &str) -> String {
    format!("{}/{path}", files.place())
}

struct Loader<'a> {
    files: &'a dyn PackFiles,
    catalog: &'a dyn Catalog,
    findings: Vec<Finding>,
}

impl Loader<'_> {
    fn system(&mut self) -> Option<(Node, SystemYaml)> {
        let Some(bytes) = self.bytes(SYSTEM) else {
            let message = "the pack has no `system.yaml`".to_owned();
            self.whole_file(SYSTEM, message, "check the name or the folder of the pack");
            return None;
        };
        let root = yaml::parse(&place(self.files, SYSTEM), &bytes?, &mut self.findings)?;
        let mut found = Violations::new();
        shape(schemars::schema_for!(SystemYaml).to_value(), &root.to_json(), &mut found);
        let clean = found.is_empty();
        if clean {
            self.settings(&root.to_json(), &mut found);
        }
        let read = clean.then(|| serde_json::from_value(root.to_json()));
        if let Some(Err(error)) = &read {
            found.add(codes::MISMATCH, Path::root(), error.to_string(), "report this");
        }
        self.findings.extend(Finding::placed(&place(self.files, SYSTEM), &root, found));
        Some((root, read?.ok()?))
    }

    /// A default must have the type of its setting.
    fn settings(&self, root: &Value, found: &mut Violations) {
        let settings = root.get("settings").and_then(Value::as_object);
        for (name, setting) in settings.into_iter().flatten() {
            let Ok(setting) = serde_json::from_value::<super::Setting>(setting.clone()) else {
                continue;
            };
            if setting.default.as_ref().is_some_and(|default| !setting.kind.accepts(default)) {
                let wanted = setting.kind.words();
                let path = Path::from(["settings", name, "default"]);
                let message = format!("the default must be {wanted}");
                found.add(codes::WRONG_TYPE, path, message, format!("write {wanted}"));
            }
        }
    }

    fn entities(&mut self, root: &Node, system: &SystemYaml) -> BTreeMap<EntityName, Entity> {
        let mut found = Violations::new();
        let mut entities = BTreeMap::new();
        for (name, written) in &system.entities {
            let at = Path::from(["entities", name]);
            let entity = self.entity(&at, written, &mut found);
            if let (Ok(name), Some(entity)) = (EntityName::new(name), entity) {
                entities.insert(name, entity);
            }
        }
        self.findings.extend(Finding::placed(&place(self.files, SYSTEM), root, found));
        entities
    }

    fn entity(&self, at: &Path, written: &EntityYaml, found: &mut Violations) -> Option<Entity> {
        let known = self.catalog.entities();
        let mut canonical = Vec::new();
        for (index, entity) in written.canonical.iter().enumerate() {
            match EntityName::new(entity) {
                Ok(name) if known.contains(entity) => canonical.push(name),
                _ => found.add(
                    codes::UNKNOWN_ENTITY,
                    at.key("canonical").index(index),
                    format!("there is no canonical entity `{entity}`"),
                    suggest::instead_of(
                        entity,
                        known.iter().map(String::as_str),
                        "canonical entities",
                    ),
                ),
            }
        }
        match (&written.mapping, written.canonical.is_empty()) {
            (Some(_), true) => found.add(
                codes::MISSING_KEY,
                at.key("mapping"),
                "the mapping writes no canonical entity",
                "list what it writes under `canonical`, or remove the mapping",
            ),
            (None, false) => found.add(
                codes::MISSING_KEY,
                at.key("canonical"),
                "canonical entities are listed without a mapping that writes them",
                "add `mapping:`, or remove `canonical`",
            ),
            _ => {}
        }
        let mapping =
            written.mapping.as_ref().map(|path| self.text(at.key("mapping"), path, found));
        let schema = self.text(at.key("schema"), &written.schema, found)?;
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&schema.text) {
            let message = format!("`{}` is not valid JSON: {error}", schema.path);
            found.add(
                codes::PACK_SCHEMA,
                at.key("schema"),
                message,
                "repair the schema at that place",
            );
        }
        let mapping = match mapping {
            Some(read) => Some(read?),
            None => None,
        };
        Some(Entity {
            mapping,
            schema,
            canonical,
            single_partition: written.single_partition,
            ignore: written.ignore.clone(),
        })
    }

    /// A text file that `system.yaml` names.
    fn text(&self, at: Path, path: &str, found: &mut Violations) -> Option<TextFile> {
        let message = match self.files.read(path) {
            Ok(Some(bytes)) if bytes.len() as u64 > yaml::MAX_BYTES => {
                format!("`{path}` has more than {} bytes", yaml::MAX_BYTES)
            }
            Ok(Some(bytes)) => match String::from_utf8(bytes) {
                Ok(text) => return Some(TextFile { path: path.to_owned(), text }),
                Err(_) => format!("`{path}` is not UTF-8 text"),
            },
            Ok(None) => format!("the pack has no file `{path}`"),
            Err(error) => format!("`{path}` could not be read: {error}"),
        };
        found.add(codes::PACK_FILE, at, message, self.other_files(path));
        None
    }

    fn other_files(&self, path: &str) -> String {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let names = self.files.list(folder).unwrap_or_default();
        let paths: Vec<String> = names
            .iter()
            .map(|name| if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") })
            .collect();
        suggest::instead_of(path, paths.iter().map(String::as_str), "files there")
    }

    fn capture(&mut self, system: Option<&SystemYaml>) -> Option<(Node, Capture)> {
        let bytes = self.bytes(CAPTURE)??;
        let file = place(self.files, CAPTURE);
        let root = yaml::parse(&file, &bytes, &mut self.findings)?;
        let mut found = Violations::new();
        let value = root.to_json();
        shape(capture_schema(), &value, &mut found);
        let mut capture = Capture::new();
        let kinds = if found.is_empty() { value.as_object() } else { None };
        for (kind, entities) in kinds.into_iter().flatten() {
            let section = self.section(kind, entities, system, &mut found);
            capture.insert(kind.clone(), section);
        }
        self.findings.extend(Finding::placed(&file, &root, found));
        Some((root, capture))
    }

    /// What one kind of producer reads.
    fn section(
        &self,
        kind: &str,
        entities: &Value,
        system: Option<&SystemYaml>,
        found: &mut Violations,
    ) -> BTreeMap<EntityName, Value> {
        let mut section = BTreeMap::new();
        let known = self.catalog.kinds(crate::Role::Producer);
        if !known.iter().any(|name| name == kind) {
            let fix =
                suggest::instead_of(kind, known.iter().map(String::as_str), "kinds of producer");
            let message = format!("there is no producer of the kind `{kind}`");
            found.add(codes::UNKNOWN_KIND, kind, message, fix);
            return section;
        }
        for (entity, options) in entities.as_object().into_iter().flatten() {
            let at = Path::from([kind, entity]);
            if let Some(system) = system.filter(|system| !system.entities.contains_key(entity)) {
                let names = system.entities.keys().map(String::as_str);
                let fix = suggest::instead_of(entity, names, "entities of `system.yaml`");
                let message = format!("`system.yaml` has no entity `{entity}`");
                found.add(codes::UNKNOWN_ENTITY, at, message, fix);
                continue;
            }
            let mut part = Violations::new();
            if let Some(schema) = self.catalog.capture_schema(kind) {
                shape(schema, options, &mut part);
            }
            if part.is_empty() {
                self.catalog.check_capture(kind, options, &mut part);
            }
            found.add_from(&at, part);
            if let Ok(name) = EntityName::new(entity) {
                section.insert(name, options.clone());
            }
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
