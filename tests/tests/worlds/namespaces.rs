//! Three companies on three machines: two of them have no way to each other, and packets get lost in one direction.
//!
//! Real processes in network namespaces, in their default configuration (TCP and QUIC). Acme is in the middle and owns
//! the chat; Globex and Initech each reach Acme and nothing else.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use crossport_tests::namespaces::{self, Direction, Star};
use crossport_tests::process::{Company, eventually, log_end, pair, text};

const GLOBEX: usize = 0;
const INITECH: usize = 1;
/// Shorter than what a link takes for silence (15 s): TCP and QUIC repeat what was lost.
const BRIEF: Duration = Duration::from_secs(4);
/// Longer: the link is given up and must come back.
const LONG: Duration = Duration::from_secs(20);

struct World {
    acme: Company,
    globex: Company,
    initech: Company,
    chat: String,
    /// Last, so that the namespaces go when nobody is in them any more.
    star: Star,
}

#[test]
fn two_companies_without_a_route_talk_through_the_owner_and_one_way_drops_heal() -> Result<()> {
    if let Err(error) = namespaces::work() {
        let allowed =
            std::env::var_os("CROSSPORT_ALLOW_NO_NETNS").is_some_and(|value| value == "1");
        ensure!(
            allowed,
            "network namespaces are impossible here ({error:#}); run as root, or set CROSSPORT_ALLOW_NO_NETNS=1 to go \
             without this test"
        );
        println!("network namespaces are impossible here; allowed by CROSSPORT_ALLOW_NO_NETNS=1");
        return Ok(());
    }
    let root = tempfile::tempdir()?;
    let world = World::new(root.path())?;
    let told = world.tell();
    told.with_context(|| {
        let logs = world.companies().map(|company| log_end(&company.log()));
        format!("logs of Acme, Globex, Initech:\n{}", logs.join("\n--\n"))
    })
}

impl World {
    fn new(root: &std::path::Path) -> Result<World> {
        let star = Star::new(2)?;
        let start = |name: &str, namespace: &str, addresses: &[String]| -> Result<Company> {
            let announce = addresses.iter().flat_map(|address| {
                let address = format!("{address}:8461");
                ["--announce".to_owned(), address]
            });
            let announce: Vec<String> = announce.collect();
            let settings: Vec<&str> = announce.iter().map(String::as_str).collect();
            let company = Company::new(name, root.join(name), &settings)?;
            let mut company = company.in_namespace(namespace);
            company.up()?;
            Ok(company)
        };
        let middle = [star.middle_address(GLOBEX), star.middle_address(INITECH)];
        let acme = start("Acme", star.middle(), &middle)?;
        let globex = start("Globex", star.leaf(GLOBEX), &[star.leaf_address(GLOBEX)])?;
        let initech = start("Initech", star.leaf(INITECH), &[star.leaf_address(INITECH)])?;
        pair(&acme, &globex)?;
        pair(&acme, &initech)?;
        acme.person("anna", &[])?;
        globex.person("boris", &[])?;
        initech.person("clara", &[])?;
        let people = ["boris@Globex", "clara@Initech"];
        let new = [&["chat", "new", "--title", "Three"], people.as_slice()].concat();
        let chat = acme.ask(Some("anna"), &new)?;
        Ok(World {
            chat: text(&chat, "id")?.to_owned(),
            acme,
            globex,
            initech,
            star,
        })
    }

    fn companies(&self) -> [&Company; 3] {
        [&self.acme, &self.globex, &self.initech]
    }

    fn people(&self) -> [(&Company, &'static str); 3] {
        [
            (&self.acme, "anna"),
            (&self.globex, "boris"),
            (&self.initech, "clara"),
        ]
    }

    fn tell(&self) -> Result<()> {
        ensure!(
            !self.star.has_route(GLOBEX, INITECH),
            "Globex reaches Initech"
        );
        ensure!(
            !self.star.has_route(INITECH, GLOBEX),
            "Initech reaches Globex"
        );
        self.everyone_sees(&[])?;
        let from_boris = self.say(&self.globex, "boris", "from Boris")?;
        let from_clara = self.say(&self.initech, "clara", "from Clara")?;
        self.everyone_sees(&["from Boris", "from Clara"])?;
        for company in [&self.globex, &self.initech] {
            let partners = company.ask(None, &["partner", "list"])?;
            let names: Vec<_> = partners["items"].as_array().into_iter().flatten().collect();
            ensure!(
                matches!(names[..], [only] if only["name"] == "Acme"),
                "{} has other partners than Acme: {names:?}",
                company.name
            );
        }
        self.globex
            .ask(Some("boris"), &["chat", "read", &self.chat])?;
        self.initech
            .ask(Some("clara"), &["chat", "read", &self.chat])?;
        self.read(&self.globex, "boris", &from_boris, "clara")?;
        self.read(&self.initech, "clara", &from_clara, "boris")?;
        self.heal(Direction::FromLeaf(GLOBEX), BRIEF, "brief, to Acme")?;
        self.heal(Direction::ToLeaf(GLOBEX), BRIEF, "brief, from Acme")?;
        self.heal(Direction::FromLeaf(GLOBEX), LONG, "long, to Acme")?;
        self.heal(Direction::ToLeaf(INITECH), LONG, "long, from Acme")?;
        for company in self.companies() {
            company.ask(None, &["verify"])?;
        }
        Ok(())
    }

    fn say(&self, company: &Company, person: &str, words: &str) -> Result<String> {
        let sent = company.ask(Some(person), &["chat", "send", &self.chat, words])?;
        Ok(text(&sent, "id")?.to_owned())
    }

    /// All three show the same messages in the same order, and these are the last of them.
    fn everyone_sees(&self, last: &[&str]) -> Result<()> {
        eventually(&format!("everyone sees {last:?}"), || {
            let mut seen = Vec::new();
            for (company, person) in self.people() {
                seen.push(company.texts(person, &self.chat)?);
            }
            let [first, others @ ..] = &seen[..] else {
                bail!("nobody looked");
            };
            let mut tail = first.clone();
            tail.drain(..first.len().saturating_sub(last.len()));
            tail.sort();
            let mut expected = last.to_vec();
            expected.sort_unstable();
            ensure!(others.iter().all(|other| other == first), "{seen:?}");
            ensure!(tail == expected, "{seen:?}");
            Ok(())
        })
    }

    fn read(&self, company: &Company, author: &str, message: &str, reader: &str) -> Result<()> {
        eventually(&format!("{author} sees that {reader} has read"), || {
            let receipts = company.ask(Some(author), &["msg", "receipts", message])?;
            let people = receipts["people"].as_array().context("no people")?;
            let read = people.iter().any(|receipt| {
                receipt["person"]["nickname"] == reader && receipt["read_at"].is_string()
            });
            ensure!(read, "{receipts}");
            Ok(())
        })
    }

    /// While packets of one direction are lost everybody writes; afterwards nobody does, and everything arrives.
    fn heal(&self, direction: Direction, outage: Duration, name: &str) -> Result<()> {
        self.star.drop_packets(direction)?;
        let cut = std::time::Instant::now();
        let words = self.people().map(|(_, person)| format!("{person}, {name}"));
        for ((company, person), words) in self.people().iter().zip(&words) {
            self.say(company, person, words)?;
        }
        std::thread::sleep(outage.saturating_sub(cut.elapsed()));
        // The control: something was lost that way, or nothing was shown.
        let (silent, deaf) = match direction {
            Direction::FromLeaf(leaf) => (leaf + 1, 0),
            Direction::ToLeaf(leaf) => (0, leaf + 1),
        };
        let (listener, person) = self.people()[deaf];
        let heard = listener.texts(person, &self.chat)?;
        ensure!(
            !heard.contains(&words[silent]),
            "{name}: what was dropped arrived: {heard:?}"
        );
        let dropped = self.star.heal_counted()?;
        ensure!(dropped > 0, "{name}: no packet was dropped");
        let healed = std::time::Instant::now();
        let expected: Vec<&str> = words.iter().map(String::as_str).collect();
        self.everyone_sees(&expected)?;
        println!(
            "{name}: {dropped} packets lost in {:.1} s, everything arrived {:.1} s after healing",
            outage.as_secs_f64(),
            healed.elapsed().as_secs_f64()
        );
        Ok(())
    }
}
