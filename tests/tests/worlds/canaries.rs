//! Nothing that people said or are called, and no secret, is readable on the disk: every byte of two companies' folders,
//! logs and temporary files is searched for canaries, in every spelling that a program would write them in.
//!
//! The logs are written at the finest level. What is allowed to be readable stands in `searched`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use crossport_tests::process::{Company, eventually, pair, text};

/// What must not be found: a word for the report, and the text.
type Canaries = Vec<(String, String)>;

const TITLE: &str = "Zeisig-Quartalsplan";
const MESSAGE: &str = "Der Stieglitz singt um vier Uhr siebzehn";
const EDITED: &str = "Der Stieglitz singt erst um sechs Uhr";
const DELETED: &str = "Rotkehlchen-Passwort vergessen";
const FILE_NAME: &str = "Girlitz-Gehaltsliste-2026.xlsx";
const UNICODE: &str = "Снегирь прилетел на рассвете";
const NAME: &str = "Amalie Zilpzalp";
const NICKNAME: &str = "kernbeisser";
const OTHER_NICKNAME: &str = "bluthaenfling";
const CHOSEN_NAME: &str = "Amalie Zilpzalp-Fitis";
const PASSWORD: &str = "Kleiber-klettern-kopfueber-42";
const SECOND_PASSWORD: &str = "Baumlaeufer-nur-hinauf-43";
const TOKEN_NAME: &str = "Haubentaucher-Sicherung";
const DEVICE: &str = "Wendehals-Laptop";
const PARTNER: &str = "Seidenschwanz GmbH";
const OWNER: &str = "Mauersegler AG";

#[test]
fn nothing_that_people_say_or_are_called_is_readable_on_the_disk() -> Result<()> {
    let root = tempfile::tempdir()?;
    let start = |name: &str, folder: &str| {
        let settings = ["--set", "log=trace", "--set", "journal_segment_mib=1"];
        Company::on_loopback(name, root.path().join(folder), &settings)
    };
    let (mut owner, mut partner) = (start(OWNER, "one")?, start(PARTNER, "two")?);
    let mut canaries: Canaries = [
        ("chat title", TITLE),
        ("message", MESSAGE),
        ("edited message", EDITED),
        ("deleted message", DELETED),
        ("file name", FILE_NAME),
        ("message in Cyrillic", UNICODE),
        ("person's name", NAME),
        ("nickname", NICKNAME),
        ("partner's nickname", OTHER_NICKNAME),
        ("device", DEVICE),
        ("name of a token", TOKEN_NAME),
        ("name that was chosen", CHOSEN_NAME),
        ("password", PASSWORD),
        ("second password", SECOND_PASSWORD),
    ]
    .map(|(what, text)| (what.to_owned(), text.to_owned()))
    .to_vec();
    for company in [&mut owner, &mut partner] {
        let report = company.up()?;
        let secret = text(&report["activation"], "secret")?.to_owned();
        canaries.push((format!("first secret of {}", company.name), secret));
    }
    talk(&mut owner, &mut partner, &mut canaries)?;
    for company in [&owner, &partner] {
        for token in company.tokens()? {
            canaries.push((format!("token at {}", company.name), token));
        }
    }
    searched(&owner, PARTNER, &canaries, "while running")?;
    searched(&partner, OWNER, &canaries, "while running")?;
    // A crash leaves what a clean stop would have tidied up.
    owner.kill()?;
    partner.down()?;
    searched(&owner, PARTNER, &canaries, "after a kill")?;
    searched(&partner, OWNER, &canaries, "after a clean stop")?;
    owner.up()?;
    partner.up()?;
    partner.ask(None, &["rebuild"])?;
    searched(
        &partner,
        OWNER,
        &canaries,
        "after the rebuild was asked for",
    )?;
    eventually("the restarted companies agree", || {
        let (one, two) = (
            owner.texts(NICKNAME, TITLE)?,
            partner.texts(OTHER_NICKNAME, TITLE)?,
        );
        ensure!(
            one == two && one.contains(&EDITED.to_owned()),
            "{one:?} {two:?}"
        );
        Ok(())
    })?;
    searched(&owner, PARTNER, &canaries, "after a restart")?;
    searched(&partner, OWNER, &canaries, "after a restart")
}

fn talk(owner: &mut Company, partner: &mut Company, canaries: &mut Canaries) -> Result<()> {
    let ticket = pair(owner, partner)?;
    canaries.push(("ticket".to_owned(), ticket));
    let secret = owner.person(NICKNAME, &["--name", NAME])?;
    canaries.push(("activation secret".to_owned(), secret));
    let secret = partner.person(OTHER_NICKNAME, &[])?;
    canaries.push(("partner's activation secret".to_owned(), secret));
    for token in owner.tokens()? {
        canaries.push(("token before the reset".to_owned(), token));
    }
    let person = format!("{OTHER_NICKNAME}@{PARTNER}");
    owner.ask(Some(NICKNAME), &["chat", "new", "--title", TITLE, &person])?;
    let send = |text: &str| -> Result<String> {
        let sent = owner.ask(Some(NICKNAME), &["chat", "send", TITLE, text])?;
        Ok(crossport_tests::process::text(&sent, "id")?.to_owned())
    };
    let edited = send(MESSAGE)?;
    let deleted = send(DELETED)?;
    send(FILE_NAME)?;
    send(UNICODE)?;
    eventually("the partner sees the messages", || {
        let seen = partner.texts(OTHER_NICKNAME, TITLE)?;
        ensure!(seen.len() == 4, "{seen:?}");
        Ok(())
    })?;
    partner.ask(Some(OTHER_NICKNAME), &["chat", "read", TITLE])?;
    partner.ask(Some(OTHER_NICKNAME), &["msg", "react", &edited, "👍"])?;
    owner.ask(Some(NICKNAME), &["msg", "edit", &edited, EDITED])?;
    owner.ask(Some(NICKNAME), &["msg", "delete", &deleted])?;
    eventually("the partner sees the edit and the deletion", || {
        let seen = partner.texts(OTHER_NICKNAME, TITLE)?;
        ensure!(seen == [EDITED, FILE_NAME, UNICODE], "{seen:?}");
        Ok(())
    })?;
    let activation = owner.ask(None, &["user", "reset", NICKNAME])?;
    let link = text(&activation, "link")?;
    let redeem = [
        "login",
        link,
        "--device",
        DEVICE,
        "--password",
        "--name",
        CHOSEN_NAME,
    ];
    let by_owner = |arguments: &[&str], input: &str| {
        let call = owner.call(arguments).by(NICKNAME).input(input);
        call.run()?.done()
    };
    by_owner(&redeem, PASSWORD)?;
    let change = format!("{PASSWORD}\n{SECOND_PASSWORD}\n");
    by_owner(&["account", "password"], &change)?;
    let address = link.split('#').next().context("an address")?;
    let login = ["login", "--user", NICKNAME, address];
    by_owner(&login, SECOND_PASSWORD)?;
    let made = owner.ask(
        Some(NICKNAME),
        &["token", "add", TOKEN_NAME, "--scope", "read"],
    )?;
    canaries.push((
        "token of a program".to_owned(),
        text(&made, "secret")?.to_owned(),
    ));
    let refused = by_owner(&login, PASSWORD);
    ensure!(refused.is_err(), "the old password opens the account");
    let secret = text(&activation, "secret")?.to_owned();
    canaries.push(("secret of the reset".to_owned(), secret));
    refused_and_logged(owner)
}

fn refused_and_logged(owner: &Company) -> Result<()> {
    // Refusals are logged too: they must not repeat what they refuse.
    let refused = owner.ask(Some(NICKNAME), &["chat", "send", "no-such-chat", MESSAGE]);
    ensure!(refused.is_err(), "a chat that is not there took a message");
    Ok(())
}

/// Searches everything of one company. Readable by design: the credentials file, which is the person's own and outside
/// of the data folder, and the company's own name, which its public identity carries. The name of a partner is not.
fn searched(company: &Company, other: &str, canaries: &Canaries, when: &str) -> Result<()> {
    let mut all = canaries.clone();
    all.push(("name of the partner".to_owned(), other.to_owned()));
    let own = [company.folder.join("credentials")];
    let searched = search(&company.folder, &own, &all)?;
    ensure!(
        searched.files >= 8 && searched.bytes > 20_000,
        "{when}: too little was searched to show anything: {searched:?}"
    );
    ensure!(
        searched.found.is_empty(),
        "{when}, readable at {}:\n{}",
        company.name,
        searched.found.join("\n")
    );
    let log = fs::metadata(company.log())?.len();
    ensure!(
        log > 5_000,
        "the log has {log} bytes: was it written at all?"
    );
    Ok(())
}

#[derive(Debug, Default)]
struct Searched {
    files: usize,
    bytes: usize,
    found: Vec<String>,
}

fn search(folder: &Path, except: &[PathBuf], canaries: &Canaries) -> Result<Searched> {
    let mut spelled = Vec::new();
    for (what, text) in canaries {
        for (how, needle) in spellings(text) {
            spelled.push((format!("{what} in {how}"), needle));
        }
    }
    let mut searched = Searched::default();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            let name = entry.file_name();
            for (what, needle) in &spelled {
                if contains(name.as_encoded_bytes(), needle) {
                    searched
                        .found
                        .push(format!("{what}: the name of {}", path.display()));
                }
            }
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() && !except.contains(&path) {
                let bytes = fs::read(&path).with_context(|| format!("{}", path.display()))?;
                searched.files += 1;
                searched.bytes += bytes.len();
                look(&bytes, &spelled, &path, &mut searched.found);
            }
        }
    }
    Ok(searched)
}

fn look(bytes: &[u8], spelled: &[(String, Vec<u8>)], path: &Path, found: &mut Vec<String>) {
    for (what, needle) in spelled {
        if let Some(at) = bytes
            .windows(needle.len())
            .position(|window| window == needle)
        {
            let around = &bytes[at.saturating_sub(60)..(at + needle.len() + 20).min(bytes.len())];
            let around = String::from_utf8_lossy(around);
            found.push(format!("{what}: {} at {at}: {around:?}", path.display()));
        }
    }
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// How a program might write a text. Secrets are hexadecimal texts of random bytes, so the bytes count too.
fn spellings(text: &str) -> BTreeMap<&'static str, Vec<u8>> {
    let units = || text.encode_utf16();
    let mut all = BTreeMap::from([
        ("UTF-8", text.as_bytes().to_vec()),
        ("lower case", text.to_lowercase().into_bytes()),
        ("UTF-16 LE", units().flat_map(u16::to_le_bytes).collect()),
        ("UTF-16 BE", units().flat_map(u16::to_be_bytes).collect()),
        ("hex", hex::encode(text).into_bytes()),
        ("HEX", hex::encode_upper(text).into_bytes()),
        ("JSON", escaped(text).into_bytes()),
        ("percent", percent(text).into_bytes()),
        ("debug", text.escape_default().to_string().into_bytes()),
    ]);
    let base64 = ["base64 at 0", "base64 at 1", "base64 at 2"];
    for (skipped, how) in base64.into_iter().enumerate() {
        all.insert(how, base64_inside(text.as_bytes(), skipped));
    }
    if let Ok(raw) = hex::decode(text) {
        all.insert("raw bytes", raw);
    }
    all
}

/// The digits of base64 that the text gives wherever it begins within three bytes: those that depend on its neighbours
/// are left out.
fn base64_inside(bytes: &[u8], skipped: usize) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let whole = bytes.get(skipped..).unwrap_or_default().chunks_exact(3);
    whole
        .flat_map(|three| {
            let word = three
                .iter()
                .fold(0, |word, byte| word << 8 | u32::from(*byte));
            [18, 12, 6, 0].map(|shift| DIGITS[(word >> shift & 63) as usize])
        })
        .collect()
}

fn escaped(text: &str) -> String {
    let unit = |unit: u16| match char::from_u32(u32::from(unit)) {
        Some(c) if c.is_ascii() => c.to_string(),
        _ => format!("\\u{unit:04x}"),
    };
    text.encode_utf16().map(unit).collect()
}

fn percent(text: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(byte).collect()
}

/// The control: what is planted is found, in every spelling, anywhere in a file and in a file's name.
#[test]
fn a_planted_canary_is_found_in_every_spelling() -> Result<()> {
    let root = tempfile::tempdir()?;
    let canaries = vec![("message".to_owned(), UNICODE.to_owned())];
    let canaries = [
        canaries,
        vec![("secret".to_owned(), "a4a6fe7c3ec1a828".to_owned())],
    ]
    .concat();
    ensure!(search(root.path(), &[], &canaries)?.found.is_empty());
    let mut planted = 0;
    for (what, text) in &canaries {
        for (how, needle) in spellings(text) {
            let folder = root.path().join(format!("{planted}"));
            fs::create_dir(&folder)?;
            let noise = vec![b'\xff'; 100 + planted];
            fs::write(folder.join("file"), [&noise[..], &needle, &noise].concat())?;
            let found = search(&folder, &[], &canaries)?.found;
            ensure!(!found.is_empty(), "{what} in {how} was not found");
            planted += 1;
        }
    }
    ensure!(planted >= 25, "only {planted} spellings were tried");
    fs::create_dir(root.path().join("names"))?;
    fs::write(root.path().join("names").join(UNICODE), b"")?;
    let found = search(&root.path().join("names"), &[], &canaries)?.found;
    ensure!(!found.is_empty(), "a file's name was not searched");
    Ok(())
}
