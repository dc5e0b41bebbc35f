//! Asking a person for a password.
//!
//! On a terminal it is not shown; elsewhere it is a line of standard input, never an argument, because every process of the
//! machine can read those. It must not know what a password opens.

use crate::context::Context;
use crate::errors::Failure;
use crossport_node::api::types::Code;
use crossport_node::say;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::IsTerminal as _;

/// Whether somebody is there to be asked.
pub fn is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

/// One secret line; `key` names the question.
pub fn line(key: &str, context: &mut Context) -> Result<String, Failure> {
    if !is_terminal() {
        return context.line_or_stdin(None);
    }
    let question = context.texts.format(key, &[]);
    context.output.prompt(&format!("{question} "));
    let silent =
        Silent::begin().map_err(|error| Failure::io(context.texts, "stdin", &error.into()))?;
    let read = context.line_or_stdin(None);
    drop(silent);
    // The line break that the person typed was not shown either.
    context.output.prompt("\n");
    read
}

/// A new password, typed twice where it cannot be seen; none if that is allowed and nothing is typed.
pub fn new_password(context: &mut Context, optional: bool) -> Result<Option<String>, Failure> {
    let key = if optional {
        "ask-new-password-or-none"
    } else {
        "ask-new-password"
    };
    let first = line(key, context)?;
    if first.is_empty() && optional {
        return Ok(None);
    }
    if is_terminal() && line("ask-password-again", context)? != first {
        return Err(context
            .failure(Code::ValueInvalid, "password")
            .cause(say!(context.texts, "passwords-differ")));
    }
    Ok(Some(first))
}

/// The terminal shows nothing of what is typed while this lives.
struct Silent(Termios);

impl Silent {
    fn begin() -> rustix::io::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing anyway.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
