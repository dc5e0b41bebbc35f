//! Identity logs, prekeys, key wraps, commitments, tickets, pairing and fingerprints.

use crossport_protocol::codec::{self, Blob};
use crossport_protocol::fields::{Field, Fields};
use crossport_protocol::identity::{IdentityHeader, IdentityLog, SignedIdentity, root_commitment};
use crossport_protocol::ids::{ChatId, CompanyId, Hash};
use crossport_protocol::limits;
use crossport_protocol::pairing::{PairReply, PairRequest, Ticket, fingerprint};
use crossport_protocol::suite::{Domain, SecretKey};
use crossport_protocol::wrap::{PrekeyBundle, Wrap, wrap};

use super::cast::{self, Company, Fixed, NOON, SUITE, epoch_key, public, secret, seed};
use super::{Group, Vector, tree};

pub fn group() -> Group {
    let acme = cast::acme();
    let mut vectors = identity_logs(&acme);
    vectors.extend(broken_identity_logs(&acme));
    vectors.extend(prekeys(&acme));
    vectors.extend(wraps(&cast::globex()));
    vectors.extend(tickets(&acme));
    vectors.extend(pairing(&acme));
    vectors.push(
        Vector::new(
            "root_commitment",
            "next root",
            public("Acme root 2").as_bytes(),
        )
        .value(&root_commitment(&public("Acme root 2"))),
    );
    for company in [acme.id(), cast::globex().id(), CompanyId([0; 32])] {
        let name = format!("fingerprint of {}", company.short());
        vectors.push(
            Vector::new("fingerprint", &name, company.as_bytes()).value(&fingerprint(&company)),
        );
    }
    Group {
        about: "What companies say of themselves before any chat".to_owned(),
        vectors,
    }
}

/// A log as one blob of bytes: the list of its records.
pub fn log_bytes(log: &IdentityLog) -> Vec<u8> {
    codec::encode(&log.records().cloned().collect::<Vec<SignedIdentity>>())
}

fn headers(records: &[SignedIdentity]) -> Vec<IdentityHeader> {
    let header = |record: &SignedIdentity| record.decode_header().expect("a sound header");
    records.iter().map(header).collect()
}

fn log_vector(name: &str, company: CompanyId, records: &[SignedIdentity]) -> Vector {
    Vector::encoded("identity_log", name, &records.to_vec()).given("company", company.to_string())
}

fn resigned(header: &IdentityHeader, root: &SecretKey) -> SignedIdentity {
    let bytes = codec::encode(header);
    let signature = SUITE.sign(root, Domain::Identity, &bytes);
    SignedIdentity {
        header: Blob(bytes),
        signature,
    }
}

fn field(number: u16, value: &[u8]) -> Field {
    Field {
        number,
        value: Blob(value.to_vec()),
    }
}

fn identity_logs(acme: &Company) -> Vec<Vector> {
    let records: Vec<_> = acme.identity.records().cloned().collect();
    let mut log = acme.identity.clone();
    log.extend(
        &secret("Acme root 2"),
        cast::draft("Acme Ltd", &["Acme node 2"], "Acme root 2"),
    )
    .expect("the committed key");
    let longer: Vec<_> = log.records().cloned().collect();
    let mut fielded = records[0].decode_header().expect("a sound header");
    fielded.fields.0 = vec![field(1, b"known to nobody yet"), field(9, b"")];
    let fielded = [resigned(&fielded, &secret("Acme root 1"))];
    let company = CompanyId(fielded[0].hash().0);
    let vector = |name, company, records: &[SignedIdentity]| {
        log_vector(name, company, records).value(&headers(records))
    };
    let whole = vector("two records", acme.id(), &records);
    let mut vectors = whole.misshapen(8);
    vectors.splice(0..0, [whole]);
    vectors.push(vector(
        "a node key revoked, a root key kept",
        acme.id(),
        &longer,
    ));
    vectors.push(vector("unknown numbered fields", company, &fielded));
    vectors
}

fn broken_identity_logs(acme: &Company) -> Vec<Vector> {
    let records: Vec<_> = acme.identity.records().cloned().collect();
    let [genesis, second] = [&records[0], &records[1]];
    let root = secret("Acme root 1");
    let refused = |name: &str, reason: &str, records: &[SignedIdentity]| {
        log_vector(name, acme.id(), records).refused(reason)
    };
    let changed = |change: &dyn Fn(&mut IdentityHeader)| {
        let mut header = second.decode_header().expect("a sound header");
        change(&mut header);
        vec![genesis.clone(), resigned(&header, &root)]
    };
    let mut flipped = records.clone();
    flipped[1].signature = genesis.signature;
    let stolen = secret("thief");
    let mut thief = second.decode_header().expect("a sound header");
    thief.root = public("thief");
    let other_domain = SignedIdentity {
        header: second.header.clone(),
        signature: SUITE.sign(&root, Domain::Prekey, &second.header.0),
    };
    let doubled = |header: &mut IdentityHeader| {
        header.fields.0 = vec![field(4, b"one"), field(4, b"two")];
    };
    let too_long = |header: &mut IdentityHeader| header.name = "n".repeat(limits::NAME_BYTES + 1);
    let fork = changed(&|header| header.name = "Evil".to_owned());
    let forked = [&records[..], &fork[1..]].concat();
    let strangers = log_vector("of another company", cast::globex().id(), &records);
    vec![
        refused("bad signature", "bad_signature", &flipped),
        refused(
            "other domain tag",
            "bad_signature",
            &[genesis.clone(), other_domain],
        ),
        refused(
            "a key that was not committed to",
            "wrong_root",
            &[genesis.clone(), resigned(&thief, &stolen)],
        ),
        refused(
            "wrong prev",
            "wrong_prev",
            &changed(&|header| header.prev = Hash([7; 32])),
        ),
        refused(
            "a number left out",
            "gap",
            &changed(&|header| header.seq = 3),
        ),
        refused("number 0", "shape", &changed(&|header| header.seq = 0)),
        refused(
            "version 1",
            "unsupported",
            &changed(&|header| header.version = 1),
        ),
        refused(
            "the simulator's suite",
            "unsupported",
            &changed(&|header| header.suite = 0xFFFF),
        ),
        refused("fields not ascending", "shape", &changed(&doubled)),
        refused("name too long", "shape", &changed(&too_long)),
        refused("two records at one position", "fork", &forked),
        refused("empty", "gap", &[]),
        strangers.refused("wrong_prev"),
    ]
}

fn prekeys(acme: &Company) -> Vec<Vector> {
    let bundle = acme.bundle();
    let good = Vector::encoded("prekey_bundle", "prekey bundle", &bundle).value(&bundle);
    let newer = PrekeyBundle {
        version: 4,
        ..bundle.clone()
    };
    let unsigned = codec::encode(&bundle);
    let content = &unsigned[..unsigned.len() - 64];
    let other = SUITE.sign(&acme.node, Domain::Statement, content);
    let other_domain = [content, &other.to_bytes()].concat();
    vec![
        good.spoilt(
            "bundle with another version",
            "bad_signature",
            &codec::encode(&newer),
        ),
        good.spoilt(
            "bundle under another domain tag",
            "bad_signature",
            &other_domain,
        ),
        good.spoilt(
            "bundle with a trailing byte",
            "malformed",
            &[&unsigned[..], &[0]].concat(),
        ),
        good.spoilt(
            "bundle truncated",
            "malformed",
            &unsigned[..unsigned.len() - 1],
        ),
        good,
    ]
}

fn wraps(globex: &Company) -> Vec<Vector> {
    let chat = ChatId(seed("a chat"));
    let key = epoch_key(2);
    let mut random = Fixed::new("wrap");
    let made = wrap(SUITE, &mut random, chat, 2, &key, &globex.bundle()).expect("a good prekey");
    let given = |wrap: &Wrap, name: &str| {
        Vector::encoded("wrap", name, wrap)
            .given("prekey_secret", hex::encode(globex.prekey.expose()))
            .given("commitment", key.commitment(&chat, 2).to_string())
    };
    // The sender's ephemeral key pair is derived from the first 32 random bytes (RFC 9180, section 7.1.3), so that another
    // implementation can make these very bytes.
    let mut material = [0; 32];
    crossport_protocol::suite::Random::fill(&mut Fixed::new("wrap"), &mut material);
    let good = given(&made, "wrap")
        .value(&made)
        .given("key", hex::encode(key.expose()))
        .given("ephemeral_material", hex::encode(material))
        .given("prekey_public", hex::encode(globex.prekey.public()));
    let first = epoch_key(1);
    let first_wrap = wrap(SUITE, &mut random, chat, 1, &first, &globex.bundle()).expect("good");
    let first_epoch = given(
        &first_wrap,
        "wrap of the first epoch, committed to under the zero chat",
    )
    .value(&first_wrap)
    .given("commitment", first.commitment(&chat, 1).to_string())
    .given("key", hex::encode(first.expose()));
    let moved = Wrap {
        epoch: 3,
        ..made.clone()
    };
    let elsewhere = Wrap {
        chat: ChatId(seed("another chat")),
        ..made.clone()
    };
    let other_version = Wrap {
        prekey_version: 4,
        ..made.clone()
    };
    let wrong = wrap(SUITE, &mut random, chat, 2, &epoch_key(9), &globex.bundle()).expect("good");
    let small_order = Wrap {
        encapsulated: [0; 32],
        ..made.clone()
    };
    let mut vectors = vec![
        good.clone(),
        first_epoch,
        given(&moved, "wrap moved to another epoch").refused("bad_wrap"),
        given(&elsewhere, "wrap moved to another chat").refused("bad_wrap"),
        given(&other_version, "wrap moved to another prekey").refused("bad_wrap"),
        given(&small_order, "wrap whose shared secret is zero").refused("bad_wrap"),
        given(&wrong, "wrap of a key that the chat did not commit to").refused("wrong_commitment"),
    ];
    vectors.extend(good.misshapen(32 + 4 + 32 + 4 + 32));
    vectors
}

fn tickets(acme: &Company) -> Vec<Vector> {
    let ticket = Ticket {
        company: acme.id(),
        node: acme.node_key(),
        token: [0xA5; 16],
        expires: NOON.plus_ms(86_400_000),
        addresses: vec![
            "/ip4/192.0.2.7/tcp/4001".to_owned(),
            "/dns/acme.example/udp/4001/quic-v1".to_owned(),
        ],
    };
    let text = ticket.to_text();
    let good = Vector::new("ticket", "ticket", text.as_bytes()).value(&ticket);
    let shouted = format!(" {}\n{}\t", text[..30].to_uppercase(), &text[30..]);
    let damaged = text.replacen(
        &text[40..41],
        if &text[40..41] == "a" { "b" } else { "a" },
        1,
    );
    let crowded = Ticket {
        addresses: vec!["/ip4/192.0.2.7/tcp/4001".to_owned(); 17],
        ..ticket.clone()
    };
    vec![
        good.spoilt("ticket, damaged", "checksum", damaged.as_bytes()),
        good.spoilt(
            "ticket, cut short",
            "checksum",
            &text.as_bytes()[..text.len() - 9],
        ),
        good.spoilt("no ticket", "prefix", b"hello"),
        good.spoilt(
            "ticket with a digit more",
            "checksum",
            format!("{text}a").as_bytes(),
        ),
        good.spoilt(
            "ticket with too many addresses",
            "shape",
            crowded.to_text().as_bytes(),
        ),
        Vector::new(
            "ticket",
            "ticket, shouted and broken over lines",
            shouted.as_bytes(),
        )
        .value(&ticket),
        good,
    ]
}

fn pairing(acme: &Company) -> Vec<Vector> {
    let identity: Vec<_> = acme.identity.records().cloned().collect();
    let request = PairRequest::sign(
        SUITE,
        &acme.node,
        acme.id(),
        [0xA5; 16],
        vec!["/ip4/192.0.2.7/tcp/4001".to_owned()],
        identity.clone(),
    );
    let good = Vector::encoded("pair_request", "pair request", &request).value(&request);
    let mut stolen = request.clone();
    stolen.token = [0; 16];
    let mut vectors = vec![good.spoilt(
        "pair request, other token",
        "bad_signature",
        &codec::encode(&stolen),
    )];
    vectors.extend(good.misshapen(32 + 32 + 16));
    vectors.push(good);
    let reply = PairReply {
        outcome: 0,
        identity,
        fields: Fields::none(),
    };
    let good = Vector::encoded("pair_reply", "pair reply", &reply).value(&reply);
    vectors.extend(good.misshapen(2));
    vectors.push(good);
    let refusal = PairReply {
        outcome: crossport_protocol::pairing::refusal::EXPIRED,
        identity: Vec::new(),
        fields: Fields::none(),
    };
    let good = Vector::encoded("pair_reply", "pair reply: expired", &refusal);
    vectors.push(good.value(&tree(&refusal)));
    vectors
}
