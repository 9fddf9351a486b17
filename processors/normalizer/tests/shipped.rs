//! The packs under `systems`, as the configuration loads them; the benches use them as well.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use throughline_avro::Schema;
use throughline_config::Catalog;
use throughline_config::pack::{self, Folder, PackFiles};
use throughline_event::{Role, SystemName};
use throughline_processor_normalizer::{Pack, PackEntity, Spec, canonical_entities};

/// The folder of a pack, above whichever crate this file is part of.
pub(crate) fn folder(pack: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().find(|folder| folder.join("systems").is_dir());
    root.unwrap_or(here).join("systems").join(pack)
}

/// A program with the normalizer and the files producer, and no pack of its own.
struct Normalizing;

impl Catalog for Normalizing {
    fn entities(&self) -> Vec<String> {
        canonical_entities().iter().map(|entity| entity.name.to_string()).collect()
    }

    fn kinds(&self, role: Role) -> Vec<String> {
        if role == Role::Producer { vec!["files".to_owned()] } else { Vec::new() }
    }

    fn options_schema(&self, _role: Role, _kind: &str) -> Option<Value> {
        None
    }

    fn packs(&self) -> Vec<String> {
        Vec::new()
    }

    fn pack(&self, _name: &str) -> Option<Arc<dyn PackFiles>> {
        None
    }
}

/// A pack for a system that owns everything; `settings` stand before the pack's defaults.
pub(crate) fn spec(
    pack: &str,
    system: &str,
    settings: Map<String, Value>,
) -> Result<Spec, Box<dyn Error + Send + Sync>> {
    let loaded = pack::load(Arc::new(Folder::new(folder(pack))), &Normalizing)
        .map_err(|report| report.render(false))?;
    let mut entities = Vec::new();
    for (name, entity) in &loaded.entities {
        let Some(mapping) = &entity.mapping else { continue };
        entities.push(PackEntity {
            name: name.clone(),
            file: mapping.path.clone(),
            mapping: mapping.text.clone(),
            document: Schema::parse(&entity.schema.text)?,
            canonical: entity.canonical.clone(),
        });
    }
    let default =
        |(name, setting): (&String, &pack::Setting)| Some((name.clone(), setting.default.clone()?));
    let mut all: Map<String, Value> = loaded.settings.iter().filter_map(default).collect();
    all.extend(settings);
    Ok(Spec {
        pack: Pack { name: loaded.name.clone(), entities },
        system: SystemName::new(system)?,
        settings: all,
        owned: canonical_entities().iter().map(|entity| entity.name.clone()).collect(),
    })
}
