//! Network namespaces: machines with routes of their own on this one, and packets dropped in one direction.
//!
//! Owns making and removing them; names are unique to this process, and all are gone when the value is dropped. Must not
//! know what runs inside. Wants root, `ip` and `nft`; packets and nothing else are dropped (this says nothing of delay or
//! reordering, which come from elsewhere).

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

/// Which of this process, so that tests side by side do not meet.
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// Whether this machine lets us make namespaces, veth pairs and nftables rules; if not, why.
pub fn work() -> Result<()> {
    let two = Star::new(1)?;
    two.drop_packets(Direction::FromLeaf(0))?;
    two.heal()
}

/// One machine in the middle, and others that reach it and nothing else.
#[derive(Debug)]
pub struct Star {
    names: Vec<String>,
}

/// Which packets are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    ToLeaf(usize),
    FromLeaf(usize),
}

impl Star {
    /// The middle has the address `10.77.LEAF.1` towards each leaf, the leaf `10.77.LEAF.2`.
    pub fn new(leaves: usize) -> Result<Star> {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = |index: usize| format!("xp{}-{number}-{index}", std::process::id());
        let star = Star {
            names: (0..=leaves).map(name).collect(),
        };
        for name in &star.names {
            run("ip", &["netns", "add", name])?;
            run("ip", &["-n", name, "link", "set", "lo", "up"])?;
        }
        // Nobody passes on what is not addressed to it: a leaf truly has no way to another.
        star.inside(0, "sysctl", &["-q", "-w", "net.ipv4.ip_forward=0"])
            .or_else(|_| star.inside(0, "sh", &["-c", "echo 0 > /proc/sys/net/ipv4/ip_forward"]))?;
        for leaf in 0..leaves {
            star.connect(leaf)?;
        }
        star.inside(0, "nft", &["add", "table", "inet", "cut"])?;
        Ok(star)
    }

    fn connect(&self, leaf: usize) -> Result<()> {
        let (middle, end) = (&self.names[0], &self.names[leaf + 1]);
        let there = format!("to{leaf}");
        run(
            "ip",
            &[
                "-n", middle, "link", "add", &there, "type", "veth", "peer", "name", "wire",
                "netns", end,
            ],
        )?;
        for (name, link, address) in [
            (middle, there.as_str(), self.middle_address(leaf)),
            (end, "wire", self.leaf_address(leaf)),
        ] {
            let address = format!("{address}/24");
            run("ip", &["-n", name, "address", "add", &address, "dev", link])?;
            run("ip", &["-n", name, "link", "set", link, "up"])?;
        }
        Ok(())
    }

    /// The namespace of the middle.
    pub fn middle(&self) -> &str {
        &self.names[0]
    }

    pub fn leaf(&self, leaf: usize) -> &str {
        &self.names[leaf + 1]
    }

    /// The middle's address towards a leaf.
    pub fn middle_address(&self, leaf: usize) -> String {
        format!("10.77.{leaf}.1")
    }

    pub fn leaf_address(&self, leaf: usize) -> String {
        format!("10.77.{leaf}.2")
    }

    /// Whether one leaf has a route to another.
    pub fn has_route(&self, from: usize, to: usize) -> bool {
        let address = self.leaf_address(to);
        self.inside(from + 1, "ip", &["route", "get", &address])
            .is_ok()
    }

    /// Drops packets of one direction until [`Star::heal`].
    pub fn drop_packets(&self, direction: Direction) -> Result<()> {
        let (hook, keyword, leaf) = match direction {
            Direction::FromLeaf(leaf) => ("input", "iifname", leaf),
            Direction::ToLeaf(leaf) => ("output", "oifname", leaf),
        };
        let chain = format!("{{ type filter hook {hook} priority 0; }}");
        self.inside(0, "nft", &["add", "chain", "inet", "cut", hook, &chain])?;
        let link = format!("to{leaf}");
        self.inside(
            0,
            "nft",
            &[
                "add", "rule", "inet", "cut", hook, keyword, &link, "counter", "drop",
            ],
        )
        .map(|_| ())
    }

    /// Lets everything through again; returns how many packets were dropped.
    pub fn heal_counted(&self) -> Result<u64> {
        let rules = self.inside(0, "nft", &["list", "table", "inet", "cut"])?;
        let words: Vec<&str> = rules.split_whitespace().collect();
        let counted = words.windows(2).filter(|pair| pair[0] == "packets");
        let dropped = counted.filter_map(|pair| pair[1].parse::<u64>().ok()).sum();
        self.inside(0, "nft", &["flush", "table", "inet", "cut"])?;
        Ok(dropped)
    }

    pub fn heal(&self) -> Result<()> {
        self.heal_counted().map(|_| ())
    }

    fn inside(&self, index: usize, program: &str, arguments: &[&str]) -> Result<String> {
        let all = [&["netns", "exec", &self.names[index], program], arguments].concat();
        run("ip", &all)
    }
}

impl Drop for Star {
    fn drop(&mut self) {
        // Removing a namespace takes its links and rules with it. One that was never made cannot be removed.
        for name in &self.names {
            if let Err(error) = run("ip", &["netns", "delete", name]) {
                eprintln!("{error:#}");
            }
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .output()
        .with_context(|| {
            format!("{program} is not here; try: apt-get install iproute2 nftables")
        })?;
    ensure!(
        output.status.success(),
        "{program} {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8(output.stdout)?)
}
