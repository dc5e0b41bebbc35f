//! Tokens of a message as a terminal shows them: styles for what is bold or code, bars before quotes, markers before items.
//!
//! It must not parse anything: the tree comes from the node. Every text passes the escape of `visible`.

use super::Look;
use super::visible::{block, line};
use anstyle::Style;
use crossport_node::api::types::{Token, TokenKind};

/// The tree as lines.
pub fn rendered(tokens: &[Token], look: &Look) -> String {
    let mut page = Page {
        look,
        lines: vec![String::new()],
    };
    page.blocks(tokens);
    page.lines.join("\n")
}

struct Page<'a> {
    look: &'a Look,
    lines: Vec<String>,
}

impl Page<'_> {
    fn blocks(&mut self, tokens: &[Token]) {
        for token in tokens {
            match token.kind {
                TokenKind::Paragraph => {
                    self.fresh();
                    self.inline(&token.tokens, Style::new());
                }
                TokenKind::Quote => {
                    let bar = self.look.dim("│ ");
                    self.within(&bar, &bar, &token.tokens);
                }
                TokenKind::List => self.blocks(&token.tokens),
                TokenKind::Item => {
                    let marker = line(token.text.as_deref().unwrap_or("-"));
                    let rest = " ".repeat(marker.chars().count() + 1);
                    self.within(&format!("{marker} "), &rest, &token.tokens);
                }
                TokenKind::CodeBlock => {
                    for code in token.text.as_deref().unwrap_or_default().split('\n') {
                        self.fresh();
                        let code = self.look.dim(&block(code));
                        self.write(&format!("    {code}"));
                    }
                }
                _ => self.inline(std::slice::from_ref(token), Style::new()),
            }
        }
    }

    /// What is inside, behind a mark on its first line and another on the others.
    fn within(&mut self, first: &str, others: &str, tokens: &[Token]) {
        let inside = rendered(tokens, self.look);
        for (number, inner) in inside.split('\n').enumerate() {
            self.fresh();
            self.write(if number == 0 { first } else { others });
            self.write(inner);
        }
    }

    fn inline(&mut self, tokens: &[Token], style: Style) {
        for token in tokens {
            let text = block(token.text.as_deref().unwrap_or_default());
            match token.kind {
                TokenKind::LineBreak => self.lines.push(String::new()),
                TokenKind::Bold => self.inline(&token.tokens, style.bold()),
                TokenKind::Italic => self.inline(&token.tokens, style.italic()),
                TokenKind::Strike => self.inline(&token.tokens, style.strikethrough()),
                TokenKind::Link => self.link(token, style),
                TokenKind::Code => self.paint(&text, style.dimmed()),
                TokenKind::Mention => self.paint(&text, style.bold()),
                TokenKind::Text => self.paint(&text, style),
                _ => self.blocks(std::slice::from_ref(token)),
            }
        }
    }

    /// A link says where it leads, whatever it is called.
    fn link(&mut self, token: &Token, style: Style) {
        self.inline(&token.tokens, style.underline());
        let url = token.url.as_deref().unwrap_or_default();
        let named = token.tokens.iter().map(|inner| inner.text.as_deref());
        if !named.eq([Some(url)]) {
            let url = self.look.dim(&format!(" ({})", line(url)));
            self.write(&url);
        }
    }

    fn paint(&mut self, text: &str, style: Style) {
        // A style ends with its line.
        for (number, text) in text.split('\n').enumerate() {
            if number > 0 {
                self.lines.push(String::new());
            }
            if !text.is_empty() {
                let text = self.look.paint(style, text);
                self.write(&text);
            }
        }
    }

    fn write(&mut self, text: &str) {
        match self.lines.last_mut() {
            Some(line) => line.push_str(text),
            None => self.lines.push(text.to_owned()),
        }
    }

    /// Goes to a line of its own.
    fn fresh(&mut self) {
        if self.lines.last().is_some_and(|line| !line.is_empty()) {
            self.lines.push(String::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossport_node::texts::Lang;

    fn text(text: &str) -> Token {
        Token {
            text: Some(text.to_owned()),
            ..Token::of(TokenKind::Text)
        }
    }

    fn with(kind: TokenKind, tokens: Vec<Token>) -> Token {
        Token {
            tokens,
            ..Token::of(kind)
        }
    }

    #[test]
    fn a_tree_is_drawn_in_lines_and_hides_nothing() {
        let marked = |marker: &str, inner: &str| Token {
            text: Some(marker.to_owned()),
            ..with(TokenKind::Item, vec![text(inner)])
        };
        let link = Token {
            url: Some("https://evil.example/".to_owned()),
            ..with(TokenKind::Link, vec![text("https://bank.example/")])
        };
        let tree = vec![
            with(
                TokenKind::Paragraph,
                vec![
                    text("Hello "),
                    with(TokenKind::Bold, vec![text("all")]),
                    Token::of(TokenKind::LineBreak),
                    link,
                ],
            ),
            with(
                TokenKind::Quote,
                vec![with(TokenKind::Paragraph, vec![text("said\u{1b}[2J")])],
            ),
            with(
                TokenKind::List,
                vec![marked("1.", "one"), marked("10.", "ten")],
            ),
        ];
        let expected = "Hello all\nhttps://bank.example/ (https://evil.example/)\n│ said\\u{1b}[2J\n1. one\n10. ten";
        assert_eq!(rendered(&tree, &Look::for_tests(Lang::En)), expected);
        let colored = Look {
            color: true,
            ..Look::for_tests(Lang::En)
        };
        assert!(rendered(&tree, &colored).contains("\u{1b}[1mall\u{1b}[0m"));
    }
}
