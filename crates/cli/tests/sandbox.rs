//! A folder with a configuration and exports, and the processes that run on it.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Nothing that is waited for takes nearly as long, on a busy machine either.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct Sandbox {
    folder: tempfile::TempDir,
    target: OnceLock<PathBuf>,
}

/// Ports that are free now; processes that are killed and started again keep them.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [kafka, registry] = free_ports();
        fs::create_dir(folder.path().join("exports")).unwrap();
        let yaml = format!(
            "version: 1\n\
             data: ./data\n\
             bus:\n  embedded:\n    kafka: 127.0.0.1:{kafka}\n    registry: 127.0.0.1:{registry}\n\
             metrics: 127.0.0.1:0\n\
             systems:\n  shop:\n    pack: sunrise\n    settings: {{currency: EUR}}\n\
             ownership: {{order: shop, inventory: shop, customer: shop, location: shop}}\n\
             producers:\n  shop-exports: {{kind: files, system: shop, folder: ./exports, poll: 20ms}}\n\
             sinks:\n  lake:\n    kind: files\n    topics: [canonical.order, canonical.inventory]\n    \
             folder: ./target\n    format: jsonl\n    roll: {{max_age: 20ms}}\n"
        );
        fs::write(folder.path().join("throughline.yaml"), yaml).unwrap();
        Self { folder, target: OnceLock::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder that the sink writes to.
    pub(crate) fn target(&self) -> PathBuf {
        self.target.get().cloned().unwrap_or_else(|| self.path("target"))
    }

    /// The target is to be looked at in another place from now on.
    pub(crate) fn see_target(&self, place: PathBuf) {
        self.target.set(place).unwrap();
    }

    /// Changes the configuration.
    pub(crate) fn configure(&self, change: impl FnOnce(&str) -> String) {
        let file = self.path("throughline.yaml");
        let yaml = fs::read_to_string(&file).unwrap();
        let changed = change(&yaml);
        assert_ne!(changed, yaml, "what was to be replaced is not there");
        fs::write(file, changed).unwrap();
    }

    /// A file that appears whole, as an exporter writes it.
    pub(crate) fn replace(&self, name: &str, text: &str) {
        let temporary = self.path(&format!("{name}.new"));
        fs::write(&temporary, text).unwrap();
        fs::rename(temporary, self.path(name)).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
        command.current_dir(self.folder.path()).args(["--log", "warn"]).args(arguments);
        command
    }

    /// Starts a process; what it logs is kept for a failing test in `up.log`, and what it prints in
    /// `up.out`.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.spawn(self.command(arguments), arguments)
    }

    /// Starts a process as the last arguments of another program, which becomes it.
    pub(crate) fn start_in(&self, wrapper: &[&str], arguments: &[&str]) -> Running {
        let inner = self.command(arguments);
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(inner.get_program()).args(inner.get_args());
        command.current_dir(self.folder.path());
        self.spawn(command, arguments)
    }

    fn spawn(&self, mut command: Command, arguments: &[&str]) -> Running {
        let file = |end: &str| {
            let path = self.path(&format!("{}.{end}", arguments.join("-")));
            fs::OpenOptions::new().create(true).append(true).open(path).unwrap()
        };
        let child = command.stdout(file("out")).stderr(file("log")).spawn().unwrap();
        Running { child }
    }

    /// Runs a command to its end.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Every record of a topic that a consumer of committed records sees.
    pub(crate) fn records(&self, topic: &str) -> Vec<Value> {
        let output = self.output(&["tail", topic, "--last", "all", "--exit"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until something is true, and says what it saw last when it never becomes so.
    pub(crate) fn until<T: std::fmt::Debug>(
        &self,
        what: &str,
        mut look: impl FnMut() -> Result<(), T>,
    ) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match look() {
                Ok(()) => return,
                Err(seen) if Instant::now() > deadline => {
                    panic!("{what}: {seen:?}\n{}", self.logs())
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Waits for something that takes as long as it takes: gives up only when `look` tells the same
    /// time of the last progress for too long.
    pub(crate) fn patiently<T: std::fmt::Debug>(
        &self,
        what: &str,
        mut look: impl FnMut() -> Result<(), (Instant, T)>,
    ) {
        while let Err((progress, seen)) = look() {
            if progress.elapsed() > PATIENCE {
                panic!("{what}: {seen:?}\n{}", self.logs());
            }
        }
    }

    /// Waits until the process that serves the bus has told where it listens.
    pub(crate) fn until_running(&self) {
        self.until("the bus never ran", || {
            let file = self.path("data/running.json");
            file.exists().then_some(()).ok_or("no running.json")
        });
    }

    /// The last lines that the processes logged.
    pub(crate) fn logs(&self) -> String {
        let mut text = String::new();
        for entry in fs::read_dir(self.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let log = fs::read_to_string(&path).unwrap();
                let lines: Vec<&str> = log.lines().rev().take(8).collect();
                text.push_str(&format!("== {}\n", name(&path)));
                lines.iter().rev().for_each(|line| text.push_str(&format!("{line}\n")));
            }
        }
        text
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// A process that is killed when it is dropped.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let arguments = [format!("-{name}"), self.id().to_string()];
        assert!(Command::new("kill").args(arguments).status().unwrap().success());
    }

    /// The most bytes that it had in memory at one time.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// The bytes that it has read from files and sockets so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        let io = fs::read_to_string(format!("/proc/{}/io", self.child.id())).unwrap();
        io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// SIGTERM, and the exit code of the drain.
    pub(crate) fn drain(mut self) -> Option<i32> {
        self.signal("TERM");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _killed: std::io::Result<()> = self.child.kill();
        let _waited: std::io::Result<std::process::ExitStatus> = self.child.wait();
    }
}
