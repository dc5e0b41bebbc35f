//! What a command shows: result on standard output, everything else on standard error.
//!
//! Owns the choice between table, TSV, JSON and ids, and that nothing from outside reaches a terminal unescaped. It must
//! not know any command. Commands describe their result once, as cells; the form follows from flags and terminal.

mod cell;
mod markup;
mod time;
mod visible;

pub use cell::{Cell, Look, short_id, sign};
pub use markup::rendered;
pub use time::{clock, day, relative};
pub use visible::{block, line};

use crate::args::{Color, Globals};
use crate::errors::{Exit, Failure};
use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use crossport_node::api::types::Code;
use crossport_node::texts::Texts;
use serde::Serialize;
use std::io::{IsTerminal as _, Write};

/// Columns of a page of help: those of the terminal, up to what is still read with ease.
pub fn help_width() -> usize {
    let terminal = Table::new().width().map_or(HELP_COLUMNS_MAX, usize::from);
    if terminal < HELP_COLUMNS_MIN {
        HELP_COLUMNS_MAX
    } else {
        terminal.min(HELP_COLUMNS_MAX)
    }
}

/// Longer lines lose the eye.
const HELP_COLUMNS_MAX: usize = 100;
/// Narrower than this is no real width.
const HELP_COLUMNS_MIN: usize = 40;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people, on a terminal.
    Table,
    /// One line a row, tabs between, no header, full ids and times: for `cut` and `awk`.
    Tsv,
    /// The API's own documents.
    Json,
    /// Only ids, one a line.
    Quiet,
}

/// One column of a list: title in the catalogue, and the cell of a row.
pub struct Column<T> {
    pub title: &'static str,
    pub cell: fn(&T) -> Cell,
}

/// Both streams and how they look.
pub struct Output {
    pub format: Format,
    pub look: Look,
    error_look: Look,
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    /// The first failure to write a result; told at the end.
    broken: Option<std::io::Error>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Output")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Output {
    pub fn of_process(globals: &Globals, texts: &'static Texts) -> Self {
        let (out, err) = (std::io::stdout(), std::io::stderr());
        let format = match (globals.json, globals.quiet) {
            (true, _) => Format::Json,
            (_, true) => Format::Quiet,
            _ if out.is_terminal() => Format::Table,
            _ => Format::Tsv,
        };
        let color = |automatic: anstream::ColorChoice| match globals.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => automatic != anstream::ColorChoice::Never,
        };
        let look = Look::of_process(texts, color(anstream::AutoStream::choice(&out)));
        let error_look = Look {
            color: color(anstream::AutoStream::choice(&err)),
            ..look.clone()
        };
        Self {
            format,
            look,
            error_look,
            out: Box::new(out),
            err: Box::new(err),
            broken: None,
        }
    }

    /// A list: `json` is the document, `id` what `--quiet` prints.
    pub fn list<T>(
        &mut self,
        json: &impl Serialize,
        items: &[T],
        id: fn(&T) -> &str,
        columns: &[Column<T>],
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => return self.json(json),
            Format::Quiet => items.iter().for_each(|item| self.print(id(item))),
            Format::Tsv => {
                for item in items {
                    let cells: Vec<String> = columns
                        .iter()
                        .map(|column| (column.cell)(item).plain())
                        .collect();
                    self.print(&cells.join("\t"));
                }
            }
            Format::Table if items.is_empty() => self.hint("hint-nothing-here", &[]),
            Format::Table => {
                // A column that says nothing takes room from those that do.
                let says = |column: &&Column<T>| {
                    let mut cells = items.iter().map(|item| (column.cell)(item));
                    cells.any(|cell| !cell.is_empty())
                };
                let columns: Vec<&Column<T>> = columns.iter().filter(says).collect();
                let titles: Vec<String> = columns
                    .iter()
                    .map(|column| self.look.texts.format(column.title, &[]))
                    .collect();
                let rows = items
                    .iter()
                    .map(|item| columns.iter().map(|column| (column.cell)(item)).collect())
                    .collect();
                let table = self.table(Some(titles), rows);
                self.print(&table);
            }
        }
        Ok(())
    }

    /// One thing with its fields; the names of the fields are stable in TSV and translated on a terminal.
    pub fn record(
        &mut self,
        json: &impl Serialize,
        id: &str,
        fields: &[(&'static str, Cell)],
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => return self.json(json),
            Format::Quiet => self.print(id),
            Format::Tsv => {
                for (name, cell) in fields {
                    let name = name.trim_start_matches("field-").replace('-', "_");
                    self.print(&format!("{name}\t{}", cell.plain()));
                }
            }
            Format::Table => {
                let titled = |(name, cell): &(&str, Cell)| {
                    // Beside a name a number stands where a text would.
                    let cell = cell.to_the_left();
                    vec![Cell::Title(self.look.texts.format(name, &[])), cell]
                };
                let rows = fields
                    .iter()
                    .filter(|(_, cell)| !cell.is_empty())
                    .map(titled)
                    .collect();
                let table = self.table(None, rows);
                self.print(&table);
            }
        }
        Ok(())
    }

    /// Something was done: a sentence for people, the id for scripts.
    pub fn done(&mut self, json: &impl Serialize, id: &str, sentence: &str) -> Result<(), Failure> {
        match self.format {
            Format::Json => return self.json(json),
            Format::Quiet | Format::Tsv => self.print(id),
            Format::Table => self.print(sentence),
        }
        Ok(())
    }

    /// A document.
    pub fn json(&mut self, json: &impl Serialize) -> Result<(), Failure> {
        let text = self.safe(serde_json::to_string_pretty(json))?;
        self.print(&text);
        Ok(())
    }

    /// A document on one line, for streams.
    pub fn json_line(&mut self, json: &impl Serialize) -> Result<(), Failure> {
        let text = self.json_of(json)?;
        self.print(&text);
        Ok(())
    }

    /// The line that [`json_line`](Self::json_line) would print.
    pub fn json_of(&self, json: &impl Serialize) -> Result<String, Failure> {
        self.safe(serde_json::to_string(json))
    }

    /// A line of the result, already safe.
    pub fn print(&mut self, line: &str) {
        let written = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
        if let Err(error) = written {
            self.broken.get_or_insert(error);
        }
    }

    /// An empty line between two blocks, for people.
    pub fn gap(&mut self) {
        if self.format == Format::Table {
            self.print("");
        }
    }

    fn print_raw(&mut self, text: &str) {
        let written = self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush());
        if let Err(error) = written {
            self.broken.get_or_insert(error);
        }
    }

    /// A text of its own kind (metrics, completions, manual pages), or the document that says the same.
    pub fn raw_or(&mut self, text: &str, json: &impl Serialize) -> Result<(), Failure> {
        if self.format == Format::Json {
            return self.json(json);
        }
        self.print_raw(text);
        Ok(())
    }

    /// A hint for people on standard error; silent where programs read.
    pub fn hint(&mut self, key: &str, values: &[(&str, crossport_node::texts::FluentValue<'_>)]) {
        if !matches!(self.format, Format::Quiet | Format::Json) {
            let text = self.error_look.texts.format(key, values);
            let painted = self.error_look.paint(Style::new().dimmed(), &block(&text));
            self.tell(&painted);
        }
    }

    /// A line for whoever looks for the cause of a failure, on standard error; already safe.
    pub fn aside(&mut self, line: &str) {
        self.tell(line);
    }

    /// A picture made of characters, on standard error.
    pub fn picture(&mut self, picture: &str) {
        self.tell(picture);
    }

    /// A question; the cursor stays behind it.
    pub fn prompt(&mut self, question: &str) {
        // A terminal that is gone cannot be asked; the answer that then fails to come is the error.
        let _ = write!(self.err, "{}", block(question)).and_then(|()| self.err.flush());
    }

    /// Whether pictures (QR codes) and progress bars make sense on standard error.
    pub fn draws(&self) -> bool {
        self.format == Format::Table && std::io::stderr().is_terminal()
    }

    /// Tells a failure and gives the exit code.
    pub fn refuse(&mut self, failure: &Failure) -> Exit {
        let text = if self.format == Format::Json {
            document(failure)
        } else {
            render(failure, &self.error_look)
        };
        self.tell(&text);
        failure.exit()
    }

    /// Whether everything was written. A reader that had enough (`| head`) is no failure.
    pub fn finish(&mut self, texts: &Texts) -> Result<(), Failure> {
        match self.broken.take() {
            Some(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Failure::io(texts, "stdout", &error))
            }
            _ => Ok(()),
        }
    }

    /// The reader of the result is gone: a stream may end.
    pub const fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    fn tell(&mut self, text: &str) {
        // Standard error is the last place to complain: when it is gone, the exit code still speaks.
        let _ = writeln!(self.err, "{text}").and_then(|()| self.err.flush());
    }

    /// Characters that could deceive a terminal are written as `\u` escapes: the same JSON, harmless.
    fn safe(&self, json: Result<String, serde_json::Error>) -> Result<String, Failure> {
        let failed = |error: serde_json::Error| {
            Failure::new(self.look.texts, Code::Failed, "JSON").cause(error.to_string())
        };
        json.map(|text| visible::json(&text)).map_err(failed)
    }

    fn table(&self, titles: Option<Vec<String>>, rows: Vec<Vec<Cell>>) -> String {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic);
        let is_whole = rows
            .iter()
            .flatten()
            .any(|cell| matches!(cell, Cell::Whole(_)));
        match self.look.width.filter(|_| !is_whole) {
            Some(width) => table.set_width(width),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        if self.look.color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        if let Some(titles) = titles {
            let titles: Vec<comfy_table::Cell> = titles
                .into_iter()
                .map(|title| Cell::Title(title).shown(&self.look))
                .collect();
            table.set_header(titles);
        }
        for row in rows {
            let cells: Vec<comfy_table::Cell> =
                row.iter().map(|cell| cell.shown(&self.look)).collect();
            table.add_row(cells);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        table
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Into memory, for tests.
    #[cfg(test)]
    pub fn into_memory(
        format: Format,
        look: Look,
    ) -> (Self, std::sync::Arc<std::sync::Mutex<Vec<u8>>>) {
        struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
        impl Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().expect("no panic while held").write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let bytes = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let (out, err) = (
            Box::new(Shared(bytes.clone())),
            Box::new(Shared(bytes.clone())),
        );
        (
            Self {
                format,
                error_look: look.clone(),
                look,
                out,
                err,
                broken: None,
            },
            bytes,
        )
    }
}

/// A failure as the API's problem document, harmless on a terminal.
pub fn document(failure: &Failure) -> String {
    serde_json::to_string_pretty(failure.problem())
        .map_or_else(|error| error.to_string(), |json| visible::json(&json))
}

/// `error[X0312]: what`, `cause: why`, `try: what next`.
pub fn render(failure: &Failure, look: &Look) -> String {
    let problem = failure.problem();
    let label = |style: AnsiColor, key: &str| {
        look.paint(style.on_default().bold(), &look.texts.format(key, &[]))
    };
    let code = look.paint(
        AnsiColor::Red.on_default().bold(),
        &format!("[{}]", line(&problem.code)),
    );
    let mut text = format!(
        "{}{code}: {}",
        label(AnsiColor::Red, "error-label"),
        block(&problem.title)
    );
    let notes = [
        (AnsiColor::Yellow, "error-detail", &problem.detail),
        (AnsiColor::Yellow, "error-cause", &problem.cause),
        (AnsiColor::Green, "error-try", &problem.try_next),
    ];
    for (style, key, note) in notes {
        if let Some(note) = note {
            text.push_str(&format!("\n{}: {}", label(style, key), block(note)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_node::person;
    use crossport_node::api::types::Person;
    use crossport_node::texts::Lang;

    const COLUMNS: &[Column<Person>] = &[
        Column {
            title: "column-id",
            cell: |person| Cell::Id(person.id.clone()),
        },
        Column {
            title: "column-name",
            cell: |person| Cell::Person(Box::new(person.clone())),
        },
    ];

    fn listed(format: Format, lang: Lang, color: bool) -> String {
        let people = [
            person("anna", "Acme", false),
            person("boris", "Globex", true),
        ];
        let look = Look {
            color,
            ..Look::for_tests(lang)
        };
        let (mut output, bytes) = Output::into_memory(format, look);
        output
            .list(&people, &people, |person| &person.id, COLUMNS)
            .expect("writes");
        let bytes = bytes.lock().expect("no panic").clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn one_description_gives_four_forms() {
        insta::assert_snapshot!("list_table_en", listed(Format::Table, Lang::En, false));
        insta::assert_snapshot!("list_table_ru", listed(Format::Table, Lang::Ru, false));
        insta::assert_snapshot!("list_tsv", listed(Format::Tsv, Lang::En, false));
        insta::assert_snapshot!("list_quiet", listed(Format::Quiet, Lang::En, false));
        insta::assert_snapshot!("list_json", listed(Format::Json, Lang::En, false));
    }

    #[test]
    fn external_people_are_light_brown_and_badged() {
        let text = listed(Format::Table, Lang::En, true);
        assert!(
            text.contains("38;5;180m") && text.contains("Boris [Globex]"),
            "{text:?}"
        );
        assert!(!listed(Format::Table, Lang::En, false).contains('\u{1b}'));
    }

    #[test]
    fn errors_name_cause_and_next_step() {
        for lang in Lang::ALL {
            let texts = Texts::of(lang);
            let look = Look::for_tests(lang);
            let failures = [
                Failure::new(texts, Code::PartnerRefused, "globex").cause("ticket expired 2 h ago"),
                Failure::new(
                    texts,
                    Code::NodeUnreachable,
                    "unix:/var/lib/crossport/operator.sock",
                ),
                Failure::new(texts, Code::ChatNotFound, "Launch\u{202e}\u{1b}[2J"),
            ];
            let shown: Vec<String> = failures
                .iter()
                .map(|failure| render(failure, &look))
                .collect();
            insta::assert_snapshot!(format!("errors_{}", lang.code()), shown.join("\n\n"));
        }
    }

    #[test]
    fn with_json_a_failure_is_the_problem_document() {
        let (mut output, bytes) = Output::into_memory(Format::Json, Look::for_tests(Lang::En));
        let failure = Failure::new(Texts::of(Lang::En), Code::ChatNotFound, "a\u{9b}b");
        assert_eq!(output.refuse(&failure), Exit::NotFound);
        let text = String::from_utf8(bytes.lock().expect("no panic").clone()).expect("UTF-8");
        assert!(!text.contains('\u{9b}'), "{text:?}");
        let parsed: crossport_node::api::types::Problem =
            serde_json::from_str(&text).expect("is the document");
        assert_eq!(&parsed, failure.problem());
    }
}
