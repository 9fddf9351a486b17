//! `init`: a first, commented throughline.yaml.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use throughline_config::pack;
use throughline_config::reference::SCHEMA_FILE;

use crate::args::{DEFAULT_CONFIG, Global};
use crate::catalog::BuiltIn;
use crate::exit::{Exit, Fail, Failure};
use crate::{output, packs};

pub(crate) fn run(global: &Global, pack: &str) -> Result<Exit, Failure> {
    let loaded = pack::load(packs::find(pack)?, &BuiltIn).or_else(|report| {
        let refused = super::refuse(&report, global.output);
        let file = global.config.display();
        output::note(&format!("{file} was not written: mend the pack, then run `init` again"));
        refused
    })?;
    // A name without a slash is that of a built-in pack.
    let folder = Path::new(pack).is_dir() && !pack.contains('/');
    let named = if folder { format!("./{pack}") } else { pack.to_owned() };
    let text = configuration(&loaded, &named);
    let mut file = match OpenOptions::new().write(true).create_new(true).open(&global.config) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let text = format!(
                "TL9009: {} exists and is left as it is; name another file with --config",
                global.config.display()
            );
            return Err(Failure::new(Exit::Config, text));
        }
        Err(error) => return Err(error).exit(Exit::Unavailable),
    };
    file.write_all(text.as_bytes()).exit(Exit::Unavailable)?;
    write_schema(&global.config)?;
    let file = global.config.display();
    let named = global.config != Path::new(DEFAULT_CONFIG);
    let option = if named { format!(" --config {file}") } else { String::new() };
    output::note(&format!(
        "wrote {file}; put the exports into {}/, then run `throughline{option} check` and \
         `throughline{option} up`",
        global.config.with_file_name("exports").display()
    ));
    Ok(Exit::Ok)
}

/// Writes the schema beside a configuration whose first line names it.
pub(crate) fn write_schema(config: &Path) -> Result<(), Failure> {
    let path = config.with_file_name(SCHEMA_FILE);
    std::fs::write(path, super::reference::schema()?).exit(Exit::Unavailable)
}

/// The embedded bus on the usual ports, and how to take others.
pub(crate) const BUS: &str = "\
bus: embedded
# Where another program has one of its ports; 0 takes any free one:
# bus: {embedded: {kafka: \"127.0.0.1:9092\", registry: \"127.0.0.1:8081\"}}
# metrics: \"127.0.0.1:9464\"
";

/// The configuration of one system with this pack, as it was `named`. Settings without a default are for the reader to
/// fill in.
pub(crate) fn configuration(pack: &pack::Pack, named: &str) -> String {
    let mut settings = String::new();
    for (name, setting) in &pack.settings {
        settings.push_str(&format!("      # {}\n", setting.description));
        match &setting.default {
            Some(default) => settings.push_str(&format!("      # {name}: {default}\n")),
            None if name == "currency" => settings.push_str("      currency: EUR\n"),
            None => settings.push_str(&format!("      {name}: # required\n")),
        }
    }
    // A key with nothing but comments below it would be empty.
    let written = settings.lines().any(|line| !line.trim_start().starts_with('#'));
    let mark = if written { "" } else { "# " };
    let mut entities: Vec<String> = pack
        .entities
        .values()
        .flat_map(|entity| entity.canonical.iter().map(ToString::to_string))
        .collect();
    entities.sort_unstable();
    entities.dedup();
    let owners: String = entities.iter().map(|entity| format!("  {entity}: shop\n")).collect();
    let topics: Vec<String> = entities.iter().map(|entity| format!("canonical.{entity}")).collect();
    format!(
        "# yaml-language-server: $schema={SCHEMA_FILE}\n\
         # {title}, from its export files to canonical streams and to a folder.\n\
         # Check it with `throughline validate`; `throughline reference config` lists every key.\n\
         version: 1\n\
         \n\
         # The embedded broker and registry keep their log here. For Apache Kafka, write\n\
         # `bus: {{brokers: [\"kafka:9092\"], registry: \"http://registry:8081\"}}` instead.\n\
         data: ./data\n\
         {BUS}\
         \n\
         systems:\n\
         \x20 shop:\n\
         \x20   pack: {named}\n\
         \x20   {mark}settings:\n\
         {settings}\
         \n\
         # Who owns each canonical entity: one system, or `each`.\n\
         ownership:\n\
         {owners}\
         \n\
         producers:\n\
         \x20 shop-exports:\n\
         \x20   kind: files\n\
         \x20   system: shop\n\
         \x20   folder: ./exports\n\
         \n\
         sinks:\n\
         \x20 lake:\n\
         \x20   kind: files\n\
         \x20   topics: [{topics}]\n\
         \x20   folder: ./target\n\
         \x20   format: jsonl\n",
        title = pack.title,
        topics = topics.join(", "),
    )
}
