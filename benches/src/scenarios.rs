//! The scenarios: what is measured, and beside what. One file each; this is their list.

use std::pin::Pin;

use crate::deployment::Mode;
use crate::figures::Row;

mod cold_start;
mod fanout;
mod growth;
mod idle;
pub(crate) mod indexing;
mod latency;
mod lists;
mod pages;
mod queries;
mod reading;
mod reads;
mod rebuild;
mod reference;
mod search;
mod sends;
mod upload;

/// How a scenario is to be run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// On what.
    pub(crate) mode: Mode,
    /// Short, and with little data.
    pub(crate) is_quick: bool,
    /// With more data than fits a run of everything.
    pub(crate) is_huge: bool,
}

impl Run {
    /// How often each side is measured, in turns.
    pub(crate) const fn times(self) -> usize {
        if self.is_quick { 1 } else { 3 }
    }

    /// How long one measurement takes, in seconds, after a warm-up of a second.
    pub(crate) const fn seconds(self) -> f64 {
        if self.is_quick { 1.0 } else { 8.0 }
    }

    /// How many messages a large log has.
    pub(crate) const fn messages(self) -> usize {
        if self.is_quick { 20_000 } else { 1_000_000 }
    }
}

type Running = Pin<Box<dyn Future<Output = anyhow::Result<Vec<Row>>>>>;

/// One of them.
pub(crate) struct Scenario {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// Measures.
    pub(crate) run: fn(Run) -> Running,
}

/// All of them, in the order of the report.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "sends",
        run: |run| Box::pin(sends::run(run)),
    },
    Scenario {
        name: "latency",
        run: |run| Box::pin(latency::run(run)),
    },
    Scenario {
        name: "fanout",
        run: |run| Box::pin(fanout::run(run)),
    },
    Scenario {
        name: "idle",
        run: |run| Box::pin(idle::run(run)),
    },
    Scenario {
        name: "pages",
        run: |run| Box::pin(pages::run(run)),
    },
    Scenario {
        name: "lists",
        run: |run| Box::pin(lists::run(run)),
    },
    Scenario {
        name: "queries",
        run: |run| Box::pin(queries::run(run)),
    },
    Scenario {
        name: "search",
        run: |run| Box::pin(search::run(run)),
    },
    Scenario {
        name: "rebuild",
        run: |run| Box::pin(rebuild::run(run)),
    },
    Scenario {
        name: "indexing",
        run: |run| Box::pin(indexing::run(run)),
    },
    Scenario {
        name: "reading",
        run: |run| Box::pin(reading::run(run)),
    },
    Scenario {
        name: "cold-start",
        run: |run| Box::pin(cold_start::run(run)),
    },
    Scenario {
        name: "reference",
        run: |run| Box::pin(reference::run(run)),
    },
    Scenario {
        name: "growth",
        run: |run| Box::pin(growth::run(run)),
    },
    Scenario {
        name: "upload",
        run: |run| Box::pin(upload::run(run)),
    },
];
