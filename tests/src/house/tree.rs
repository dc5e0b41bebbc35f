//! The repository as the checks see it: paths relative to its root, and texts.
//!
//! Owns walking the folders and asking cargo. Must not judge anything. It walks the disk instead of asking git, so that
//! the checks also hold in an unpacked release without history.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Folders that are built or private to one machine, wherever they stand.
const NOT_OURS: [&str; 5] = ["target", ".git", ".venv", "node_modules", "__pycache__"];

/// A text file of the repository.
#[derive(Debug, Clone)]
pub struct Source {
    /// Relative to the root, with `/`.
    pub path: String,
    pub text: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// The folder that holds the workspace's `Cargo.toml`.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file with one of these endings, sorted by path. No ending means every file that is text.
pub fn sources(root: &Path, endings: &[&str]) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    for path in files(root)? {
        if !endings.iter().any(|ending| path.ends_with(ending)) {
            continue;
        }
        let text = std::fs::read_to_string(root.join(&path))
            .with_context(|| format!("cannot read {path}"))?;
        found.push(Source { path, text });
    }
    Ok(found)
}

/// Relative paths of all files, sorted.
pub fn files(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(root.join(&folder))
            .with_context(|| format!("cannot list {folder:?}"))?
        {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = folder.join(&name);
            if entry.file_type()?.is_file() {
                found.push(path.to_string_lossy().replace('\\', "/"));
            } else if entry.file_type()?.is_dir()
                && !NOT_OURS.contains(&name.as_str())
                && path != Path::new("docs/book")
            {
                open.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Names of the folders directly under the root, sorted.
pub fn folders(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found.sort();
    Ok(found)
}

/// What the workspace's own manifests say: members and their direct dependencies. Needs no network.
pub fn metadata() -> Result<String> {
    cargo(&[
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
        "--offline",
        "--locked",
    ])
}

/// What is really compiled for this machine, tests included: one `name vVERSION ...|LICENCE` a line. `cargo metadata`
/// would also list packages that only another target or an unused feature pulls in.
pub fn compiled() -> Result<String> {
    cargo(&[
        "tree",
        "--workspace",
        "--edges",
        "normal,build,dev",
        "--prefix",
        "none",
        "--no-dedupe",
        "--format",
        "{p}|{l}",
        "--offline",
        "--locked",
    ])
}

/// The cargo that runs this test, in the workspace.
pub fn cargo(arguments: &[&str]) -> Result<String> {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .context("cannot start cargo")?;
    ensure!(
        output.status.success(),
        "cargo {} failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_sees_itself_and_no_build_output() {
        let found = files(&root()).expect("the repository can be listed");
        assert!(found.iter().any(|path| path == "tests/src/house/tree.rs"));
        assert!(
            !found
                .iter()
                .any(|path| path.starts_with("target/") || path.starts_with(".git/"))
        );
    }
}
