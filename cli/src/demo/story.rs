//! How the story is told: acts, what people say, and facts that were checked.
//!
//! Owns the count of checks, and that no fact is told without one: [`Story::fact`] refuses a line for which nothing was
//! compared since the line before. It must not know companies or chats.

use crate::context::Context;
use crate::errors::Failure;
use crate::output::{Format, Look, line};
use anstyle::{AnsiColor, Style};
use crossport_node::api::types::{Code, Person};
use crossport_node::say;
use crossport_node::texts::Texts;
use serde::Serialize;
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Figures stand in a column of their own, as far right as the usual sentence is long.
const FIGURE_COLUMN: usize = 72;
/// Who speaks stands in a column of its own: the longest name with its company.
const SPEAKER_COLUMNS: usize = 22;

/// One line, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Told<'a> {
    /// `title`, `act`, `says`, `fact`, `note`, `command`.
    kind: &'static str,
    act: u32,
    text: &'a str,
    /// The nickname and company of who speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    who: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    figure: Option<&'a str>,
    /// Comparisons that this fact stands on.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<u64>,
    elapsed_ms: u64,
}

#[derive(Debug)]
pub struct Story<'a> {
    pub context: &'a mut Context,
    pub texts: &'static Texts,
    begun: Instant,
    act: u32,
    act_title: String,
    checks: u64,
    /// Checks that a line was already told for.
    told: u64,
}

impl<'a> Story<'a> {
    pub fn new(context: &'a mut Context) -> Self {
        let texts = context.texts;
        Self {
            context,
            texts,
            begun: Instant::now(),
            act: 0,
            act_title: String::new(),
            checks: 0,
            told: 0,
        }
    }

    pub const fn checks(&self) -> u64 {
        self.checks
    }

    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The act that is on, for telling where something failed.
    pub fn act_title(&self) -> &str {
        &self.act_title
    }

    pub fn look(&self) -> &Look {
        &self.context.output.look
    }

    pub fn title(&mut self, text: &str) -> Result<(), Failure> {
        let shown = self.look().paint(Style::new().bold(), text);
        self.tell("title", text, None, None, None, &shown)
    }

    /// A new act.
    pub fn act(&mut self, text: String) -> Result<(), Failure> {
        self.act += 1;
        let number = self
            .look()
            .paint(Style::new().dimmed(), &format!("{:>2} ", self.act));
        let shown = format!(
            "\n{number} {}",
            self.look().paint(Style::new().bold(), &text)
        );
        self.act_title = text.clone();
        self.tell("act", &text, None, None, None, &shown)
    }

    /// What somebody writes in a chat, as people of the first company see it.
    pub fn says(&mut self, who: &Person, text: &str) -> Result<(), Failure> {
        let name = self.look().person(who);
        let width = visible_width(&name);
        let pad = " ".repeat(SPEAKER_COLUMNS.saturating_sub(width));
        let shown = format!("      {name}{pad}  {}", line(text));
        let speaker = format!("{}@{}", who.nickname, who.company.name);
        self.tell("says", text, Some(speaker), None, None, &shown)
    }

    /// Something that was just checked.
    ///
    /// # Errors
    /// Nothing was compared since the last fact: a claim without a check is a defect of the demo.
    pub fn fact(&mut self, text: &str, figure: Option<String>) -> Result<(), Failure> {
        let checks = self.checks - self.told;
        self.told = self.checks;
        if checks == 0 {
            return Err(self.defect(text, "> 0", "0"));
        }
        let mark = self.look().paint(AnsiColor::Green.on_default().bold(), "✓");
        let gap = match figure {
            Some(_) => FIGURE_COLUMN.saturating_sub(visible_width(text) + 6).max(2),
            None => 0,
        };
        let aside = figure.clone().unwrap_or_default();
        let aside = self.look().dim(&aside);
        let shown = format!("    {mark} {text}{}{aside}", " ".repeat(gap));
        let shown = if figure.is_some() {
            shown
        } else {
            format!("    {mark} {text}")
        };
        self.tell("fact", text, None, figure.as_deref(), Some(checks), &shown)
    }

    /// Explains; claims nothing.
    pub fn note(&mut self, text: &str) -> Result<(), Failure> {
        // Before the first act there is nothing to stand below.
        let indent = if self.act == 0 { "" } else { "      " };
        let indented: Vec<String> = text.lines().map(|line| format!("{indent}{line}")).collect();
        let shown = self.look().dim(&indented.join("\n"));
        self.tell("note", text, None, None, None, &shown)
    }

    /// A command line to paste.
    pub fn command(&mut self, text: &str) -> Result<(), Failure> {
        let shown = self.look().paint(AnsiColor::Cyan.on_default(), text);
        self.tell("command", text, None, None, None, &format!("      {shown}"))
    }

    /// Compares what was claimed with what was read back.
    pub fn check<T: PartialEq + Debug + ?Sized>(
        &mut self,
        what: &str,
        expected: &T,
        seen: &T,
    ) -> Result<(), Failure> {
        self.checks += 1;
        if expected == seen {
            return Ok(());
        }
        Err(self.defect(what, &format!("{expected:?}"), &format!("{seen:?}")))
    }

    /// A claim that is no equality; `seen` is shown if it does not hold.
    pub fn holds(&mut self, what: &str, holds: bool, seen: &impl Debug) -> Result<(), Failure> {
        self.checks += 1;
        if holds {
            return Ok(());
        }
        Err(self.defect(what, &say!(self.texts, "word-yes"), &format!("{seen:?}")))
    }

    /// A refusal that was asked for: with this code, or the claim fails.
    pub fn refused<T: Debug>(
        &mut self,
        what: &str,
        code: Code,
        result: Result<T, Failure>,
    ) -> Result<(), Failure> {
        let seen = match &result {
            Ok(answer) => format!("{answer:?}"),
            Err(failure) => failure.problem().code.clone(),
        };
        self.check(what, code.number(), &seen)
    }

    fn defect(&self, what: &str, expected: &str, seen: &str) -> Failure {
        let (expected, seen) = (line(expected), line(seen));
        let cause = say!(
            self.texts,
            "demo-expected",
            what = what,
            expected = expected,
            seen = seen
        );
        Failure::new(self.texts, Code::Failed, what).cause(cause)
    }

    fn tell(
        &mut self,
        kind: &'static str,
        text: &str,
        who: Option<String>,
        figure: Option<&str>,
        checks: Option<u64>,
        shown: &str,
    ) -> Result<(), Failure> {
        let elapsed_ms = u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX);
        let act = self.act;
        match self.context.output.format {
            Format::Quiet => Ok(()),
            Format::Json => self.context.output.json_line(&Told {
                kind,
                act,
                text,
                who,
                figure,
                checks,
                elapsed_ms,
            }),
            Format::Table | Format::Tsv => {
                self.context.output.print(shown);
                Ok(())
            }
        }
    }
}

/// `1.2 ms`, `38 ms`, `1.3 s`, in the language's way of writing numbers.
pub fn took(duration: Duration, texts: &Texts) -> String {
    let ms = duration.as_secs_f64() * 1_000.0;
    match ms {
        ..10.0 => say!(texts, "figure-ms", number = decimal(ms, 1, texts)),
        ..1_000.0 => say!(texts, "figure-ms", number = decimal(ms, 0, texts)),
        _ => say!(texts, "figure-s", number = decimal(ms / 1_000.0, 1, texts)),
    }
}

/// A number with so many decimals.
pub fn decimal(number: f64, places: usize, texts: &Texts) -> String {
    let text = format!("{number:.places$}");
    match texts.lang() {
        crossport_node::texts::Lang::En => text,
        crossport_node::texts::Lang::Ru => text.replace('.', ","),
    }
}

/// Columns on a terminal, without the sequences that only colour.
fn visible_width(text: &str) -> usize {
    let (mut width, mut coloring) = (0, false);
    for c in text.chars() {
        match (coloring, c) {
            (false, '\u{1b}') => coloring = true,
            // Pictures take two columns.
            (false, '\u{1f300}'..='\u{1faff}') => width += 2,
            (false, _) => width += 1,
            (true, 'm') => coloring = false,
            (true, _) => {}
        }
    }
    width
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Globals;
    use crate::output::Output;
    use crossport_node::texts::Lang;
    use std::sync::{Arc, Mutex};

    fn context(format: Format) -> (Context, Arc<Mutex<Vec<u8>>>) {
        let texts = Texts::of(Lang::En);
        let (output, screen) = Output::into_memory(format, Look::for_tests(Lang::En));
        let globals = Globals::default();
        (
            Context {
                texts,
                globals,
                output,
            },
            screen,
        )
    }

    #[test]
    fn a_fact_without_a_check_is_refused() {
        let (mut context, _) = context(Format::Table);
        let mut story = Story::new(&mut context);
        assert!(story.fact("the sun shines", None).is_err());
        story.check("sun", &1, &1).expect("equal");
        story.fact("the sun shines", None).expect("was checked");
        assert!(
            story.fact("it shines on", None).is_err(),
            "one check, one fact"
        );
        assert_eq!(story.checks(), 1);
    }

    #[test]
    fn a_failed_check_says_what_was_expected_and_seen() {
        let (mut context, _) = context(Format::Table);
        let mut story = Story::new(&mut context);
        let failure = story
            .check("mark", "read", "stored_here")
            .expect_err("differs");
        let cause = failure.problem().cause.clone().unwrap_or_default();
        assert!(
            cause.contains("\"read\"") && cause.contains("\"stored_here\""),
            "{cause}"
        );
        let answer: Result<(), Failure> = Ok(());
        assert!(
            story
                .refused("secret", Code::ActivationRefused, answer)
                .is_err()
        );
    }

    #[test]
    fn json_lines_carry_the_number_of_checks() {
        let (mut context, screen) = context(Format::Json);
        let mut story = Story::new(&mut context);
        story.check("a", &1, &1).expect("equal");
        story.check("b", &2, &2).expect("equal");
        story.fact("both", Some("2 ms".to_owned())).expect("told");
        let bytes = screen.lock().expect("no panic while held").clone();
        let told: serde_json::Value = serde_json::from_slice(&bytes).expect("one document");
        assert_eq!(
            (&told["kind"], &told["checks"]),
            (&"fact".into(), &2.into())
        );
    }

    #[test]
    fn widths_ignore_colours() {
        assert_eq!(visible_width("\u{1b}[38;5;180mБорис [Globex]\u{1b}[0m"), 14);
    }
}
