//! One node of Apache Kafka from its jars, on loopback.
//!
//! It has the settings that its own start script gives it, a heap of 512 MB, and no fsync: what an
//! operator gets who starts it; of more than one node needs, only the wait for further members of a
//! group is changed, which would delay the measurement. The jars are those of `cargo xtask test kafka`.

#[path = "../../../xtask/kafka/node.rs"]
mod node;

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::{process::Process, report::progress};
pub(crate) use node::VERSION;
use node::{free_addresses, tail};

/// What to do about a machine without Java or Maven.
const REMEDY: &str = "Apache Kafka is started from its jars; install Java 17 or newer and Maven, \
                      or leave Kafka out with --without-kafka";

/// What `kafka-server-start.sh` passes to the JVM, with a heap of 512 MB.
const JVM: [&str; 7] = [
    "-Xms512m",
    "-Xmx512m",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
];

/// The id of the cluster; any 16 bytes in URL-safe base64.
const CLUSTER: &str = "dGhyb3VnaGxpbmUtYmVuYw";

/// A running node.
pub(crate) struct Kafka {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
}

impl Kafka {
    /// Starts a node whose files all lie in `folder`, and waits until it answers.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let jars = node::jars(root(), &target_folder()).context(REMEDY)?;
        let (address, controller) = free_addresses()?;
        let settings = folder.join("server.properties");
        fs::write(&settings, node::properties(address, controller, &folder.join("data")))?;
        let log = folder.join("log");
        let java = |options: &[&str], class: &str| -> Result<Command> {
            let out = File::options().create(true).append(true).open(&log)?;
            let mut java = Command::new("java");
            java.args(options).arg("-cp").arg(jars.join("*")).arg(class);
            java.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
            Ok(java)
        };
        progress(&format!("Apache Kafka {VERSION} starts"));
        let mut format = java(&["-Xmx128m"], "kafka.tools.StorageTool")?;
        format.args(["format", "-t", CLUSTER, "-c"]).arg(&settings);
        let status = format.status().context(REMEDY)?;
        ensure!(status.success(), "could not format Kafka's storage, {status}:\n{}", tail(&log));
        let node = java(&JVM, "kafka.Kafka")?.arg(&settings).spawn().context(REMEDY)?;
        let mut process = Process::new(node);
        node::wait(process.child(), address, &log)?;
        Ok(Self { address, process })
    }
}

/// Where the build and everything that is fetched lies.
pub(crate) fn target_folder() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root().join(target)
}

fn root() -> &'static Path {
    // The package lies directly under the root.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}
