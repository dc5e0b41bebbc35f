//! What a command is given: texts, output, and the two ways to reach a node.
//!
//! Owns how things are found: the operators' socket in the data folder, a person's credentials in their file. It must not
//! know any command.

use crate::args::Globals;
use crate::client::{Client, Endpoint};
use crate::credentials::Credentials;
use crate::errors::Failure;
use crate::output::Output;
use crossport_node::api::types::Code;
use crossport_node::config::{self, Sources};
use crossport_node::texts::Texts;
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::PathBuf;

/// Most that is read from standard input: the largest message is 262,144 bytes.
const STDIN_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug)]
pub struct Context {
    pub texts: &'static Texts,
    pub globals: Globals,
    pub output: Output,
}

impl Context {
    pub fn of_process(globals: Globals, texts: &'static Texts) -> Self {
        let output = Output::of_process(&globals, texts);
        Self {
            texts,
            globals,
            output,
        }
    }

    pub fn failure(&self, code: Code, subject: &str) -> Failure {
        Failure::new(self.texts, code, subject)
    }

    /// Layers of configuration for this call; `flags` are (key, value, flag's name).
    pub fn sources(&self, mut flags: Vec<(String, String, String)>) -> Sources {
        // What comes from the environment is a layer of its own.
        let from_environment = std::env::var_os("CROSSPORT_DATA");
        let typed = self.globals.data_dir.as_ref();
        if let Some(folder) =
            typed.filter(|folder| from_environment.as_deref() != Some(folder.as_os_str()))
        {
            flags.push((
                "data_dir".to_owned(),
                folder.display().to_string(),
                "--data-dir".to_owned(),
            ));
        }
        Sources::of_process(flags, self.globals.config.clone())
    }

    /// The node of the data folder, as its operator.
    pub fn operator(&self) -> Client {
        let folder = config::data_dir(&self.sources(Vec::new()));
        Client::new(
            Endpoint::Unix(folder.join(config::OPERATOR_SOCKET)),
            None,
            self.texts,
        )
    }

    /// A person's node, with their token.
    pub fn person(&self) -> Result<Client, Failure> {
        let credentials = Credentials::open(self.credentials_file()?, self.texts)?;
        let (_, profile) = credentials.profile(self.globals.profile.as_deref())?;
        let endpoint = Endpoint::parse(&profile.endpoint, self.texts)?;
        Ok(Client::new(
            endpoint,
            Some(profile.token.clone()),
            self.texts,
        ))
    }

    /// `--credentials`, else `crossport/credentials.toml` in the user's configuration folder.
    pub fn credentials_file(&self) -> Result<PathBuf, Failure> {
        if let Some(file) = &self.globals.credentials {
            return Ok(file.clone());
        }
        let folders = directories::BaseDirs::new();
        let folder = folders.ok_or_else(|| {
            self.failure(Code::NoCredentials, "HOME")
                .try_next("--credentials FILE")
        })?;
        Ok(folder
            .config_dir()
            .join("crossport")
            .join("credentials.toml"))
    }

    /// The id that makes this write repeatable: the caller's, else a fresh one.
    pub fn client_id(&self) -> Result<String, Failure> {
        match &self.globals.client_id {
            Some(id) => Ok(id.clone()),
            None => self.fresh_id(),
        }
    }

    /// An id that nobody used before, for commands that write more than once.
    pub fn fresh_id(&self) -> Result<String, Failure> {
        crate::stage::fresh_id(self.texts)
    }

    /// Asks on a terminal; elsewhere only `--yes` says yes.
    pub fn confirm(&mut self, question: &str) -> Result<(), Failure> {
        if self.globals.yes {
            return Ok(());
        }
        if std::io::stdin().is_terminal() && self.ask(question)? {
            return Ok(());
        }
        Err(self.failure(Code::NotConfirmed, question))
    }

    /// A question whose yes must come from a person, whatever the flags say.
    pub fn ask(&mut self, question: &str) -> Result<bool, Failure> {
        self.output.prompt(&format!("{question} [y/N] "));
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        read.map_err(|error| Failure::io(self.texts, "stdin", &error))?;
        Ok(matches!(
            line.trim().to_lowercase().as_str(),
            "y" | "yes" | "д" | "да"
        ))
    }

    /// The argument, or one line of standard input.
    pub fn line_or_stdin(&self, argument: Option<String>) -> Result<String, Failure> {
        let Some(text) = argument.filter(|text| text != "-") else {
            let mut line = String::new();
            let input = std::io::stdin()
                .lock()
                .take(STDIN_BYTES_MAX)
                .read_line(&mut line);
            input.map_err(|error| Failure::io(self.texts, "stdin", &error))?;
            return Ok(line.trim().to_owned());
        };
        Ok(text)
    }

    /// The argument, or standard input where it is absent or `-`.
    pub fn text_or_stdin(&self, argument: Option<String>) -> Result<String, Failure> {
        match argument {
            Some(text) if text != "-" => Ok(text),
            _ => {
                let mut text = String::new();
                let read = std::io::stdin()
                    .take(STDIN_BYTES_MAX)
                    .read_to_string(&mut text);
                read.map_err(|error| Failure::io(self.texts, "stdin", &error))?;
                Ok(text.trim_end_matches(['\r', '\n']).to_owned())
            }
        }
    }
}
