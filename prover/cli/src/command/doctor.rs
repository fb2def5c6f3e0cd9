use std::{
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;
use serde_json::json;
use vouch_solidity::SolcPath;

use crate::{failure::Failure, report::Report};

/// Say what is installed, what is missing and how to get it.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Solidity compiler; the repository's wrapper by default.
    #[arg(long, env = "VOUCH_SOLC")]
    solc: Option<PathBuf>,
}

struct Tool {
    name: &'static str,
    needed_for: &'static str,
}

const TOOLS: [Tool; 4] = [
    Tool { name: NODE, needed_for: "compiling verifiers" },
    Tool { name: "forge", needed_for: "testing the contracts" },
    Tool { name: "anvil", needed_for: "the local chain of the demo" },
    Tool { name: "cast", needed_for: "looking at chains by hand" },
];

/// The one tool that is not Foundry's, which `script/foundry` runs.
const NODE: &str = "node";

impl Doctor {
    pub(crate) fn execute(self) -> Result<Report, Failure> {
        let mut report = Report::new();
        let mut found = Vec::new();
        let mut missing = 0;
        for tool in &TOOLS {
            let version = tool.version();
            missing += usize::from(version.is_none());
            match &version {
                Some(version) => report.row(tool.name, version),
                None => report.row(tool.name, format!("missing, needed for {}: {}", tool.needed_for, tool.remedy())),
            };
            found.push(
                json!({ "name": tool.name, "version": version, "needed_for": tool.needed_for, "remedy": tool.remedy() }),
            );
        }
        let solc = match solc_path(self.solc.as_deref()) {
            Ok(path) => answer(Command::new(path.path()).arg("--version"))
                .ok_or_else(|| "it does not answer --version; run script/setup in the repository".to_owned()),
            Err(failure) => Err(failure.sentence()),
        };
        missing += usize::from(solc.is_err());
        match &solc {
            Ok(version) => report.row("solc", version),
            Err(why) => report.row("solc", format!("missing, needed for verifiers: {why}")),
        };
        found.push(
            json!({ "name": "solc", "version": solc.clone().ok(), "needed_for": "verifiers", "remedy": solc.err() }),
        );
        report.line(if missing == 0 { "everything is there".to_owned() } else { format!("{missing} missing") });
        report.set("tools", found).set("missing", missing).set("version", env!("CARGO_PKG_VERSION"));
        Ok(report)
    }
}

/// The Solidity compiler: the one given, or `script/solc` of the repository around the current
/// folder or the program.
pub(crate) fn solc_path(given: Option<&Path>) -> Result<SolcPath, Failure> {
    if let Some(path) = given {
        return Ok(SolcPath::new(path));
    }
    match in_repository(Path::new("script/solc")) {
        Some(path) => Ok(SolcPath::new(path)),
        None => Err(Failure::new(
            "solc_missing",
            "no Solidity compiler is known",
            "run inside the repository, or give its path with --solc or VOUCH_SOLC",
        )),
    }
}

/// A file of the repository that holds the current folder or this program.
fn in_repository(file: &Path) -> Option<PathBuf> {
    let starts = [std::env::current_dir().ok(), std::env::current_exe().ok()];
    starts
        .into_iter()
        .flatten()
        .find_map(|start| start.ancestors().map(|folder| folder.join(file)).find(|path| path.exists()))
}

impl Tool {
    fn remedy(&self) -> &'static str {
        if self.name == NODE { "install Node.js 20 or later" } else { "run script/setup in the repository" }
    }

    fn version(&self) -> Option<String> {
        match in_repository(Path::new("script/foundry")).filter(|_| self.name != NODE) {
            // The launchers in node_modules/.bin exit with success whatever happened.
            Some(script) => answer(Command::new(script).args([self.name, "--version"])),
            None => answer(Command::new(self.name).arg("--version")),
        }
    }
}

/// The line of a command's answer that holds its version.
fn answer(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.contains(|c: char| c.is_ascii_digit()))?;
    output.status.success().then(|| line.trim().to_owned())
}
