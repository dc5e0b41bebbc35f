//! Markup that becomes tokens, text that stays text, and the bounds of both.

use super::*;
use proptest::prelude::*;

fn shape(tokens: &[Token]) -> String {
    let one = |token: &Token| {
        let name = match token.kind {
            TokenKind::Paragraph => "p",
            TokenKind::Text => "",
            TokenKind::LineBreak => "br",
            TokenKind::Bold => "b",
            TokenKind::Italic => "i",
            TokenKind::Strike => "s",
            TokenKind::Code => "code",
            TokenKind::CodeBlock => "block",
            TokenKind::Quote => "quote",
            TokenKind::List => "list",
            TokenKind::Item => "item",
            TokenKind::Link => "link",
            TokenKind::Mention => "mention",
        };
        let mut shape = name.to_owned();
        for part in [&token.language, &token.url].into_iter().flatten() {
            shape += &format!("<{part}>");
        }
        if let Some(text) = &token.text {
            shape += &format!("'{text}'");
        }
        if !token.tokens.is_empty() {
            shape += &format!("[{}]", self::shape(&token.tokens));
        }
        shape
    };
    tokens.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn check(source: &str, expected: &str) {
    assert_eq!(shape(&tokens(source, &[])), expected, "{source:?}");
}

#[test]
fn markup_of_the_subset_becomes_tokens() {
    check("Hello, Boris", "p['Hello, Boris']");
    check(
        "**b** *i* ~~s~~ `c`",
        "p[b['b'] ' ' i['i'] ' ' s['s'] ' ' code'c']",
    );
    check("**b *i***", "p[b['b ' i['i']]]");
    check("one\ntwo\n\nthree", "p['one' br 'two'] p['three']");
    check("> said\n\nI see", "quote[p['said']] p['I see']");
    check(
        "1. one\n5. five\n   - in",
        "list[item'1.'['one'] item'5.'['five' list[item'-'['in']]]]",
    );
    check(
        "```rust\nlet x = 1;\n\nx\n```",
        "block<rust>'let x = 1;\n\nx'",
    );
    check(
        "[the page](https://a.example/?b=1&c)",
        "p[link<https://a.example/?b=1&c>['the page']]",
    );
    check(
        "see https://a.example/x_y_z, or <mailto:a@b.example>",
        "p['see ' link<https://a.example/x_y_z>['https://a.example/x_y_z'] ', or ' \
         link<mailto:a@b.example>['mailto:a@b.example']]",
    );
}

#[test]
fn what_is_no_markup_stays_as_it_was_written() {
    check("<b>x</b> &amp; <script>", "p['<b>x</b> &amp; <script>']");
    check("<div>\nhi\n</div>", "p['<div>' br 'hi' br '</div>']");
    check("# five", "p['# five']");
    check("a\n===", "p['a' br '===']");
    check("---", "p['---']");
    check("    four spaces", "p['four spaces']");
    check(
        "[x](javascript:alert(1)) [y](data:text/html,x)",
        "p['[x](javascript:alert(1)) [y](data:text/html,x)']",
    );
    check("[x](/there)", "p['[x](/there)']");
    check("xhttps://", "p['xhttps://']");
    check(
        "[ref]: https://a.example/",
        "p['[ref]: ' link<https://a.example/>['https://a.example/']]",
    );
    check("```", "p['```']");
    check(
        "2 * 3 * 4 and snake_case_name",
        "p['2 * 3 * 4 and snake_case_name']",
    );
    check("\\*not bold\\*", "p['*not bold*']");
}

fn mention(text: &str) -> Token {
    Token {
        text: Some(text.to_owned()),
        ..Token::of(TokenKind::Mention)
    }
}

#[test]
fn tokens_are_placed_in_prose_only() {
    let source = "@anna **@boris** `@carl`";
    let placed = [
        (0..5, mention("@anna")),
        (8..14, mention("@boris")),
        (18..23, mention("@carl")),
    ];
    assert_eq!(
        shape(&tokens(source, &placed)),
        "p[mention'@anna' ' ' b[mention'@boris'] ' ' code'@carl']"
    );
    assert_eq!(prose(source), [0..6, 8..14, 16..17]);
}

fn depth(tokens: &[Token]) -> usize {
    let deepest = tokens.iter().map(|token| depth(&token.tokens)).max();
    deepest.map_or(0, |inner| inner + 1)
}

fn urls(tokens: &[Token]) -> Vec<String> {
    let mut found = Vec::new();
    for token in tokens {
        found.extend(token.url.clone());
        found.extend(urls(&token.tokens));
    }
    found
}

fn within_bounds(source: &str) {
    let tree = tokens(source, &[]);
    assert!(depth(&tree) <= DEPTH_MAX + 2, "{source:?}");
    assert!(count(&tree) <= TOKENS_MAX, "{source:?}");
    assert!(
        source.trim().is_empty() || loses_nothing(source, &tree),
        "{source:?} became {tree:?}"
    );
    for url in urls(&tree) {
        let lower = url.to_ascii_lowercase();
        assert!(
            SCHEMES.iter().any(|scheme| lower.starts_with(scheme)),
            "{url}"
        );
    }
    let less: String = source.chars().filter(|c| *c != 'a').collect();
    assert!(less == source || !loses_nothing(source, &tokens(&less, &[])));
    for range in prose(source) {
        assert!(source.get(range).is_some());
    }
}

#[test]
fn long_and_deep_texts_stay_within_bounds() {
    for unit in [
        ">",
        "> ",
        "[",
        "![",
        "*",
        "**a",
        "*a*",
        "_a_ ",
        "- ",
        "1. ",
        "`",
        "`a` ",
        "~~",
        "<",
        "(",
        "[a](",
        "a\n",
        "\n",
        "\n\n",
        "http://a ",
        "[a]: b\n",
        "&amp;",
        "\\",
        "|a",
        "  ",
    ] {
        within_bounds(&unit.repeat(16_000 / unit.len()));
    }
    let nested: String = (0..200).map(|depth| "  ".repeat(depth) + "- a\n").collect();
    within_bounds(&nested);
}

fn written() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "*",
        "**",
        "_",
        "~~",
        "`",
        "```",
        "```rust\n",
        "> ",
        "- ",
        "1. ",
        "7) ",
        "[",
        "]",
        "](http://a.example/)",
        "](javascript:x)",
        "(",
        ")",
        "\n",
        "\n\n",
        "a",
        "word",
        "Ω",
        "👩‍👩‍👧",
        "\u{a0}",
        "<b>",
        "</b>",
        "<!-- x -->",
        "<div>",
        "&amp;",
        "&#65;",
        "\\",
        "    ",
        "\t",
        "@anna",
        "http://b.example/",
        "mailto:c@d.example",
        "!",
        "#",
        "# ",
        "=",
        "---",
        "|",
        "[^1]",
        "[r]: http://e.example/",
        "[r]",
        "- [ ] ",
        " ",
        "\"",
        "'",
        "$$",
    ]);
    prop_oneof![
        prop::collection::vec(parts, 0..60).prop_map(|parts| parts.concat()),
        "\\PC{0,80}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_becomes_a_bounded_tree_that_loses_nothing(source in written()) {
        within_bounds(&source);
    }
}
