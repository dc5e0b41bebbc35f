//! How commands fail: one exit code per family of reasons, one shape on the screen.
//!
//! Owns the exit codes. It must not know how to write to a terminal.

use crossport_node::api::types::{Code, Problem};
use crossport_node::reasons;
use crossport_node::texts::Texts;
use std::process::ExitCode;

/// What scripts can rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Ok = 0,
    Failed = 1,
    Usage = 2,
    NodeUnreachable = 3,
    NotAllowed = 4,
    NotFound = 5,
    Conflict = 6,
    VerificationFailed = 7,
    TimedOut = 8,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what was asked. Boxed: it travels in every `Result`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(Box<Problem>);

impl Failure {
    /// A refusal that this program itself finds.
    pub fn new(texts: &Texts, code: Code, subject: &str) -> Self {
        Self(Box::new(texts.problem(code, subject)))
    }

    /// The content of a file is not what it should be; the reason is for experts.
    pub fn content(texts: &Texts, subject: &str, reason: &dyn std::fmt::Display) -> Self {
        Self::new(texts, Code::FileFailed, subject).cause(reason.to_string())
    }

    /// Reading or writing something failed.
    pub fn io(texts: &Texts, subject: &str, error: &std::io::Error) -> Self {
        Self::new(texts, Code::FileFailed, subject).cause(texts.tell(&reasons::system(error)))
    }

    #[must_use]
    pub fn cause(mut self, text: impl Into<String>) -> Self {
        self.0.cause = Some(text.into());
        self
    }

    #[must_use]
    pub fn try_next(mut self, text: impl Into<String>) -> Self {
        self.0.try_next = Some(text.into());
        self
    }

    pub const fn problem(&self) -> &Problem {
        &self.0
    }

    pub fn code(&self) -> Option<Code> {
        Code::parse(&self.0.code)
    }

    /// By code where the family of the status would mislead, else by HTTP status: a newer node may send codes that
    /// this build has never heard of.
    pub fn exit(&self) -> Exit {
        match self.code() {
            Some(Code::NodeUnreachable) => return Exit::NodeUnreachable,
            Some(Code::VerificationFailed | Code::WordsDiffer) => return Exit::VerificationFailed,
            Some(Code::TicketExpired) => return Exit::Conflict,
            _ => {}
        }
        match self.0.status {
            400 | 413 | 422 => Exit::Usage,
            401 | 403 => Exit::NotAllowed,
            404 => Exit::NotFound,
            409 => Exit::Conflict,
            408 | 504 => Exit::TimedOut,
            _ => Exit::Failed,
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossport_node::texts::Lang;

    fn check(code: Code, expected: u8) {
        let failure = Failure::new(Texts::of(Lang::En), code, "globex");
        assert_eq!(failure.exit() as u8, expected, "{code:?}");
    }

    #[test]
    fn exit_codes_are_what_the_manual_says() {
        check(Code::Internal, 1);
        check(Code::DiskFull, 1);
        check(Code::Usage, 2);
        check(Code::ValueInvalid, 2);
        check(Code::TooLarge, 2);
        check(Code::NodeUnreachable, 3);
        check(Code::NotAllowed, 4);
        check(Code::NotSignedIn, 4);
        check(Code::ChatNotFound, 5);
        check(Code::PartnerAmbiguous, 6);
        check(Code::RecallTooLate, 6);
        check(Code::VerificationFailed, 7);
        check(Code::WordsDiffer, 7);
        check(Code::TimedOut, 8);
        check(Code::PartnerUnreachable, 8);
        assert_eq!(Exit::Ok as u8, 0);
    }

    #[test]
    fn an_unknown_code_of_a_newer_node_still_has_an_exit_code() {
        let mut problem = Problem::new(Code::NotAllowed, "no");
        problem.code = "X7777".to_owned();
        assert_eq!(Failure::from(problem).exit(), Exit::NotAllowed);
    }
}
