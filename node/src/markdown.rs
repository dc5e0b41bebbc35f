//! The Markdown subset of messages, from source to a tree of tokens: bold, italic, strike, code, code blocks, quotes, lists,
//! links and mentions. The only user of the parser.
//!
//! Owns what is markup and what is text. There is never HTML: what is no markup of the subset stays as it was written. A tree
//! is bounded in depth and in number; a text that would exceed this, or of which a word would be lost, is shown without
//! markup. It must not know who is mentioned: whoever knows places those tokens.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, LinkType, Options, Parser, Tag};

use crate::api::types::{Token, TokenKind};

/// Constructs within each other: more is not readable, and clients draw the tree by recursion.
pub const DEPTH_MAX: usize = 16;
/// Tokens of one text: an answer holds up to 200 messages.
pub const TOKENS_MAX: usize = 4_096;
/// What a list marker takes at most: nine digits and a bracket, which is what the parser takes for one.
const MARKER_BYTES: usize = 10;
const SCHEMES: [&str; 3] = ["http://", "https://", "mailto:"];

/// A token that stands for a stretch of the source, in bytes.
pub type Placed = (Range<usize>, Token);

/// The text as a tree. `placed` ascends and does not overlap.
pub fn tokens(source: &str, placed: &[Placed]) -> Vec<Token> {
    if is_plain(source) {
        return without_markup(source, placed);
    }
    let tree = tree(source).map(|pieces| converted(source, &pieces, placed, true));
    tree.filter(|tokens| count(tokens) <= TOKENS_MAX && loses_nothing(source, tokens))
        .unwrap_or_else(|| without_markup(source, placed))
}

/// Stretches of the source that are neither code nor link, in bytes: where a mention may stand.
pub fn prose(source: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    match tree(source) {
        Some(pieces) => gather_prose(&pieces, &mut found),
        None => found.push(0..source.len()),
    }
    found
}

/// The words of a tree as a person reads them, in order: texts, markers, and where links lead.
pub fn told(tokens: &[Token]) -> String {
    let mut told = String::new();
    tell(tokens, &mut told);
    told
}

/// Part of the source, before mentions and links without markup are found in it.
enum Piece {
    Text(Range<usize>),
    /// Code, as the parser cleaned it of line prefixes.
    Code(TokenKind, String, Option<String>),
    Break,
    Branch(Open),
}

struct Open {
    kind: TokenKind,
    /// Marker of an item, address of a link.
    extra: Option<String>,
    pieces: Vec<Piece>,
}

/// One line without anything that could be markup.
fn is_plain(source: &str) -> bool {
    let inside = |c: char| "*_~`<[\\&!\n".contains(c);
    let first = |c: char| "#>-+=| \t".contains(c) || c.is_ascii_digit();
    !source.contains(inside) && !source.starts_with(first)
}

/// None when the text holds more than may be shown as a tree.
fn tree(source: &str) -> Option<Vec<Piece>> {
    let mut builder = Builder {
        source,
        open: Vec::new(),
        done: Vec::new(),
        skipping: 0,
        code: None,
        count: 0,
    };
    let parser = Parser::new_ext(source, Options::ENABLE_STRIKETHROUGH);
    for (event, range) in parser.into_offset_iter() {
        builder.take(event, range);
        if builder.count > TOKENS_MAX {
            return None;
        }
    }
    Some(builder.done)
}

struct Builder<'a> {
    source: &'a str,
    open: Vec<Open>,
    done: Vec<Piece>,
    /// Constructs that are open within one that is taken literally.
    skipping: usize,
    /// Language and text of the code block that is open.
    code: Option<(Option<String>, String)>,
    count: usize,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, range: Range<usize>) {
        if self.skipping > 0 {
            match event {
                Event::Start(_) => self.skipping += 1,
                Event::End(_) => self.skipping -= 1,
                _ => {}
            }
            return;
        }
        match event {
            Event::Start(tag) => self.start(&tag, range),
            Event::End(_) => self.end(),
            Event::Text(text) => match &mut self.code {
                Some((_, code)) => code.push_str(&text),
                None => self.text(range),
            },
            Event::Code(code) => {
                self.push(Piece::Code(TokenKind::Code, code.into_string(), None));
            }
            Event::SoftBreak | Event::HardBreak => self.push(Piece::Break),
            Event::Rule => self.literal_block(range),
            _ => self.text(range),
        }
    }

    fn start(&mut self, tag: &Tag<'_>, range: Range<usize>) {
        let too_deep = self.open.len() >= DEPTH_MAX;
        match tag {
            Tag::CodeBlock(CodeBlockKind::Fenced(language)) if !too_deep => {
                let language = Some(language.to_string()).filter(|name| !name.is_empty());
                self.code = Some((language, String::new()));
                return;
            }
            _ => {}
        }
        let opened = match tag {
            Tag::Paragraph => Some((TokenKind::Paragraph, None)),
            Tag::BlockQuote(_) => Some((TokenKind::Quote, None)),
            Tag::List(_) => Some((TokenKind::List, None)),
            Tag::Item => Some((TokenKind::Item, Some(self.marker(&range)))),
            Tag::Emphasis => Some((TokenKind::Italic, None)),
            Tag::Strong => Some((TokenKind::Bold, None)),
            Tag::Strikethrough => Some((TokenKind::Strike, None)),
            Tag::Link {
                link_type,
                dest_url,
                title,
                ..
            } if title.is_empty() => {
                address(*link_type, dest_url).map(|url| (TokenKind::Link, Some(url)))
            }
            _ => None,
        };
        match opened.filter(|_| !too_deep) {
            Some((kind, extra)) => {
                let pieces = Vec::new();
                self.open.push(Open {
                    kind,
                    extra,
                    pieces,
                });
            }
            None => {
                self.skipping = 1;
                let inline = matches!(
                    tag,
                    Tag::Emphasis
                        | Tag::Strong
                        | Tag::Strikethrough
                        | Tag::Link { .. }
                        | Tag::Image { .. }
                );
                if inline {
                    self.text(range);
                } else {
                    self.literal_block(range);
                }
            }
        }
    }

    fn end(&mut self) {
        if let Some((language, text)) = self.code.take() {
            let text = text.strip_suffix('\n').map(str::to_owned).unwrap_or(text);
            self.push(Piece::Code(TokenKind::CodeBlock, text, language));
        } else if let Some(open) = self.open.pop() {
            self.push(Piece::Branch(open));
        }
    }

    /// A block that is no markup of the subset.
    fn literal_block(&mut self, range: Range<usize>) {
        let text = self.source.get(range.clone()).unwrap_or_default();
        let start = range.start + (text.len() - text.trim_start().len());
        let end = start + text.trim().len();
        let paragraph = Open {
            kind: TokenKind::Paragraph,
            extra: None,
            pieces: vec![Piece::Text(start..end)],
        };
        self.count += 1;
        self.push(Piece::Branch(paragraph));
    }

    /// Stretches that touch are one: an address with underscores comes in several.
    fn text(&mut self, range: Range<usize>) {
        let pieces = self
            .open
            .last_mut()
            .map_or(&mut self.done, |open| &mut open.pieces);
        match pieces.last_mut() {
            Some(Piece::Text(last)) if last.end == range.start => last.end = range.end,
            _ => self.push(Piece::Text(range)),
        }
    }

    fn push(&mut self, piece: Piece) {
        self.count += 1;
        let pieces = self
            .open
            .last_mut()
            .map_or(&mut self.done, |open| &mut open.pieces);
        pieces.push(piece);
    }

    fn marker(&self, range: &Range<usize>) -> String {
        let item = self.source.get(range.clone()).unwrap_or_default();
        let marker = item.split_whitespace().next().unwrap_or_default();
        marker.chars().take(MARKER_BYTES).collect()
    }
}

/// Where a link may lead.
fn address(kind: LinkType, url: &str) -> Option<String> {
    let url = match kind {
        LinkType::Email if !url.starts_with("mailto:") => format!("mailto:{url}"),
        _ => url.to_owned(),
    };
    let lower = url.to_ascii_lowercase();
    let known = SCHEMES.iter().any(|scheme| lower.starts_with(scheme));
    let sound = !url.chars().any(|c| c.is_control() || c.is_whitespace());
    (known && sound).then_some(url)
}

fn gather_prose(pieces: &[Piece], found: &mut Vec<Range<usize>>) {
    for piece in pieces {
        match piece {
            Piece::Text(range) => found.push(range.clone()),
            Piece::Branch(open) if open.kind != TokenKind::Link => {
                gather_prose(&open.pieces, found);
            }
            Piece::Branch(_) | Piece::Code(..) | Piece::Break => {}
        }
    }
}

// ---- Tokens ----

fn converted(source: &str, pieces: &[Piece], placed: &[Placed], outside: bool) -> Vec<Token> {
    let mut tokens = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(range) if outside => text_with(source, range, placed, true, &mut tokens),
            Piece::Text(range) => lines(source.get(range.clone()), &mut tokens),
            Piece::Break => tokens.push(Token::of(TokenKind::LineBreak)),
            Piece::Code(kind, text, language) => tokens.push(Token {
                text: Some(text.clone()),
                language: language.clone(),
                ..Token::of(*kind)
            }),
            Piece::Branch(open) => {
                let inside = outside && open.kind != TokenKind::Link;
                let mut token = Token {
                    tokens: converted(source, &open.pieces, placed, inside),
                    ..Token::of(open.kind)
                };
                match open.kind {
                    TokenKind::Link => token.url = open.extra.clone(),
                    _ => token.text = open.extra.clone(),
                }
                tokens.push(token);
            }
        }
    }
    tokens
}

/// One paragraph with its mentions and addresses.
fn without_markup(source: &str, placed: &[Placed]) -> Vec<Token> {
    let whole = 0..source.len();
    let mut tokens = Vec::new();
    text_with(source, &whole, placed, true, &mut tokens);
    if count(&tokens) >= TOKENS_MAX {
        // The lines of a long log: one text, in which line feeds stay.
        tokens.clear();
        text_with(source, &whole, placed, false, &mut tokens);
    }
    vec![Token {
        tokens,
        ..Token::of(TokenKind::Paragraph)
    }]
}

/// A stretch of text with what is placed in it; `split` at line feeds and addresses.
fn text_with(
    source: &str,
    range: &Range<usize>,
    placed: &[Placed],
    split: bool,
    tokens: &mut Vec<Token>,
) {
    let mut at = range.start;
    let first = placed.partition_point(|(spot, _)| spot.start < range.start);
    for (spot, token) in placed.get(first..).unwrap_or_default() {
        if spot.end > range.end {
            break;
        }
        if spot.start >= at {
            stretch(source.get(at..spot.start), split, tokens);
            tokens.push(token.clone());
            at = spot.end;
        }
    }
    stretch(source.get(at..range.end), split, tokens);
}

fn stretch(text: Option<&str>, split: bool, tokens: &mut Vec<Token>) {
    let mut rest = text.unwrap_or_default();
    if !split {
        return push_text(rest, tokens);
    }
    while let Some((before, url, after)) = next_address(rest) {
        lines(Some(before), tokens);
        let mut link = Token::of(TokenKind::Link);
        push_text(url, &mut link.tokens);
        link.url = Some(url.to_owned());
        tokens.push(link);
        rest = after;
    }
    lines(Some(rest), tokens);
}

/// The next address that stands there without markup: what comes before, itself, the rest.
fn next_address(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let tail = text.get(from..)?;
        let found = SCHEMES
            .iter()
            .filter_map(|scheme| tail.find(scheme))
            .min()?;
        let start = from + found;
        let (before, rest) = text.split_at_checked(start)?;
        let end = rest.find(|c: char| c.is_whitespace() || c.is_control() || "<>\"".contains(c));
        let url = rest.get(..end.unwrap_or(rest.len()))?;
        // The end of a sentence does not belong to an address.
        let url = url.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '\'', '»', '*', '_']);
        let scheme = SCHEMES.iter().find(|scheme| rest.starts_with(**scheme))?;
        let begins_a_word = !before.ends_with(char::is_alphanumeric);
        if begins_a_word && url.len() > scheme.len() {
            return Some((before, url, rest.get(url.len()..)?));
        }
        from = start + scheme.len();
    }
}

fn lines(text: Option<&str>, tokens: &mut Vec<Token>) {
    for (number, line) in text.unwrap_or_default().split('\n').enumerate() {
        if number > 0 {
            tokens.push(Token::of(TokenKind::LineBreak));
        }
        push_text(line, tokens);
    }
}

/// Texts that follow each other are one.
fn push_text(text: &str, tokens: &mut Vec<Token>) {
    if text.is_empty() {
        return;
    }
    if let Some(last) = tokens.last_mut()
        && last.kind == TokenKind::Text
        && let Some(held) = &mut last.text
    {
        held.push_str(text);
        return;
    }
    tokens.push(Token {
        text: Some(text.to_owned()),
        ..Token::of(TokenKind::Text)
    });
}

fn count(tokens: &[Token]) -> usize {
    let inside = tokens.iter().map(|token| count(&token.tokens));
    tokens.len() + inside.sum::<usize>()
}

fn tell(tokens: &[Token], told: &mut String) {
    for token in tokens {
        told.push_str(token.language.as_deref().unwrap_or_default());
        told.push_str(token.text.as_deref().unwrap_or_default());
        let before = told.len();
        tell(&token.tokens, told);
        if let Some(url) = &token.url
            && told.get(before..) != Some(url)
            && token.kind == TokenKind::Link
        {
            told.push_str(url);
        }
    }
}

/// Every letter, digit and symbol that is no markup is told, in order.
fn loses_nothing(source: &str, tokens: &[Token]) -> bool {
    let told = told(tokens);
    let counts =
        |c: &char| c.is_alphanumeric() || !c.is_ascii() && !c.is_whitespace() && !c.is_control();
    !told.trim().is_empty()
        && source
            .chars()
            .filter(counts)
            .eq(told.chars().filter(counts))
}

#[cfg(test)]
mod tests;
