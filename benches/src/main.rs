//! `bench`: how fast Verbatim is, beside what bounds it, in the same run on the same machine.
//!
//! `cargo run --release -p benches -- all` runs every scenario, `--quick` in a few minutes; a name runs one.
//! Each runs three times, in turns with its baseline. The load comes from a process of its own: this program
//! once more, told by its first argument.

mod bare;
mod deployment;
mod figures;
mod latencies;
mod load;
mod log_reader;
mod plots;
mod processes;
mod protocol;
mod reference;
mod requests;
mod role;
mod scenarios;
mod seed;
mod socket;

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};

use deployment::Mode;
use figures::Report;
use scenarios::{Run, SCENARIOS, indexing};

/// How fast Verbatim is, beside what bounds it.
#[derive(Parser)]
#[command(name = "bench")]
struct Cli {
    /// The scenarios to run, or `all`.
    #[arg(required = true)]
    scenarios: Vec<String>,
    /// Short runs and small data: shows that everything works, and roughly how fast.
    #[arg(long)]
    quick: bool,
    /// Up to ten million messages where it is shown how costs grow: embedded, and for half an hour.
    #[arg(long)]
    huge: bool,
    /// In which modes.
    #[arg(long, value_enum, default_value_t = Modes::Both)]
    mode: Modes,
    /// Where the figures go as JSON.
    #[arg(long, default_value = "target/bench.json", value_name = "FILE")]
    json: PathBuf,
    /// Where drawings of how costs grow go.
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Modes {
    Embedded,
    Cluster,
    Both,
}

impl Modes {
    const fn all(self) -> &'static [Mode] {
        match self {
            Self::Embedded => &[Mode::Embedded],
            Self::Cluster => &[Mode::Cluster],
            Self::Both => &[Mode::Embedded, Mode::Cluster],
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    processes::raise_limits();
    match std::env::args().nth(1).as_deref() {
        Some(load::COMMAND) => return load::run().await,
        Some(bare::COMMAND) => return bare::run().await,
        Some(bare::reads::COMMAND) => return bare::reads::run().await,
        Some(log_reader::COMMAND) => return log_reader::run().await,
        Some(bare::search::COMMAND) => return bare::search::run().await,
        Some(bare::uploads::COMMAND) => return bare::uploads::run().await,
        Some(requests::COMMAND) => return requests::run().await,
        Some(indexing::COMMAND) => return indexing::fill().await,
        _ => {}
    }
    let cli = Cli::parse();
    let all = cli.scenarios.iter().any(|name| name == "all");
    for name in &cli.scenarios {
        let known = SCENARIOS.iter().map(|scenario| scenario.name).collect::<Vec<_>>();
        ensure!(
            name == "all" || known.contains(&name.as_str()),
            "there is no scenario {name}: all, or some of {known:?}"
        );
    }
    let mut report = Report::default();
    for scenario in SCENARIOS {
        if !all && !cli.scenarios.iter().any(|name| name == scenario.name) {
            continue;
        }
        for mode in cli.mode.all() {
            say(&format!("{} ({mode})", scenario.name));
            let run = Run {
                mode: *mode,
                is_quick: cli.quick,
                is_huge: cli.huge,
            };
            let rows = (scenario.run)(run)
                .await
                .with_context(|| format!("{} ({mode})", scenario.name))?;
            for row in rows {
                say(&row.line());
                report.add(scenario.name, *mode, row);
            }
        }
    }
    say(&report.table());
    std::fs::write(&cli.json, report.json()?).with_context(|| cli.json.display().to_string())?;
    say(&format!("as JSON: {}", cli.json.display()));
    if let Some(folder) = cli.plots {
        for (curve, lines) in report.curves() {
            plots::draw(curve, &lines, &folder)?;
        }
    }
    Ok(())
}

#[allow(clippy::print_stdout, reason = "what it prints is what it is for")]
fn say(line: &str) {
    println!("{line}");
}
