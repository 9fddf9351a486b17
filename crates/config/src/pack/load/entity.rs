//! The entities of `system.yaml`, and the files that they name.

use std::collections::{BTreeMap, BTreeSet};

use throughline_event::{EntityName, Path, Violations, suggest};

use super::{
    super::{
        Entity, TextFile,
        system::{EntityYaml, SystemYaml},
    },
    Loader, SYSTEM, place,
};
use crate::{
    Finding, codes,
    yaml::{self, Node},
};

impl Loader<'_> {
    /// The entities whose schema can be read. Those with another mistake have no mapping here, so
    /// that nothing is said about it that follows from the mistake.
    pub(super) fn entities(
        &mut self,
        root: &Node,
        system: &SystemYaml,
        doubtful: &BTreeSet<String>,
    ) -> BTreeMap<EntityName, Entity> {
        let mut found = Violations::new();
        let mut entities = BTreeMap::new();
        for (name, written) in &system.entities {
            let at = Path::from(["entities", name]);
            let before = found.len();
            if !doubtful.contains(name) {
                both_or_none(&at, written, &mut found);
            }
            let entity = self.entity(&at, written, &mut found);
            if let (Ok(name), Some(mut entity)) = (EntityName::new(name.as_str()), entity) {
                if found.len() > before || doubtful.contains(name.as_str()) {
                    entity.mapping = None;
                }
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
            return None;
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
}

/// A mapping is for canonical entities, and these are for a mapping.
fn both_or_none(at: &Path, written: &EntityYaml, found: &mut Violations) {
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
}
