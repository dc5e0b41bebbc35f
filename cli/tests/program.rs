//! The built program from outside: exit codes, streams, languages.
//!
//! Owns what only a process can show. Must not test what a node does: the other end here is a socket that gives one
//! prepared answer.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The program in a home of its own, without anything of the caller's environment.
fn crossport(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossport"));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .stdin(Stdio::null());
    command
}

fn run(home: &Path, arguments: &[&str]) -> Output {
    crossport(home, arguments)
        .output()
        .expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Answers every request with this status and document, and gives a credentials file that leads there.
fn answering(home: &Path, status: u16, kind: &str, body: String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
    let port = listener.local_addr().expect("bound").port();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("accepts");
            // The head of a small request comes in one piece on loopback; only then is there somebody to answer.
            let mut request = [0; 4096];
            let read = stream.read(&mut request).expect("reads");
            assert!(read > 0, "a request");
            stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(body.as_bytes()))
                .expect("answers");
        }
    });
    let folder = home.join(".config/crossport");
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("credentials.toml");
    let profile = format!(
        "[profiles.anna]\nendpoint = \"http://127.0.0.1:{port}\"\ntoken = \"t\"\nnickname = \"anna\"\ncompany = \"Acme\"\n"
    );
    std::fs::write(&file, profile).expect("writes");
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&file, private).expect("private");
}

fn refused(status: u16, code: &str) -> Output {
    let home = tempfile::tempdir().expect("a home");
    let body = format!(
        "{{\"type\":\"urn:crossport:problem:{code}\",\"title\":\"no\",\"status\":{status},\"code\":\"{code}\",\"cause\":\"\u{202e}because\"}}"
    );
    answering(home.path(), status, "application/problem+json", body);
    run(home.path(), &["whoami"])
}

#[test]
fn a_refusal_of_the_node_is_told_and_has_its_exit_code() {
    let families = [
        (400, "X0102", 2),
        (403, "X0203", 4),
        (404, "X0401", 5),
        (409, "X0407", 6),
        (409, "X0307", 7),
        (504, "X0309", 8),
        (507, "X0501", 1),
    ];
    for (status, code, expected) in families {
        let output = refused(status, code);
        assert_eq!(output.status.code(), Some(expected), "{code}");
        assert!(output.stdout.is_empty(), "a failure is no result");
        let told = text(&output.stderr);
        assert_eq!(
            told,
            format!("error[{code}]: no\ncause: \\u{{202e}}because\n")
        );
    }
}

#[test]
fn what_needs_no_node_has_its_exit_code_too() {
    let home = tempfile::tempdir().expect("a home");
    let code = |arguments: &[&str]| run(home.path(), arguments).status.code();
    assert_eq!(code(&["version"]), Some(0));
    assert_eq!(code(&["--help"]), Some(0));
    assert_eq!(code(&["help", "chat", "send"]), Some(0));
    assert_eq!(code(&["completions", "zsh"]), Some(0));
    assert_eq!(code(&["chat", "sned"]), Some(2));
    assert_eq!(code(&["chat"]), Some(2));
    assert_eq!(code(&["--set", "x"]), Some(2));
    assert_eq!(code(&["status"]), Some(3));
    assert_eq!(code(&["whoami"]), Some(4));
    assert_eq!(code(&["login", "no secret in it"]), Some(4));
}

#[test]
fn an_answer_is_printed_for_scripts_when_piped() {
    let home = tempfile::tempdir().expect("a home");
    let company = format!("{{\"id\":\"{}\",\"name\":\"Acme\"}}", "ab".repeat(32));
    let person = format!(
        "{{\"id\":\"1\",\"nickname\":\"anna\",\"name\":\"An\\u001bna\",\"company\":{company},\"external\":false,\"active\":true}}"
    );
    let me = format!(
        "{{\"person\":{person},\"administrator\":true,\"device\":\"d\",\"signed_in_at\":\"2026-11-23T19:46:08.000Z\"}}"
    );
    answering(home.path(), 200, "application/json", me);
    let piped = run(home.path(), &["whoami"]);
    let printed = text(&piped.stdout);
    assert!(printed.contains("name\tAn\\u{1b}na\n"), "{printed}");
    assert!(
        printed.contains("since\t2026-11-23T19:46:08.000Z\n"),
        "{printed}"
    );
    assert!(piped.stderr.is_empty());
    assert_eq!(text(&run(home.path(), &["whoami", "-q"]).stdout), "1\n");
    let json = text(&run(home.path(), &["whoami", "--json"]).stdout);
    let value: serde_json::Value = serde_json::from_str(&json).expect("a document");
    assert_eq!(value["person"]["nickname"], "anna");
}

#[test]
fn a_misspelt_key_stops_and_is_explained() {
    let home = tempfile::tempdir().expect("a home");
    let data = home.path().join("data");
    std::fs::create_dir_all(&data).expect("a folder");
    std::fs::write(data.join("crossport.toml"), "listen_tpc = \"off\"\n").expect("writes");
    let folder = data.display().to_string();
    let output = run(home.path(), &["--data-dir", &folder, "config", "show"]);
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(told.contains("did you mean listen_tcp?"), "{told}");
}

#[test]
fn language_and_colour_follow_flags_and_environment() {
    let home = tempfile::tempdir().expect("a home");
    let told = |command: &mut Command| text(&command.output().expect("starts").stderr);
    let mut russian = crossport(home.path(), &["status"]);
    assert!(told(russian.env("LANG", "ru_RU.UTF-8")).starts_with("ошибка[X0901]"));
    let mut flag = crossport(home.path(), &["status", "--lang", "en"]);
    assert!(told(flag.env("LANG", "ru_RU.UTF-8")).starts_with("error[X0901]"));
    let mut painted = crossport(home.path(), &["status", "--color", "always"]);
    assert!(told(&mut painted).contains('\u{1b}'));
    let mut plain = crossport(home.path(), &["status"]);
    assert!(!told(plain.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1")).contains('\u{1b}'));
}

#[test]
fn a_reader_that_had_enough_is_no_failure() {
    let home = tempfile::tempdir().expect("a home");
    let mut command = crossport(home.path(), &["man"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}
