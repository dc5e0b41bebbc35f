//! A text as a tree of tokens: what a client draws, so that no client parses Markdown or HTML.

use super::Person;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a token is; later versions may have more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    Paragraph,
    /// A stretch of `text` without any markup.
    Text,
    LineBreak,
    Bold,
    Italic,
    Strike,
    /// `text`, within a line.
    Code,
    /// `text` of several lines, perhaps in a `language`.
    CodeBlock,
    Quote,
    /// Its tokens are items.
    List,
    /// `text` is the marker as it was written: `-`, `1.`
    Item,
    /// Leads to `url`, which is http, https or mailto.
    Link,
    /// Names `person` or `chat`; `text` is what was written.
    Mention,
}

/// A part of a text. The tree is at most 18 deep and has at most 4,096 tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    pub kind: TokenKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What is inside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    pub tokens: Vec<Token>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Box<Person>>,
    /// A chat that the reader may read; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<String>,
}

impl Token {
    /// A token of this kind with nothing in it yet.
    #[must_use]
    pub const fn of(kind: TokenKind) -> Self {
        Self {
            kind,
            text: None,
            tokens: Vec::new(),
            url: None,
            language: None,
            person: None,
            chat: None,
        }
    }
}
