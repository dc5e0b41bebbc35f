//! Values with a meaning, so that each form of output can show them its own way.
//!
//! A cell that came from outside (`Text`, `Person`) is escaped here and nowhere else. It must not know tables or streams.

use super::{line, time};
use anstyle::{Ansi256Color, Style};
use comfy_table::{Attribute, CellAlignment, Color};
use crossport_node::api::facade::Text;
use crossport_node::api::types::{Mark, Person, Verdict};
use crossport_node::texts::{FluentValue, Texts};
use jiff::{Timestamp, tz::TimeZone};

/// Light brown: people and chats of other companies (S33). The badge says the same in words.
const EXTERNAL: u8 = 180;
/// Amber: overdue.
const AMBER: u8 = 214;
const GREEN: u8 = 71;
const RED: u8 = 167;
/// Digits of an id on a terminal; the API accepts them as prefix.
const SHORT_ID_CHARS: usize = 8;
/// Narrower than this is no real width: serial lines and recorders say 0 columns.
const TERMINAL_WIDTH_MIN: u16 = 20;
/// A text in a list ends there.
const SNIPPET_CHARS: usize = 60;

/// Everything that decides how a cell looks.
#[derive(Debug, Clone)]
pub struct Look {
    pub texts: &'static Texts,
    pub color: bool,
    pub now: Timestamp,
    pub zone: TimeZone,
    /// Columns of the terminal; `None` = as wide as needed.
    pub width: Option<u16>,
}

impl Look {
    pub fn of_process(texts: &'static Texts, color: bool) -> Self {
        Self {
            texts,
            color,
            now: Timestamp::now(),
            zone: TimeZone::system(),
            width: comfy_table::Table::new()
                .width()
                .filter(|width| *width >= TERMINAL_WIDTH_MIN),
        }
    }

    /// The text in that style, or plain.
    pub fn paint(&self, style: Style, text: &str) -> String {
        if self.color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    /// A person's name, with the company where it is another (S33).
    pub fn person(&self, person: &Person) -> String {
        let style = Style::new().fg_color(Some(Ansi256Color(EXTERNAL).into()));
        if person.external {
            self.paint(style, &badged(person))
        } else {
            badged(person)
        }
    }

    /// A word of the catalogue, in colour if it is a warning.
    pub fn mark(&self, mark: Option<Mark>, overdue: bool) -> String {
        let sign = sign(mark, overdue);
        let amber = Style::new().fg_color(Some(Ansi256Color(AMBER).into()));
        if overdue {
            self.paint(amber, &sign)
        } else {
            sign
        }
    }

    pub fn dim(&self, text: &str) -> String {
        self.paint(Style::new().dimmed(), text)
    }

    #[cfg(test)]
    pub fn for_tests(lang: crossport_node::texts::Lang) -> Self {
        let now = "2026-11-23T20:00:00Z".parse().expect("a constant time");
        Self {
            texts: Texts::of(lang),
            color: false,
            now,
            zone: TimeZone::UTC,
            width: Some(100),
        }
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    Empty,
    /// Heading, ours.
    Title(String),
    /// Shortened on a terminal.
    Id(String),
    /// From outside.
    Text(String),
    /// From outside, shortened on a terminal.
    Snippet(String),
    /// Already escaped, may have several lines.
    Shown(String),
    /// A key of the catalogue; scripts see it without its area (`state-active` = `active`).
    Word(&'static str),
    /// RFC 3339.
    Time(String),
    Number(u64),
    Bytes(u64),
    Person(Box<Person>),
    /// A name of another company's chat or of ours.
    Named {
        name: String,
        external: bool,
    },
    Mark {
        mark: Option<Mark>,
        overdue: bool,
    },
    Verdict(Verdict),
    /// A text of the catalogue with its variables; scripts see the plain form.
    Told {
        text: Text,
        plain: String,
    },
    Lines(Vec<String>),
}

impl Cell {
    pub fn time(time: Option<&String>) -> Self {
        time.map_or(Self::Empty, |time| Self::Time(time.clone()))
    }

    pub fn text(text: Option<&String>) -> Self {
        text.map_or(Self::Empty, |text| Self::Text(text.clone()))
    }

    pub fn yes(is: bool) -> Self {
        Self::Word(if is { "word-yes" } else { "word-no" })
    }

    pub const fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// As a text, where numbers stand below nothing.
    pub fn to_the_left(&self) -> Self {
        match self {
            Self::Number(number) => Self::Shown(number.to_string()),
            other => other.clone(),
        }
    }

    /// For scripts: complete, unchanging, on one line.
    pub fn plain(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Title(text)
            | Self::Id(text)
            | Self::Text(text)
            | Self::Snippet(text)
            | Self::Told { plain: text, .. }
            | Self::Time(text) => line(text),
            Self::Shown(text) => text.replace('\n', "\\n").replace('\t', "\\t"),
            Self::Word(key) => key
                .split_once('-')
                .map_or(*key, |(_, word)| word)
                .replace('-', "_"),
            Self::Number(number) | Self::Bytes(number) => number.to_string(),
            Self::Person(person) => badged(person),
            Self::Named { name, .. } => line(name),
            Self::Mark { mark, overdue } => format!(
                "{}{}",
                mark_name(*mark),
                if *overdue { ",overdue" } else { "" }
            ),
            Self::Verdict(verdict) => verdict_key(*verdict)
                .trim_start_matches("verdict-")
                .to_owned(),
            Self::Lines(lines) => lines
                .iter()
                .map(|text| line(text))
                .collect::<Vec<_>>()
                .join(","),
        }
    }

    /// For a line on a terminal.
    pub fn painted(&self, look: &Look) -> String {
        let brown = Style::new().fg_color(Some(Ansi256Color(EXTERNAL).into()));
        match self {
            Self::Named { external: true, .. } => look.paint(brown, &self.plain()),
            _ => self.plain(),
        }
    }

    /// Its words within a sentence.
    pub fn words(&self, look: &Look) -> String {
        match self {
            Self::Word(key) => look.texts.format(key, &[]),
            Self::Told { text, .. } => line(&look.texts.tell(text)),
            _ => self.plain(),
        }
    }

    /// For a table on a terminal.
    pub fn shown(&self, look: &Look) -> comfy_table::Cell {
        let word = |key: &str| look.texts.format(key, &[]);
        let brown = |cell: comfy_table::Cell, external: bool| {
            if external {
                cell.fg(Color::AnsiValue(EXTERNAL))
            } else {
                cell
            }
        };
        match self {
            Self::Title(text) => comfy_table::Cell::new(line(text)).add_attribute(Attribute::Bold),
            Self::Id(id) => comfy_table::Cell::new(short_id(id)).add_attribute(Attribute::Dim),
            Self::Snippet(text) => comfy_table::Cell::new(snippet(text)),
            Self::Shown(text) => comfy_table::Cell::new(text),
            Self::Word(key) => comfy_table::Cell::new(word(key)),
            Self::Time(text) => comfy_table::Cell::new(time::relative(text, look)),
            Self::Number(number) => {
                comfy_table::Cell::new(number).set_alignment(CellAlignment::Right)
            }
            Self::Bytes(bytes) => comfy_table::Cell::new(size(*bytes, look.texts)),
            Self::Person(person) => brown(comfy_table::Cell::new(badged(person)), person.external),
            Self::Named { name, external } => brown(comfy_table::Cell::new(line(name)), *external),
            Self::Mark {
                mark,
                overdue: false,
            } => comfy_table::Cell::new(sign(*mark, false)),
            Self::Mark {
                mark,
                overdue: true,
            } => comfy_table::Cell::new(sign(*mark, true)).fg(Color::AnsiValue(AMBER)),
            Self::Verdict(verdict) => {
                let color = match verdict {
                    Verdict::Ok => GREEN,
                    Verdict::Warning => AMBER,
                    Verdict::Failed => RED,
                };
                comfy_table::Cell::new(word(verdict_key(*verdict))).fg(Color::AnsiValue(color))
            }
            Self::Told { text, .. } => comfy_table::Cell::new(line(&look.texts.tell(text))),
            Self::Lines(lines) => comfy_table::Cell::new(
                lines
                    .iter()
                    .map(|text| line(text))
                    .collect::<Vec<_>>()
                    .join("\n"),
            ),
            Self::Empty | Self::Text(_) => comfy_table::Cell::new(self.plain()),
        }
    }
}

/// The first digits of an id, with a message's place.
pub fn short_id(id: &str) -> String {
    let (hash, place) = id
        .split_once('.')
        .map_or((id, None), |(hash, place)| (hash, Some(place)));
    let hash: String = line(hash).chars().take(SHORT_ID_CHARS).collect();
    place.map_or_else(|| hash.clone(), |place| format!("{hash}.{}", line(place)))
}

fn badged(person: &Person) -> String {
    let left = if person.active { "" } else { " †" };
    if person.external {
        format!(
            "{}{left} [{}]",
            line(&person.name),
            line(&person.company.name)
        )
    } else {
        format!("{}{left}", line(&person.name))
    }
}

fn snippet(text: &str) -> String {
    let flat = line(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    match flat.char_indices().nth(SNIPPET_CHARS) {
        Some((end, _)) => format!("{}…", flat.get(..end).unwrap_or_default()),
        None => flat,
    }
}

/// One hollow mark, one solid mark, two marks; an exclamation mark where amber cannot be seen (S12).
fn sign(mark: Option<Mark>, overdue: bool) -> String {
    let sign = match mark {
        None => "",
        Some(Mark::StoredHere) => "○",
        Some(Mark::StoredEverywhere) => "●",
        Some(Mark::Read) => "●●",
    };
    format!("{sign}{}", if overdue { "!" } else { "" })
}

const fn mark_name(mark: Option<Mark>) -> &'static str {
    match mark {
        None => "",
        Some(Mark::StoredHere) => "stored_here",
        Some(Mark::StoredEverywhere) => "stored_everywhere",
        Some(Mark::Read) => "read",
    }
}

const fn verdict_key(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "verdict-ok",
        Verdict::Warning => "verdict-warning",
        Verdict::Failed => "verdict-failed",
    }
}

/// Binary units, one decimal.
fn size(bytes: u64, texts: &Texts) -> String {
    let units = ["size-bytes", "size-kib", "size-mib", "size-gib", "size-tib"];
    let step = (bytes.max(1).ilog2() / 10).min(4);
    let whole = 1_u64 << (10 * step);
    let number = if step == 0 {
        bytes.to_string()
    } else {
        format!("{}.{}", bytes / whole, bytes % whole * 10 / whole)
    };
    texts.format(
        units.get(step as usize).copied().unwrap_or("size-bytes"),
        &[("number", FluentValue::from(number))],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossport_node::texts::Lang;

    #[test]
    fn ids_are_short_for_people_and_whole_for_scripts() {
        let id = format!("{}.7", "3fa9c2e1".repeat(8));
        assert_eq!(short_id(&id), "3fa9c2e1.7");
        assert_eq!(Cell::Id(id.clone()).plain(), id);
    }

    #[test]
    fn marks_read_without_colour() {
        let mark = |mark, overdue| Cell::Mark { mark, overdue };
        assert_eq!(
            mark(Some(Mark::StoredHere), true).plain(),
            "stored_here,overdue"
        );
        assert_eq!(sign(Some(Mark::StoredHere), true), "○!");
        assert_eq!(sign(Some(Mark::Read), false), "●●");
        assert_eq!(mark(None, false).plain(), "");
    }

    #[test]
    fn a_tab_in_a_name_cannot_forge_a_column() {
        assert_eq!(Cell::Text("a\tb\nc".to_owned()).plain(), "a\\tb\\nc");
    }

    #[test]
    fn sizes_have_units() {
        let texts = Texts::of(Lang::En);
        assert_eq!(size(0, texts), "0 B");
        assert_eq!(size(1_536, texts), "1.5 KiB");
        assert_eq!(size(u64::MAX, texts), "16777215.9 TiB");
    }
}
