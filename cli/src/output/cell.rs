//! Values with a meaning, so that each form of output can show them its own way.
//!
//! A cell that came from outside (`Text`, `Person`) is escaped here and nowhere else. It must not know tables or streams.

use super::{line, time};
use anstyle::{Ansi256Color, Style};
use comfy_table::{Attribute, CellAlignment, Color};
use crossport_node::api::facade::Text;
use crossport_node::api::types::{Mark, Person, Verdict};
use crossport_node::network::Address;
use crossport_node::say;
use crossport_node::texts::Texts;
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
    /// Where a node can be reached; people see them as they write them.
    Addresses(Vec<String>),
    /// Microseconds.
    Took(u64),
    /// Milliseconds.
    TookMs(u64),
    /// To be copied: never broken into lines by us.
    Whole(String),
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

    /// Shows nothing on a terminal.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Empty
            | Self::Mark {
                mark: None,
                overdue: false,
            } => true,
            Self::Text(text) | Self::Snippet(text) => text.is_empty(),
            Self::Lines(lines) | Self::Addresses(lines) => lines.is_empty(),
            _ => false,
        }
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
            | Self::Whole(text)
            | Self::Told { plain: text, .. }
            | Self::Time(text) => line(text),
            Self::Shown(text) => text.replace('\n', "\\n").replace('\t', "\\t"),
            Self::Word(key) => key
                .split_once('-')
                .map_or(*key, |(_, word)| word)
                .replace('-', "_"),
            Self::Number(number)
            | Self::Bytes(number)
            | Self::Took(number)
            | Self::TookMs(number) => number.to_string(),
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
            Self::Lines(lines) | Self::Addresses(lines) => lines
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
            Self::Bytes(bytes) => comfy_table::Cell::new(look.texts.bytes(*bytes)),
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
            Self::Addresses(addresses) => Self::Lines(Address::for_people(addresses)).shown(look),
            Self::Took(us) => comfy_table::Cell::new(look.texts.milliseconds(*us)),
            Self::TookMs(ms) => comfy_table::Cell::new(say!(look.texts, "figure-ms", number = *ms)),
            Self::Empty | Self::Text(_) | Self::Whole(_) => comfy_table::Cell::new(self.plain()),
        }
    }
}

/// The first digits of an id, with a message's place, or a person's within the company.
pub fn short_id(id: &str) -> String {
    let (hash, place) = id
        .split_once('.')
        .map_or((id, None), |(hash, place)| (hash, Some(place)));
    let short = |part: &str| line(part).chars().take(SHORT_ID_CHARS).collect::<String>();
    let hash = short(hash);
    place.map_or_else(|| hash.clone(), |place| format!("{hash}.{}", short(place)))
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
pub fn sign(mark: Option<Mark>, overdue: bool) -> String {
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
        assert_eq!(texts.bytes(0), "0 B");
        assert_eq!(texts.bytes(1_536), "1.5 KiB");
        assert_eq!(texts.bytes(u64::MAX), "16777215.9 TiB");
        assert_eq!(Texts::of(Lang::Ru).bytes(1_536), "1,5 КиБ");
    }
}
