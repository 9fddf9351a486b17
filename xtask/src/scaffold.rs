//! The skeleton of a connector.

use std::{fs, process::Command};

use anyhow::{Context, Result, bail};

use crate::{repo::Repo, tools::run};

/// Writes the folder of a new connector.
pub(crate) fn write(repo: &Repo, role: &str, name: &str) -> Result<()> {
    let role = Role::named(role)?;
    if !is_name(name) {
        bail!("`{name}` cannot be a name; use a-z, 0-9 and `-`, starting with a letter");
    }
    let folder = format!("{}/{name}", role.parent());
    if repo.root.join(&folder).exists() {
        bail!("{folder} exists already");
    }
    let mut sources = Vec::new();
    for (path, text) in files(role, name) {
        let path = repo.root.join(&folder).join(path);
        fs::create_dir_all(path.parent().context("a file has no folder")?)?;
        fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))?;
        println!("wrote {}", path.display());
        sources.extend(path.extension().is_some_and(|end| end == "rs").then_some(path));
    }
    // Where lines break depends on the length of the name.
    run(Command::new("rustfmt").args(["--edition", "2024"]).args(sources))?;
    println!(
        "next: one line for throughline-{}-{name} in the root Cargo.toml, one in crates/cli/Cargo.toml, \
         one in crates/cli/src/connectors.rs, one for its example in crates/cli/tests/commands.rs",
        role.word()
    );
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Producer,
    Processor,
    Sink,
}

impl Role {
    fn named(word: &str) -> Result<Self> {
        match word {
            "producer" => Ok(Self::Producer),
            "processor" => Ok(Self::Processor),
            "sink" => Ok(Self::Sink),
            _ => bail!("`{word}` is no role; roles are producer, processor and sink"),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Processor => "processor",
            Self::Sink => "sink",
        }
    }

    fn parent(self) -> &'static str {
        match self {
            Self::Producer => "producers",
            Self::Processor => "processors",
            Self::Sink => "sinks",
        }
    }

    /// The modules that every connector of the role has, each with what it holds.
    fn modules(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Producer => &[
                ("error", "Failures of the source, as what the runtime has to do."),
                ("capture", "Snapshot and stream; implements `Producer`."),
                ("position", "The source position: its text form and its order."),
            ],
            Self::Processor => &[
                ("error", "Why a record cannot be processed."),
                ("normalize", "Change event to canonical records; pure. Implements `Processor`."),
            ],
            Self::Sink => &[
                ("error", "Failures of the target, as what the runtime has to do."),
                ("mapping", "Canonical record to a request of the target; pure."),
                ("client", "Talks to the target, and does nothing else."),
                ("sink", "Order, batches and receipts; implements `Sink`."),
            ],
        }
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// `erp-orders` as `ErpOrders`.
fn type_name(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|c| c.to_ascii_uppercase())
                .into_iter()
                .chain(letters)
                .collect::<String>()
        })
        .collect()
}

/// Every file of the folder.
fn files(role: Role, name: &str) -> Vec<(String, String)> {
    let mut files = vec![
        ("Cargo.toml".to_owned(), manifest(role, name)),
        ("README.md".to_owned(), readme(role, name)),
        ("config.example.yaml".to_owned(), example(role, name)),
        ("src/lib.rs".to_owned(), lib(role, name)),
        ("src/options.rs".to_owned(), options(role, name)),
        ("tests/main.rs".to_owned(), tests(role, name)),
    ];
    for (module, about) in role.modules() {
        files.push((format!("src/{module}.rs"), format!("//! {about}\n")));
    }
    files
}

fn manifest(role: Role, name: &str) -> String {
    let word = role.word();
    format!(
        "[package]\nname = \"throughline-{word}-{name}\"\nversion.workspace = true\n\
         edition.workspace = true\nrust-version.workspace = true\nlicense.workspace = true\n\
         publish.workspace = true\nautotests = false\n\n[lints]\nworkspace = true\n\n[dependencies]\n\
         schemars.workspace = true\nserde.workspace = true\nthroughline-connector.workspace = true\n\
         throughline-event.workspace = true\n\n[dev-dependencies]\nserde_json.workspace = true\n\n\
         [[test]]\nname = \"main\"\npath = \"tests/main.rs\"\n"
    )
}

fn readme(role: Role, name: &str) -> String {
    let does = match role {
        Role::Producer => {
            "What it captures, from which versions of the source, with which permissions."
        }
        Role::Processor => "What it turns into what.",
        Role::Sink => "What it writes, and where.",
    };
    format!(
        "# {name} {}\n\n{does}\n\n## Delivery\n\nThe promise, and the key that makes a repeated write \
         harmless.\n\n## Types\n\nThe map of types.\n\n## Limits\n\n## Metrics\n\n\
         An example is in `config.example.yaml`, a whole file; the test of examples in \
         crates/cli/tests/commands.rs validates it.\n",
        role.word()
    )
}

fn example(role: Role, name: &str) -> String {
    let head = if role == Role::Sink { "topics: [canonical.order]" } else { "system: shop" };
    format!(
        "systems: {{shop: {{pack: sunrise, settings: {{currency: EUR}}}}}}\n\
         ownership: {{order: shop, inventory: shop, customer: shop, location: shop}}\n\
         {}:\n  my-{name}: {{kind: {name}, {head}}}\n",
        role.parent()
    )
}

fn lib(role: Role, name: &str) -> String {
    let title = type_name(name);
    let mut modules: Vec<&str> = role.modules().iter().map(|(module, _)| *module).collect();
    modules.push("options");
    modules.sort_unstable();
    let modules: String = modules.iter().map(|module| format!("mod {module};\n")).collect();
    format!(
        "//! The `{name}` {}.\n//!\n//! What it owns, what it leaves to whom, its invariants and limits.\n\n\
         {modules}\npub use options::{{{title}Options, {title}Settings}};\n",
        role.word()
    )
}

fn options(role: Role, name: &str) -> String {
    let title = type_name(name);
    let word = role.word();
    format!(
        "//! What the operator writes, and its validation.\n\n\
         use schemars::JsonSchema;\nuse serde::Deserialize;\n\
         use throughline_connector::ConnectorOptions;\nuse throughline_event::{{Path, Violations}};\n\n\
         /// The options of the `{name}` {word}.\n#[derive(Debug, Deserialize, JsonSchema)]\n\
         #[serde(deny_unknown_fields)]\npub struct {title}Options {{}}\n\n\
         /// Options that were checked.\n#[derive(Debug, Clone, PartialEq, Eq)]\n\
         pub struct {title}Settings {{}}\n\n\
         impl ConnectorOptions for {title}Options {{\n    type Settings = {title}Settings;\n\n    \
         fn validate(self, _at: &Path, _violations: &mut Violations) -> Option<{title}Settings> {{\n        \
         Some({title}Settings {{}})\n    }}\n}}\n"
    )
}

fn tests(role: Role, name: &str) -> String {
    let title = type_name(name);
    let package = format!("throughline_{}_{}", role.word(), name.replace('-', "_"));
    format!(
        "//! Mapping goldens, conformance and faults.\n\n\
         use throughline_connector::options_from_json;\nuse throughline_event::{{Path, Violations}};\n\
         use {package}::{title}Options;\n\n\
         #[test]\nfn no_options_are_valid_options() {{\n    \
         let mut violations = Violations::new();\n    \
         let settings = options_from_json::<{title}Options>(\n        serde_json::json!({{}}),\n        \
         &Path::root(),\n        &mut violations,\n    );\n    \
         assert!(settings.is_some() && violations.is_empty());\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skeleton_has_the_files_of_its_role() {
        let folder = tempfile::tempdir().unwrap();
        let repo = Repo { root: folder.path().to_owned() };
        write(&repo, "sink", "erp-orders").unwrap();
        let sink = folder.path().join("sinks/erp-orders");
        for file in ["Cargo.toml", "README.md", "src/lib.rs", "src/sink.rs", "tests/main.rs"] {
            assert!(sink.join(file).is_file(), "{file}");
        }
        let lib = fs::read_to_string(sink.join("src/lib.rs")).unwrap();
        assert!(lib.contains("pub use options::{ErpOrdersOptions"), "{lib}");
        let manifest = fs::read_to_string(sink.join("Cargo.toml")).unwrap();
        assert!(manifest.parse::<toml::Table>().is_ok());
        assert!(write(&repo, "sink", "erp-orders").is_err());
    }

    #[test]
    fn a_bad_role_or_name_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let repo = Repo { root: folder.path().to_owned() };
        for (role, name) in
            [("skin", "erp"), ("sink", "Erp"), ("sink", "../x"), ("sink", "a-"), ("sink", "")]
        {
            assert!(write(&repo, role, name).is_err(), "{role} {name}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
