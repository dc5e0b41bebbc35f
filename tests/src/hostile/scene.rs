//! A scene: two honest companies and Mallory, in one chat of three and one that Mallory has nothing to do with.
//!
//! Owns how an attack is judged. Frames of a link are handled in order, so an attack is over when the honest text that
//! Mallory says after it is shown: nothing is waited for by time, and every attack also shows that a poisoned item does not
//! stop what follows. What was refused is read from the operator's view of the partner and from the metrics; what was
//! shown is the difference of two snapshots, at the attacked company and at the one behind it.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use crossport_node::api::facade::{Caller, UseCases};
use crossport_node::api::types::{ChatKind, MessagePageQuery};
use crossport_protocol::ids::{ChatId, EventId, Handle, LocalId};
use crossport_protocol::replicator::Bug;

use super::snapshot::Snapshot;
use super::{Hand, Mallory};
use crate::world::{Company, OPERATOR, eventually, pair};

/// An honest partner is answered within this after any attack.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// Anna at Acme owns the chats, Boris is at Globex; both are honest.
#[derive(Debug)]
pub struct Scene {
    pub acme: Company,
    pub globex: Company,
    pub mallory: Mallory,
    pub anna: Caller,
    pub boris: Caller,
    /// The chat of all three companies.
    pub shared: ChatId,
    /// The chat of Anna and Boris.
    pub private: ChatId,
    probes: u32,
    counted: BTreeMap<String, u64>,
    seen: [Snapshot; 2],
}

/// What an attack did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Refusals by reason.
    pub refused: BTreeMap<String, u64>,
    /// What Anna, and what Boris, sees since then, without the probe.
    pub shown: [Vec<String>; 2],
    /// What they no longer see.
    pub vanished: [Vec<String>; 2],
}

impl Outcome {
    /// Exactly these refusals, and nothing changed for anybody.
    #[track_caller]
    pub fn refused_only(&self, expected: &[(&str, u64)]) -> Result<()> {
        self.refused_and_shown(expected, &[])
    }

    /// Exactly these refusals; Anna and Boris both see these lines more, and none less.
    #[track_caller]
    pub fn refused_and_shown(&self, expected: &[(&str, u64)], shown: &[&str]) -> Result<()> {
        let refused: BTreeMap<String, u64> = expected
            .iter()
            .map(|(reason, count)| ((*reason).to_owned(), *count))
            .collect();
        ensure!(
            self.refused == refused,
            "expected the refusals {refused:?}: {self:#?}"
        );
        let mut lines: Vec<String> = shown.iter().map(|line| (*line).to_owned()).collect();
        lines.sort();
        let everybody = [lines.clone(), lines];
        ensure!(
            self.shown == everybody,
            "expected {shown:?} to be shown: {self:#?}"
        );
        ensure!(
            self.vanished == [Vec::<String>::new(), Vec::new()],
            "something vanished: {self:#?}"
        );
        Ok(())
    }

    /// Somebody sees a line that contains this.
    pub fn shows(&self, part: &str) -> bool {
        self.shown.iter().flatten().any(|line| line.contains(part))
    }
}

/// How a text by Mallory's person looks in the shared chat.
pub fn said(text: &str) -> String {
    format!("\"Shared\" Text {text:?} by \"mallory\" \"Mallory\" of \"Mallory Ltd\"")
}

impl Scene {
    /// Starts everybody, pairs them, opens both chats, and shows that a hand-made envelope that is good is accepted:
    /// otherwise a refusal would show nothing.
    pub async fn open() -> Result<Scene> {
        Scene::open_with(Mallory::start("Mallory Ltd")?).await
    }

    pub async fn open_with(mallory: Mallory) -> Result<Scene> {
        let (acme, globex) = tokio::try_join!(Company::start("Acme"), Company::start("Globex"))?;
        pair(&acme, &globex).await?;
        mallory.pair(&acme).await?;
        let (anna, boris) = (acme.person("anna").await?, globex.person("boris").await?);
        let private = acme
            .chat(anna, ChatKind::Direct, "", &["boris@globex"])
            .await?
            .id;
        let people = [
            "boris@globex".to_owned(),
            format!("{}@{}", super::NICKNAME, mallory.company),
        ];
        let people: Vec<&str> = people.iter().map(String::as_str).collect();
        let shared = acme
            .chat(anna, ChatKind::Group, "Shared", &people)
            .await?
            .id;
        let (shared, private) = (shared.parse()?, private.parse()?);
        let mut scene = Scene {
            acme,
            globex,
            mallory,
            anna,
            boris,
            shared,
            private,
            probes: 0,
            counted: BTreeMap::new(),
            seen: Default::default(),
        };
        scene.settle().await?;
        Ok(scene)
    }

    async fn settle(&mut self) -> Result<()> {
        let chat = self.shared;
        self.mallory
            .until("Mallory takes part in the chat", move |hand| {
                hand.is_in(&chat)
            })
            .await?;
        let mallory = self.mallory.company.to_string();
        eventually("everybody is in both chats", || async {
            let mut met = 0;
            for (company, reader) in [(&self.acme, self.anna), (&self.globex, self.boris)] {
                let members = company
                    .node()
                    .members(reader, self.shared.to_string())
                    .await?
                    .members;
                let joined = members.iter().filter(|member| !member.invited).count();
                let has_mallory = members
                    .iter()
                    .any(|member| !member.invited && member.person.company.id == mallory);
                let private = company
                    .node()
                    .members(reader, self.private.to_string())
                    .await?
                    .members;
                let private = private.iter().filter(|member| !member.invited).count();
                met += usize::from(joined == 3 && has_mallory && private == 2);
            }
            Ok(met == 2)
        })
        .await?;
        self.acme
            .post(self.anna, &self.private.to_string(), "between us")
            .await?;
        self.acme
            .post(self.anna, &self.shared.to_string(), "for all three")
            .await?;
        eventually("Boris reads both", || async {
            Ok(self
                .globex
                .texts(self.boris, &self.private.to_string())
                .await?
                == ["between us"]
                && self
                    .globex
                    .texts(self.boris, &self.shared.to_string())
                    .await?
                    == ["for all three"])
        })
        .await?;
        let hello = self
            .mallory
            .act(move |hand| {
                hand.draft(chat, "a good envelope")
                    .map(|draft| draft.frame())
            })
            .await??;
        self.mallory.send(vec![hello]).await?;
        self.await_text("a good envelope").await?;
        self.look().await
    }

    /// Remembers what is counted and seen now.
    pub async fn look(&mut self) -> Result<()> {
        self.counted = self.counts().await?;
        self.seen = self.snapshots().await?;
        Ok(())
    }

    /// Makes frames with what Mallory has in hand, sends them, and waits until everything is handled.
    pub async fn attack<F>(&mut self, make: F) -> Result<Outcome>
    where
        F: FnOnce(&mut Hand) -> Result<Vec<Vec<u8>>> + Send + 'static,
    {
        self.look().await?;
        let frames = self.mallory.act(make).await??;
        self.mallory.send(frames).await?;
        self.probe().await?;
        self.outcome().await
    }

    /// Mallory says something honest, and both see it: whatever Mallory sent before was handled by then.
    pub async fn probe(&mut self) -> Result<()> {
        self.probes += 1;
        let (chat, text) = (self.shared, format!("probe {}", self.probes));
        let said = text.clone();
        self.mallory
            .act(move |hand| hand.say(chat, &said))
            .await??;
        self.await_text(&text).await
    }

    /// Waits until both see a text in the shared chat.
    pub async fn await_text(&self, text: &str) -> Result<()> {
        let shared = self.shared.to_string();
        eventually(&format!("Anna and Boris see {text:?}"), || async {
            let anna = self.acme.texts(self.anna, &shared).await?;
            let boris = self.globex.texts(self.boris, &shared).await?;
            Ok([anna, boris]
                .iter()
                .all(|texts| texts.iter().any(|shown| shown == text)))
        })
        .await
    }

    /// The difference since the last look.
    pub async fn outcome(&self) -> Result<Outcome> {
        let counts = self.counts().await?;
        let more = counts.iter().map(|(reason, count)| {
            (
                reason.clone(),
                count.saturating_sub(self.counted.get(reason).copied().unwrap_or(0)),
            )
        });
        let refused = more.filter(|(_, count)| *count > 0).collect();
        let now = self.snapshots().await?;
        let [anna, boris] = &now;
        let [anna_before, boris_before] = &self.seen;
        let probe = |line: &String| !line.contains("Text \"probe ");
        let shown = [anna.since(anna_before), boris.since(boris_before)];
        Ok(Outcome {
            refused,
            shown: shown.map(|lines| lines.into_iter().filter(probe).collect()),
            vanished: [anna_before.since(anna), boris_before.since(boris)],
        })
    }

    async fn snapshots(&self) -> Result<[Snapshot; 2]> {
        Ok([
            Snapshot::of(&self.acme, self.anna).await?,
            Snapshot::of(&self.globex, self.boris).await?,
        ])
    }

    /// What Acme refused of Mallory, by reason; the metrics must say the same.
    pub async fn counts(&self) -> Result<BTreeMap<String, u64>> {
        let partner = self
            .acme
            .node()
            .partner(OPERATOR, self.mallory.company.to_string())
            .await?;
        let metrics = self.acme.node().metrics_text().await?;
        let refused: BTreeMap<String, u64> = partner.refusals.into_iter().collect();
        for (reason, count) in &refused {
            let counted = counted(&metrics, "partner", reason);
            ensure!(
                counted >= *count,
                "{count} times {reason} at the partner, {counted} in the metrics"
            );
        }
        Ok(refused)
    }

    /// How often one side of Acme refused for a reason, by the metrics.
    pub async fn metric(&self, side: &str, reason: &str) -> Result<u64> {
        Ok(counted(
            &self.acme.node().metrics_text().await?,
            side,
            reason,
        ))
    }

    /// The handles of everybody in the shared chat, as any member knows them.
    pub async fn handles(&self) -> Result<Vec<(String, Handle, LocalId)>> {
        let chat = self.shared;
        let people = self
            .acme
            .node()
            .look(move |core| Ok(core.cached_people(&chat).cloned().unwrap_or_default()));
        Ok(people
            .await?
            .into_iter()
            .map(|(actor, member)| (member.nickname, actor.handle, member.user.local))
            .collect())
    }

    /// The message with this text in the shared chat.
    pub async fn message_id(&self, text: &str) -> Result<EventId> {
        let page = self
            .acme
            .node()
            .messages(
                self.anna,
                self.shared.to_string(),
                MessagePageQuery::default(),
            )
            .await?;
        let found = page
            .messages
            .iter()
            .find(|message| message.text.as_deref() == Some(text));
        Ok(found
            .with_context(|| format!("{text:?} is shown"))?
            .id
            .parse()?)
    }

    /// Switches a check of Acme's off, to see the harness turn red.
    pub async fn plant(&self, bug: Bug) -> Result<()> {
        let planted = self.acme.node().change(move |core| {
            core.replicator.plant(Some(bug));
            Ok(())
        });
        Ok(planted.await?)
    }

    /// The honest partner is still answered, in both directions and both chats, and everything stops cleanly.
    pub async fn close(mut self) -> Result<()> {
        self.answers().await?;
        ensure!(
            self.acme.node().network().counters().panics == 0,
            "a task of the network panicked"
        );
        self.mallory.clone().stop().await;
        self.acme.down().await?;
        self.globex.down().await
    }

    /// Boris asks, Anna answers, each seen by the other.
    pub async fn answers(&self) -> Result<()> {
        let exchange = async {
            for (number, chat) in [self.private.to_string(), self.shared.to_string()]
                .iter()
                .enumerate()
            {
                let (ask, answer) = (format!("are you there? {number}"), format!("yes {number}"));
                self.globex.post(self.boris, chat, &ask).await?;
                shown(&self.acme, self.anna, chat, &ask).await?;
                self.acme.post(self.anna, chat, &answer).await?;
                shown(&self.globex, self.boris, chat, &answer).await?;
            }
            anyhow::Ok(())
        };
        let began = Instant::now();
        let answered = tokio::time::timeout(ANSWERED_WITHIN, exchange).await;
        answered.with_context(|| {
            format!(
                "the honest partner was not answered within {:?}",
                began.elapsed()
            )
        })?
    }
}

fn shown<'a>(
    company: &'a Company,
    reader: Caller,
    chat: &'a str,
    text: &'a str,
) -> impl Future<Output = Result<()>> + 'a {
    eventually("an honest text arrives", move || async move {
        Ok(company
            .texts(reader, chat)
            .await?
            .iter()
            .any(|shown| shown == text))
    })
}

/// The handle of a person and who it stands for.
pub fn named(handles: &[(String, Handle, LocalId)], nickname: &str) -> Result<(Handle, LocalId)> {
    let found = handles.iter().find(|(name, _, _)| name == nickname);
    found
        .map(|(_, handle, local)| (*handle, *local))
        .with_context(|| format!("{nickname} is in the chat"))
}

/// A counter in the metrics' text.
pub fn counted(metrics: &str, side: &str, reason: &str) -> u64 {
    let name = format!("crossport_refusals_total{{side=\"{side}\",reason=\"{reason}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// Opens a scene, attacks, and wants exactly these refusals and nothing shown.
pub async fn refuses<F>(make: F, expected: &[(&str, u64)]) -> Result<()>
where
    F: FnOnce(&mut Hand, ChatId) -> Result<Vec<Vec<u8>>> + Send + 'static,
{
    let mut scene = Scene::open().await?;
    let chat = scene.shared;
    scene
        .attack(move |hand| make(hand, chat))
        .await?
        .refused_only(expected)?;
    scene.close().await
}
