//! What people read: one Fluent catalogue in two languages for node, command line and web client.
//!
//! Owns `node/locales/*.ftl` and the choice of a language. It must not know where a text is shown. Texts live in a
//! catalogue rather than beside the code because Russian and English are both first languages here: a text that
//! exists in one language only is a defect that a test finds.
//!
//! House rules of the catalogue: keys are `area-what`; a refusal is `problem-*` with the attributes `.cause` and `.try`
//! and at most the variable `$subject`; help of a command is `cli-noun-verb` with one attribute per argument.

use crate::api::facade::{Text, TextValue};
use crate::api::types::{Code, Problem};
pub use fluent_bundle::FluentValue;
use fluent_bundle::{FluentArgs, FluentResource, concurrent::FluentBundle};
use std::sync::LazyLock;

const ENGLISH: &str = include_str!("../locales/en.ftl");
const RUSSIAN: &str = include_str!("../locales/ru.ftl");

/// A language that every text exists in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Lang {
    #[default]
    En,
    Ru,
}

impl Lang {
    pub const ALL: [Self; 2] = [Self::En, Self::Ru];

    /// `en` or `ru`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ru => "ru",
        }
    }

    /// Reads `ru`, `ru-RU`, `ru_RU.UTF-8`; `C` and `POSIX` are English. Anything else is none of ours.
    pub fn parse(tag: &str) -> Option<Self> {
        let language = tag.split(['-', '_', '.', '@']).next().unwrap_or_default();
        match language.to_ascii_lowercase().as_str() {
            "en" | "c" | "posix" => Some(Self::En),
            "ru" => Some(Self::Ru),
            _ => None,
        }
    }

    /// The best of ours for an `Accept-Language` header (RFC 9110, 12.5.4); English if none fits.
    pub fn accepted(header: &str) -> Self {
        let mut best = (0.0_f32, Self::default());
        for item in header.split(',') {
            let mut parts = item.split(';');
            let Some(lang) = parts.next().and_then(|tag| Self::parse(tag.trim())) else {
                continue;
            };
            let weight = parts
                .find_map(|part| part.trim().strip_prefix("q="))
                .map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
            if weight > best.0 {
                best = (weight, lang);
            }
        }
        best.1
    }
}

/// The catalogue in one language.
pub struct Texts {
    lang: Lang,
    bundle: FluentBundle<FluentResource>,
}

impl std::fmt::Debug for Texts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Texts")
            .field("lang", &self.lang)
            .finish_non_exhaustive()
    }
}

impl Texts {
    /// Parsed once per process.
    pub fn of(lang: Lang) -> &'static Self {
        static EN: LazyLock<Texts> = LazyLock::new(|| Texts::load(Lang::En));
        static RU: LazyLock<Texts> = LazyLock::new(|| Texts::load(Lang::Ru));
        match lang {
            Lang::En => &EN,
            Lang::Ru => &RU,
        }
    }

    pub const fn lang(&self) -> Lang {
        self.lang
    }

    /// The text of a key. An unknown key gives the key itself, so that a person sees at least its name; tests find
    /// every key that the sources use. Prefer [`say!`](crate::say), which those tests read.
    pub fn format(&self, key: &str, values: &[(&str, FluentValue<'_>)]) -> String {
        self.find(key, None, values)
            .unwrap_or_else(|| key.to_owned())
    }

    /// A second text of a key (`.try`, `.cause`, the help of one argument), if it has one.
    pub fn attribute(
        &self,
        key: &str,
        name: &str,
        values: &[(&str, FluentValue<'_>)],
    ) -> Option<String> {
        self.find(key, Some(name), values)
    }

    pub fn has(&self, key: &str) -> bool {
        self.bundle.has_message(key)
    }

    /// A text that was chosen before its language was known.
    pub fn tell(&self, text: &Text) -> String {
        match text {
            Text::Verbatim(text) => text.clone(),
            Text::Key { key, values } => {
                let values: Vec<(&str, FluentValue<'_>)> = values
                    .iter()
                    .map(|(name, value)| (*name, self.value(value)))
                    .collect();
                self.format(key, &values)
            }
        }
    }

    /// An amount in binary units with one decimal, as the language writes it.
    pub fn bytes(&self, bytes: u64) -> String {
        let units = ["size-bytes", "size-kib", "size-mib", "size-gib", "size-tib"];
        let step = (bytes.max(1).ilog2() / 10).min(4);
        let whole = 1_u64 << (10 * step);
        let point = if self.lang == Lang::Ru { ',' } else { '.' };
        let number = match step {
            0 => bytes.to_string(),
            _ => format!("{}{point}{}", bytes / whole, bytes % whole * 10 / whole),
        };
        let unit = units.get(step as usize).copied().unwrap_or("size-bytes");
        self.format(unit, &[("number", FluentValue::from(number))])
    }

    /// Milliseconds with two digits that say something, as the language writes them.
    pub fn milliseconds(&self, us: u64) -> String {
        let point = if self.lang == Lang::Ru { ',' } else { '.' };
        let number = match us {
            0..10_000 => format!("{}{point}{:02}", us / 1000, us % 1000 / 10),
            _ => (us / 1000).to_string(),
        };
        self.format("figure-ms", &[("number", FluentValue::from(number))])
    }

    fn value<'a>(&self, value: &'a TextValue) -> FluentValue<'a> {
        match value {
            TextValue::Word(word) => FluentValue::from(word.as_str()),
            TextValue::Number(number) => FluentValue::from(*number),
            TextValue::Text(text) => FluentValue::from(self.tell(text)),
        }
    }

    /// A refusal with the catalogue's title, cause and next step; `subject` names what it concerns.
    pub fn problem(&self, code: Code, subject: &str) -> Problem {
        let values = [("subject", FluentValue::from(subject))];
        let mut problem = Problem::new(code, self.format(code.text_key(), &values));
        problem.cause = self.attribute(code.text_key(), "cause", &values);
        problem.try_next = self.attribute(code.text_key(), "try", &values);
        problem
    }

    fn find(
        &self,
        key: &str,
        attribute: Option<&str>,
        values: &[(&str, FluentValue<'_>)],
    ) -> Option<String> {
        let message = self.bundle.get_message(key)?;
        let pattern = match attribute {
            None => message.value()?,
            Some(name) => message.get_attribute(name)?.value(),
        };
        let arguments: FluentArgs<'_> = values
            .iter()
            .map(|(name, value)| (*name, value.clone()))
            .collect();
        // A missing variable shows as `{$name}`; the tests below compare variables of both languages.
        let mut errors = Vec::new();
        Some(
            self.bundle
                .format_pattern(pattern, Some(&arguments), &mut errors)
                .into_owned(),
        )
    }

    fn load(lang: Lang) -> Self {
        let (source, locale) = match lang {
            Lang::En => (ENGLISH, "en"),
            Lang::Ru => (RUSSIAN, "ru"),
        };
        let resource = FluentResource::try_new(source.to_owned())
            .unwrap_or_else(|(_, errors)| panic!("the built-in catalogue parses: {errors:?}"));
        let locale = locale
            .parse::<unic_langid::LanguageIdentifier>()
            .expect("a constant language tag");
        let mut bundle = FluentBundle::new_concurrent(vec![locale]);
        // Isolation marks are invisible characters around every value: wrong in terminals, TSV and JSON.
        bundle.set_use_isolating(false);
        bundle
            .add_resource(resource)
            .unwrap_or_else(|errors| panic!("a key stands once: {errors:?}"));
        Self { lang, bundle }
    }
}

/// `say!(texts, "partner-paused", name = partner.name, count = 3)`: a text of the catalogue with its variables.
#[macro_export]
macro_rules! say {
    ($texts:expr, $key:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $texts.format($key, &[$((stringify!($name), $crate::texts::FluentValue::from($value)),)*])
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Keys (`key` and `key.attribute`) with the variables that their texts use.
    fn outline(source: &str) -> BTreeMap<String, BTreeSet<String>> {
        let mut outline: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let (mut key, mut current) = (String::new(), String::new());
        for line in source.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, _)) = line
                .split_once(" =")
                .filter(|_| line.starts_with(|c: char| c.is_ascii_lowercase()))
            {
                key = name.to_owned();
                current = key.clone();
            } else if let Some((name, _)) = line
                .trim_start()
                .strip_prefix('.')
                .and_then(|rest| rest.split_once(" ="))
            {
                current = format!("{key}.{name}");
            }
            if current.is_empty() {
                continue;
            }
            let variables = outline.entry(current.clone()).or_default();
            for piece in line.split('$').skip(1) {
                let name: String = piece
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                if !name.is_empty() {
                    variables.insert(name);
                }
            }
        }
        outline
    }

    #[test]
    fn both_languages_have_the_same_keys_and_variables() {
        let (english, russian) = (outline(ENGLISH), outline(RUSSIAN));
        assert!(
            english.len() > 100,
            "the outline reads the catalogue: {}",
            english.len()
        );
        for (key, variables) in &english {
            assert_eq!(Some(variables), russian.get(key), "{key} in Russian");
        }
        for key in russian.keys() {
            assert!(english.contains_key(key), "{key} in English");
        }
    }

    #[test]
    fn every_code_has_a_title() {
        for lang in Lang::ALL {
            for code in Code::ALL {
                assert!(
                    Texts::of(lang).has(code.text_key()),
                    "{} in {lang:?}",
                    code.text_key()
                );
            }
        }
    }

    #[test]
    fn problems_use_no_variable_but_the_subject() {
        for (key, variables) in outline(ENGLISH) {
            if key.starts_with("problem-") {
                assert!(
                    variables.iter().all(|name| name == "subject"),
                    "{key}: {variables:?}"
                );
            }
        }
    }

    #[test]
    fn every_problem_names_a_next_step() {
        for (lang, code) in Lang::ALL
            .into_iter()
            .flat_map(|lang| Code::ALL.iter().map(move |code| (lang, *code)))
        {
            let problem = Texts::of(lang).problem(code, "globex");
            assert!(problem.try_next.is_some(), "{}: {code:?}", lang.code());
        }
    }

    #[test]
    fn a_language_is_read_from_locales_and_headers() {
        assert_eq!(Lang::parse("ru_RU.UTF-8"), Some(Lang::Ru));
        assert_eq!(Lang::parse("C.UTF-8"), Some(Lang::En));
        assert_eq!(Lang::parse("de_DE"), None);
        assert_eq!(Lang::accepted("ru-RU,ru;q=0.9,en;q=0.8"), Lang::Ru);
        assert_eq!(Lang::accepted("de, ru;q=0.3, en;q=0.8"), Lang::En);
        assert_eq!(Lang::accepted("de"), Lang::En);
    }

    #[test]
    fn plural_forms_follow_the_language() {
        let minutes = |lang, count: u64| say!(Texts::of(lang), "time-minutes-ago", count = count);
        assert_eq!(minutes(Lang::En, 1), "1 min ago");
        assert_eq!(minutes(Lang::Ru, 5), "5 мин назад");
    }
}
