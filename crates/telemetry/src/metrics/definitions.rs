//! Every metric of the workers: its name, kind, labels and meaning, said once.

/// How a metric moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only up; starts at zero with the process.
    Counter,
    /// Up and down.
    Gauge,
    /// Counts per bucket of [`BUCKETS`].
    Histogram,
}

impl Kind {
    /// The kind as Prometheus names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// What is known about one metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

/// Upper bounds in seconds: the goals that people set (50 ms, 1 s, 5 s, 1 min) are exact edges.
pub const BUCKETS: [f64; 14] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

pub(super) const RECORDS_IN: Definition = Definition {
    name: "throughline_records_in_total",
    kind: Kind::Counter,
    labels: &["flow", "system", "entity"],
    help: "Records taken in by a worker.",
};
pub(super) const RECORDS_OUT: Definition = Definition {
    name: "throughline_records_out_total",
    kind: Kind::Counter,
    labels: &["flow", "system", "entity"],
    help: "Records that the log or the target acknowledged.",
};
pub(super) const STAGE_SECONDS: Definition = Definition {
    name: "throughline_stage_seconds",
    kind: Kind::Histogram,
    labels: &["flow", "stage"],
    help: "Time that a batch spent in a stage.",
};
pub(super) const END_TO_END_SECONDS: Definition = Definition {
    name: "throughline_end_to_end_seconds",
    kind: Kind::Histogram,
    labels: &["entity", "target"],
    help: "Time from the capture of the newest record of a batch, which is its timestamp, to the acknowledgment of the target.",
};
pub(super) const CONSUMER_LAG_RECORDS: Definition = Definition {
    name: "throughline_consumer_lag_records",
    kind: Kind::Gauge,
    labels: &["flow"],
    help: "Records between what a worker has read and the end of its topics.",
};
pub(super) const CONSUMER_LAG_SECONDS: Definition = Definition {
    name: "throughline_consumer_lag_seconds",
    kind: Kind::Gauge,
    labels: &["flow"],
    help: "Age of the newest record that a worker has read, while there are more; 0 when there are none.",
};
pub(super) const WATERMARK: Definition = Definition {
    name: "throughline_watermark_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &["flow", "entity"],
    help: "Timestamp of the newest record that a target has acknowledged.",
};
pub(super) const DEAD_LETTERS: Definition = Definition {
    name: "throughline_dead_letters_total",
    kind: Kind::Counter,
    labels: &["flow", "reason"],
    help: "Records written to the dead letters of a worker.",
};
pub(super) const PARKED_KEYS: Definition = Definition {
    name: "throughline_parked_keys",
    kind: Kind::Gauge,
    labels: &["flow"],
    help: "Keys whose records wait behind a dead letter.",
};
pub(super) const BUILD_INFO: Definition = Definition {
    name: "throughline_build_info",
    kind: Kind::Gauge,
    labels: &["version"],
    help: "Always 1; the label says which version runs.",
};
pub(crate) const CPU_SECONDS: Definition = Definition {
    name: "process_cpu_seconds_total",
    kind: Kind::Counter,
    labels: &[],
    help: "User and system CPU time of the process.",
};
pub(crate) const RESIDENT_BYTES: Definition = Definition {
    name: "process_resident_memory_bytes",
    kind: Kind::Gauge,
    labels: &[],
    help: "Resident memory of the process.",
};

/// Every metric, in the order of the reference page.
pub const DEFINITIONS: &[Definition] = &[
    RECORDS_IN,
    RECORDS_OUT,
    STAGE_SECONDS,
    END_TO_END_SECONDS,
    CONSUMER_LAG_RECORDS,
    CONSUMER_LAG_SECONDS,
    WATERMARK,
    DEAD_LETTERS,
    PARKED_KEYS,
    BUILD_INFO,
    CPU_SECONDS,
    RESIDENT_BYTES,
];
