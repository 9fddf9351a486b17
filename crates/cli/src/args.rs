//! The command line.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::output::Format;

const EXAMPLES: &str = "\
Examples:
  throughline demo                            a sample shop's exports into canonical streams
  throughline tail canonical.order            decoded orders as they arrive
  throughline validate --config shop.yaml     every mistake in a file, with line and fix

Exit codes: 0 ok, 1 findings, 64 usage, 65 bad data, 69 unavailable, 70 internal, 78 configuration.";

/// The configuration when none is named.
pub(crate) const DEFAULT_CONFIG: &str = "throughline.yaml";

/// Commands that read no configuration and answer in one form only, and the options that they do
/// not show therefore.
const PLAIN: [&str; 4] = ["demo", "explain", "reference", "completions"];
const NOT_PLAIN: [&str; 2] = ["config", "output"];

/// An event-streaming backbone for commerce.
#[derive(Debug, Parser)]
#[command(name = "throughline", version, after_help = EXAMPLES, propagate_version = false)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// The command line as it is parsed and shown.
    pub(crate) fn shown() -> clap::Command {
        let whole = Self::command();
        let hidden: Vec<clap::Arg> = whole
            .get_arguments()
            .filter(|argument| NOT_PLAIN.contains(&argument.get_id().as_str()))
            .map(|argument| argument.clone().hide(true))
            .collect();
        PLAIN.into_iter().fold(whole, |whole, name| {
            whole.mut_subcommand(name, |command| command.args(hidden.clone()))
        })
    }
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The configuration file.
    #[arg(long, short, global = true, default_value = DEFAULT_CONFIG, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// How reads answer.
    #[arg(long, short, global = true, value_enum, default_value_t)]
    pub(crate) output: Format,
    /// What is logged to stderr: error, warn, info, debug, or a filter such as `info,rdkafka=debug`.
    #[arg(long, global = true, default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the demo: embedded bus, a sample shop's exports, canonical streams, a target on disk.
    ///
    /// It listens on the usual ports (Kafka 9092, registry 8081, metrics 9464) where they are free
    /// when its folder is made, else on free ones that it prints.
    Demo {
        /// Where the demo keeps everything; created when it is missing, continued when it is there.
        #[arg(long, default_value = "throughline-demo")]
        folder: PathBuf,
        /// Stop when all sample data is in the target.
        #[arg(long)]
        once: bool,
    },
    /// Write a commented throughline.yaml, and beside it the schema by which editors check it.
    ///
    /// `--config` names another file; one that exists is left as it is. The exports go into the
    /// folder `exports` beside it, and what comes of them into the folder `target`.
    Init {
        /// The system pack to start from: one that is built in, or a pack's folder.
        #[arg(long, default_value = "sunrise")]
        pack: String,
    },
    /// Check the configuration, packs and mappings; no I/O beyond reading them.
    Validate,
    /// Validate, then reach the bus, the registry, the sources and the targets.
    Check,
    /// Run everything in one process.
    Up,
    /// Run one part in a process of its own.
    ///
    /// On Apache Kafka each part may have its own container. On the embedded bus the parts run on one
    /// machine and share the data folder, and `run bus` is started first.
    #[command(subcommand)]
    Run(Part),
    /// Run the tests of a pack's mappings: its fixtures in, canonical records out.
    ///
    /// A fixture is `fixtures/ENTITY/CASE.json` in the pack: `before` and `after` of a change, and the
    /// records that come of it.
    Test {
        /// A pack's folder, or the name of one that is built in; all packs of the configuration
        /// without it.
        pack: Option<String>,
        /// Write what each fixture gives now into it, for review.
        #[arg(long)]
        update: bool,
    },
    /// Print records of a topic, decoded, as they arrive.
    Tail(TailArgs),
    /// List topics, or describe one: its cleanup, subjects and offsets.
    Topics {
        /// One topic.
        topic: Option<String>,
    },
    /// The registry's schemas, and the rules for new ones.
    #[command(subcommand)]
    Schemas(Schemas),
    /// How far each worker is behind, and what it is doing.
    Lag,
    /// Where workers go on reading: list it, or set it.
    #[command(subcommand)]
    Offsets(Offsets),
    /// Dead letters: what could not be read, mapped or delivered, and why.
    #[command(subcommand)]
    Dlq(Dlq),
    /// Explain an error code: why it happens, what to do, an example.
    Explain {
        /// The code as the message has it, `TL0502`, or its number, `502`.
        code: String,
    },
    /// Print what this build accepts and exposes: for editors, people and dashboards.
    Reference {
        /// What to print.
        what: Reference,
    },
    /// The version of this build.
    Version,
    /// Print a completion script.
    Completions {
        /// For which shell.
        shell: Shell,
    },
}

/// One part of a flow.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Part {
    /// The embedded broker and registry alone.
    Bus,
    /// One producer.
    Producer {
        /// Its name in the configuration.
        name: String,
    },
    /// One processor.
    Processor {
        /// Its name: that of its system unless the configuration says otherwise.
        name: String,
    },
    /// One sink.
    Sink {
        /// Its name in the configuration.
        name: String,
    },
}

/// What to print of a topic.
#[derive(Debug, Clone, Args)]
pub(crate) struct TailArgs {
    /// The topic.
    pub(crate) topic: String,
    /// Start this many records before the end of each partition; all of them with `all`.
    #[arg(long, short = 'n', default_value = "10", value_name = "N|all")]
    pub(crate) last: String,
    /// Stop at the end instead of waiting for more.
    #[arg(long, short = 'e')]
    pub(crate) exit: bool,
    /// Print only keys, offsets and times.
    #[arg(long)]
    pub(crate) keys: bool,
}

/// What to do with schemas.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Schemas {
    /// Subjects and their versions.
    List,
    /// The text of a subject's schema.
    Show {
        /// The subject, `canonical.order-value`.
        subject: String,
        /// The version; the newest without it.
        #[arg(long)]
        version: Option<u32>,
    },
    /// The rule by which a subject takes new schemas: print it, set it, or try a schema file.
    Compatibility {
        /// The subject, `canonical.order-value`.
        subject: String,
        /// An Avro schema: could it be the subject's next version?
        file: Option<PathBuf>,
        /// The rule from now on.
        #[arg(
            long, value_name = "LEVEL", ignore_case = true, conflicts_with = "file",
            value_parser = [
                "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL",
                "FULL_TRANSITIVE", "NONE",
            ]
        )]
        set: Option<String>,
    },
}

/// What to do with dead letters.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Dlq {
    /// Dead letters by worker and reason.
    List {
        /// One worker.
        worker: Option<String>,
    },
    /// One dead letter with its input, or all of a worker.
    Show {
        /// The worker.
        worker: String,
        /// The id as `dlq list` prints it.
        id: Option<String>,
    },
    /// Say that dead letters were dealt with: they are listed no more. Not for those of parked keys,
    /// which resume by themselves.
    Resolve {
        /// The worker.
        worker: String,
        /// The ids as `dlq list --output json` prints them.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        ids: Vec<String>,
        /// All of the worker that are not parked.
        #[arg(long)]
        all: bool,
    },
}

/// What to do with the places where workers go on.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Offsets {
    /// The committed offsets of processors and sinks, and who has committed them.
    List {
        /// One worker, or its consumer group.
        worker: Option<String>,
    },
    /// Let a worker that is stopped go on elsewhere.
    ///
    /// A sink whose target keeps its own place, as files do, goes on where the target ends; the answer
    /// then says what to remove to fill it anew. The bus must run.
    Set {
        /// The worker, or its consumer group.
        worker: String,
        /// A topic that a processor or sink reads; `beginning` for a producer, which then reads its
        /// source from the beginning and publishes what is other than what it has published.
        topic: String,
        /// The partition.
        #[arg(requires = "offset")]
        partition: Option<i32>,
        /// The offset of the record to go on with; 0 for all of them.
        offset: Option<i64>,
    },
}

/// A part of the reference.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Reference {
    /// The JSON Schema of throughline.yaml, for editors.
    Schema,
    /// Every key of throughline.yaml, as a page.
    Config,
    /// Every metric, as a page.
    Metrics,
}
