//! Does the file mean something? Names that point at each other, options, and the finished
//! [`Config`].
//!
//! Every part is checked for itself, and a check that needs a part with a mistake of its own is left
//! out: one mistake gives one finding, not a trail of them.

use std::{
    collections::BTreeMap,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use serde_json::Value;
use throughline_event::{Path, Violations, suggest};

use crate::{
    Catalog, Config, Finding, codes, file,
    pack::{self, Pack},
    schema::Shape,
    yaml::Node,
};

mod build;
mod bus;
mod topics;
mod workers;

pub use workers::NORMALIZER;

/// What came of a check.
pub(crate) struct Checked {
    /// What is wrong with the file itself.
    pub(crate) found: Violations,
    /// What is wrong with the packs that it names.
    pub(crate) pack_findings: Vec<Finding>,
    /// The configuration, when nothing is wrong.
    pub(crate) config: Option<Config>,
}

/// Checks a file that stands in `folder`.
pub(crate) fn check(root: &Node, folder: &FilePath, catalog: &dyn Catalog) -> Checked {
    let value = without_nulls(root.to_json());
    let mut check = Check {
        catalog,
        folder,
        value: &value,
        found: Violations::new(),
        pack_findings: Vec::new(),
        packs: BTreeMap::new(),
        systems: BTreeMap::new(),
    };
    check.shape(file::schema(), &value, &Path::root());
    check.version();
    check.addresses();
    check.systems();
    check.ownership();
    check.workers();
    check.owners_of_all_entities();
    catalog.check_file(&value, &mut check.found);
    check.mappings();
    let mut found = check.found;
    let config = if found.is_empty() && check.pack_findings.is_empty() {
        build::config(&value, folder, &check.systems)
            .map_err(|error| {
                found.add(codes::MISMATCH, Path::root(), error.to_string(), "report this")
            })
            .ok()
    } else {
        None
    };
    Checked { found, pack_findings: check.pack_findings, config }
}

/// A section with nothing behind its name is a section without entries.
fn without_nulls(mut value: Value) -> Value {
    if let Some(sections) = value.as_object_mut() {
        sections.retain(|_, section| !section.is_null());
    }
    value
}

/// A path that the file names, as a person would write it: without `./` in the middle.
fn below(folder: &FilePath, path: &FilePath) -> PathBuf {
    folder.join(path).components().collect()
}

struct Check<'a> {
    catalog: &'a dyn Catalog,
    folder: &'a FilePath,
    value: &'a Value,
    found: Violations,
    pack_findings: Vec<Finding>,
    /// Packs by the way they were asked for; `None` for one that cannot be used.
    packs: BTreeMap<String, Option<Arc<Pack>>>,
    /// Systems by name; without a pack where the pack cannot be used.
    systems: BTreeMap<String, Option<Arc<Pack>>>,
}

impl<'a> Check<'a> {
    /// The mappings are told together with what else is wrong. Where nothing is, they are compiled
    /// for their systems.
    fn mappings(&mut self) {
        if self.found.is_empty() && self.pack_findings.is_empty() {
            return;
        }
        for pack in self.packs.values().flatten() {
            self.pack_findings.extend(self.catalog.check_mappings(pack));
        }
    }

    /// Whether nothing was found at this place or inside it.
    fn sound(&self, path: &Path) -> bool {
        !self.found.iter().any(|violation| violation.path.starts_with(path))
    }

    /// A section of the file, or nothing where it is missing or no map.
    fn section(&self, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.value.get(name).and_then(Value::as_object).into_iter().flatten()
    }

    /// Checks a part against a schema and reports whether it fits.
    fn shape(&mut self, schema: Value, part: &Value, at: &Path) -> bool {
        let mut found = Violations::new();
        match Shape::new(schema) {
            Ok(shape) => shape.check(part, &mut found),
            Err(error) => {
                found.add(codes::MISMATCH, Path::root(), error.to_string(), "report this")
            }
        }
        let fits = found.is_empty();
        self.found.add_from(at, found);
        fits
    }

    fn version(&mut self) {
        let at = Path::from("version");
        let version = self.value.get("version").and_then(Value::as_u64);
        if let Some(version) = version.filter(|version| *version > 1 && self.sound(&at)) {
            self.found.add(
                codes::OUT_OF_RANGE,
                at,
                format!("the file has version {version}, and this program reads version 1"),
                "use a newer throughline, or write `version: 1`",
            );
        }
    }

    fn systems(&mut self) {
        for (name, system) in self.section("systems") {
            let at = Path::from(["systems", name]);
            let pack = match system.get("pack").and_then(Value::as_str) {
                Some(pack) if self.sound(&at.key("pack")) => self.pack(pack, &at.key("pack")),
                _ => None,
            };
            if let Some(pack) = &pack
                && self.sound(&at)
            {
                self.settings(pack, system.get("settings"), &at.key("settings"));
            }
            self.systems.insert(name.clone(), pack);
        }
    }

    /// The pack of this name or in this folder, loaded once however many systems use it.
    fn pack(&mut self, name: &str, at: &Path) -> Option<Arc<Pack>> {
        if let Some(known) = self.packs.get(name) {
            return known.clone();
        }
        let files: Option<Arc<dyn pack::PackFiles>> = if name.contains('/') {
            let folder = below(self.folder, FilePath::new(name));
            folder.is_dir().then(|| Arc::new(pack::Folder::new(folder)) as _)
        } else {
            self.catalog.pack(name)
        };
        let loaded = match files.map(|files| pack::load(files, self.catalog)) {
            Some(Ok(pack)) => Some(Arc::new(pack)),
            Some(Err(report)) => {
                self.pack_findings.extend(report.findings().iter().cloned());
                None
            }
            None if name.contains('/') => {
                let message = format!("there is no folder `{name}`");
                let fix = "write a folder relative to this file, or the name of a built-in pack";
                self.found.add(codes::UNKNOWN_PACK, at, message, fix);
                None
            }
            None => {
                let known = self.catalog.packs();
                let fix =
                    suggest::instead_of(name, known.iter().map(String::as_str), "built-in packs");
                let fix = format!("{fix}; a pack in a folder is written `./{name}`");
                self.found.add(codes::UNKNOWN_PACK, at, format!("there is no pack `{name}`"), fix);
                None
            }
        };
        self.packs.insert(name.to_owned(), loaded.clone());
        loaded
    }

    fn settings(&mut self, pack: &Pack, written: Option<&Value>, at: &Path) {
        let written = written.and_then(Value::as_object);
        for (name, value) in written.into_iter().flatten() {
            let Some(setting) = pack.settings.get(name) else {
                let known = pack.settings.keys().map(String::as_str);
                let fix = suggest::instead_of(name, known, "settings of this pack");
                let message = format!("the pack `{}` has no setting `{name}`", pack.name);
                self.found.add(codes::SETTING, at.key(name), message, fix);
                continue;
            };
            if value.as_str().is_some_and(|text| text.starts_with("${")) {
                let message = format!("the setting `{name}` cannot be taken from elsewhere");
                let fix = "write the value itself; only secrets are written as `${...}`";
                self.found.add(codes::SETTING, at.key(name), message, fix);
                continue;
            }
            if let Some(wanted) = setting.wanted(value) {
                let message = format!("the setting `{name}` must be {wanted}");
                self.found.add(codes::SETTING, at.key(name), message, format!("write {wanted}"));
            }
        }
        for (name, setting) in &pack.settings {
            let given = written.is_some_and(|written| written.contains_key(name));
            if setting.required && setting.default.is_none() && !given {
                let message = format!(
                    "the pack `{}` needs the setting `{name}`: {}",
                    pack.name, setting.description
                );
                self.found.add(codes::SETTING, at, message, format!("add `{name}:`"));
            }
        }
    }
}
