//! The house rules over this repository.
//!
//! Owns the list of what is checked where. The rules themselves, and the controls that turn each of them red, stand in
//! `tests/src/house/`. Must not know a rule: a test here only brings input and rule together.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use crossport_tests::house::{commands, layering, pages, purity, settle, shape, supply, tree};

const TEXTS: [&str; 12] = [
    ".rs",
    ".py",
    ".md",
    ".toml",
    ".ftl",
    ".html",
    ".ts",
    ".svelte",
    ".json",
    ".yml",
    "tests/run",
    ".ci/run",
];

fn rust() -> Result<Vec<tree::Source>> {
    tree::sources(&tree::root(), &[".rs"])
}

fn markdown() -> Result<Vec<tree::Source>> {
    tree::sources(&tree::root(), &[".md"])
}

fn text(path: &str) -> Result<String> {
    std::fs::read_to_string(tree::root().join(path)).with_context(|| format!("cannot read {path}"))
}

#[test]
fn crates_depend_in_one_direction() -> Result<()> {
    let packages = layering::packages(&tree::metadata()?)?;
    settle([
        ("cli -> node -> protocol", layering::direction(&packages)),
        (
            "each crate is named by its owner",
            layering::owners(&packages),
        ),
        (
            "protocol stands on a short list",
            layering::protocol_stands_on(&packages),
        ),
        (
            "the simulator stays in tests",
            layering::simulator_stays_in_tests(&packages),
        ),
    ])
}

#[test]
fn foreign_crates_are_named_in_one_place() -> Result<()> {
    settle([(
        "one module wraps each foreign crate",
        layering::places(&rust()?),
    )])
}

#[test]
fn protocol_is_pure() -> Result<()> {
    settle([("protocol reaches nothing outside", purity::purity(&rust()?))])
}

#[test]
fn lengths_only_shrink() -> Result<()> {
    let sources = tree::sources(&tree::root(), &[".rs", ".py", ".ts", ".svelte"])?;
    settle([(
        "files and functions stay short",
        shape::lengths(&sources, &shape::exceptions(&text(shape::EXCEPTIONS)?)?),
    )])
}

#[test]
fn files_open_with_their_purpose() -> Result<()> {
    settle([
        ("each file says what it owns", shape::openings(&rust()?)),
        ("no mod.rs", shape::no_mod_rs(&tree::files(&tree::root())?)),
    ])
}

#[test]
fn nothing_is_left_lying_about() -> Result<()> {
    let root = tree::root();
    let sources = tree::sources(
        &root,
        &[
            ".rs",
            ".py",
            ".toml",
            ".ftl",
            ".ts",
            ".svelte",
            "tests/run",
            ".ci/run",
        ],
    )?;
    settle([
        ("no leftovers", shape::leftovers(&sources)),
        (
            "no path of one machine",
            shape::machine_paths(&tree::sources(&root, &TEXTS)?),
        ),
    ])
}

#[test]
fn folders_are_the_known_ones() -> Result<()> {
    settle([(
        "folders at the top",
        shape::folders(&tree::folders(&tree::root())?, &text(".gitignore")?),
    )])
}

#[test]
fn dependencies_are_let_in_by_name() -> Result<()> {
    let locked = supply::locked(&text("Cargo.lock")?);
    ensure!(
        locked.len() > 100,
        "Cargo.lock was not understood: {} packages",
        locked.len()
    );
    let compiled = supply::compiled(&tree::compiled()?);
    ensure!(
        compiled.len() > 100,
        "cargo tree was not understood: {} packages",
        compiled.len()
    );
    settle([
        ("minimum versions", supply::minimum_versions(&locked)),
        ("crates without a maintainer", supply::unmaintained(&locked)),
        ("banned crates", supply::banned(&compiled)),
        ("one curve stack", supply::one_curve_stack(&compiled)),
        ("licences", supply::licences(&compiled)),
    ])
}

#[test]
fn pages_lead_somewhere() -> Result<()> {
    let (pages, sources, files) = (markdown()?, rust()?, tree::files(&tree::root())?);
    settle([
        ("links", pages::links(&pages, &files)),
        ("table of contents", pages::summary(&pages)),
        (
            "promises",
            pages::promises(pages::STATUS, &pages, &sources, &files),
        ),
        (
            "invariants",
            pages::promises(pages::ARCHITECTURE, &pages, &sources, &files),
        ),
    ])
}

/// Pages for users. Below `internals` stand promises and reasons, which name commands before they exist.
#[test]
fn shown_commands_exist() -> Result<()> {
    let mut pages = markdown()?;
    pages.retain(|page| !page.path.starts_with("docs/src/internals/"));
    settle([(
        "commands in pages",
        commands::unknown(&commands::shown(&pages), commands::ask)?,
    )])
}

/// Clippy reads its configuration from the package's folder. Should it ever stop, `protocol/clippy.toml` would be a page
/// of wishes: so a crate beside a copy of that file commits each sin, and clippy must name each.
#[test]
fn clippy_turns_red_in_protocol() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let manifest =
        "[package]\nname = \"planted\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
    let sins = [
        (
            "std::time::SystemTime::now",
            "pub fn a() -> bool { std::time::SystemTime::now().elapsed().is_ok() }",
        ),
        (
            "std::time::Instant::now",
            "pub fn b() { let _ = std::time::Instant::now(); }",
        ),
        (
            "std::collections::HashMap",
            "pub fn c() -> usize { std::collections::HashMap::<u8, u8>::new().len() }",
        ),
        (
            "std::collections::HashSet",
            "pub fn d() -> usize { std::collections::HashSet::<u8>::new().len() }",
        ),
        (
            "std::fs::read",
            "pub fn e() -> bool { std::fs::read(\"x\").is_ok() }",
        ),
        (
            "std::net::TcpStream",
            "pub fn f() -> bool { std::net::TcpStream::connect(\"[::1]:1\").is_ok() }",
        ),
        (
            "std::thread::spawn",
            "pub fn g() { let _ = std::thread::spawn(|| ()); }",
        ),
        (
            "std::env::var",
            "pub fn h() -> bool { std::env::var(\"X\").is_ok() }",
        ),
        (
            "std::hash::RandomState",
            "pub fn i() { let _ = std::hash::RandomState::new(); }",
        ),
    ];
    std::fs::create_dir(folder.path().join("src"))?;
    std::fs::write(folder.path().join("Cargo.toml"), manifest)?;
    std::fs::write(
        folder.path().join("clippy.toml"),
        text("protocol/clippy.toml")?,
    )?;
    std::fs::write(
        folder.path().join("src/lib.rs"),
        sins.map(|(_, code)| code).join("\n"),
    )?;
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["clippy", "--offline", "--quiet", "--color", "never"])
        .current_dir(folder.path())
        .env("CARGO_TARGET_DIR", folder.path().join("target"))
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let silent: Vec<&str> = sins
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !said.contains(&format!("`{name}`")))
        .collect();
    ensure!(
        silent.is_empty(),
        "clippy says nothing about {silent:?}; it said:\n{said}"
    );
    Ok(())
}
